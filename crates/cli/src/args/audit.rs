//! The arguments of audits.

use std::{fmt, path::PathBuf, str::FromStr};

use clap::Args;
use memscope_eval::{
    audit::StatisticName,
    spec::{MitigationEntry, entry_of_text},
};
use memscope_model::{Lora, NoiseGenerator};
use memscope_results::stats::Guarantee;

use super::{ModelArgs, ShardArgs, draw::SamplingArgs};

/// What `audit` says of itself.
pub(crate) const AUDIT_HELP: &str = "\
Examples:
  memscope audit --model base.safetensors --lora style.safetensors --pictures train/ --held-out more/ --out audit
  memscope audit --model fine-tuned/ --base base/ --prompts captions.csv --held-out others.txt --out audit
  memscope audit --model embedded:emoji-eps --prompts embedded:verbatim --held-out embedded:unseen
  memscope audit --model base/ --lora last.safetensors --lora-scale 0.25,0.5,0.75,1 --pictures train/ --held-out more/ \
    --acceptable 'copied<10%'

What decides: loss-ratio (pictures and a base), loss (pictures alone), self-loss-ratio (a base alone: the model's own
pictures), a detector (neither). The base of a model with --lora is the model without it. A folder of pictures has x.png
with x.txt, or metadata.jsonl or metadata.csv with the columns file_name and text. docs/audit.md says what is promised.";

/// What `calibrate` says of itself.
pub(crate) const CALIBRATE_HELP: &str = "\
Examples:
  memscope calibrate --model embedded:emoji-eps --prompts embedded:general --out general.json
  memscope calibrate --model base.safetensors --lora style.safetensors --pictures held-out/ --out held-out.json
  memscope audit --model base.safetensors --lora style.safetensors --pictures train/ --calibration held-out.json
  memscope calibrate --model sd14 --prompts ordinary --out sd14.json

--prompts ordinary is a list of 1,000 ordinary captions that is part of memscope, for models without a better one: it does
not calibrate the captions of a fine-tune, whose style is another one.";

/// What scores depend on.
#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// Prompts: a text file with one a line, a table (.csv, .tsv, .jsonl, .json, .parquet), embedded:SET, paper:LIST, or
    /// ordinary.
    #[arg(long, value_name = "FILE", required_unless_present = "pictures", conflicts_with = "pictures")]
    pub(crate) prompts: Option<String>,
    /// Training pictures with captions: a folder, a table with columns file_name and text, or embedded:SET.
    #[arg(long, value_name = "DIR")]
    pub(crate) pictures: Option<String>,
    /// Column of the table that holds the prompts; by default prompt, caption or text, in any case.
    #[arg(long, value_name = "NAME")]
    pub(crate) column: Option<String>,
    /// Only the first N prompts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// The model that was fine-tuned, as --model takes it; by default the model without its --lora; none for none.
    #[arg(long, value_name = "SRC")]
    pub(crate) base: Option<String>,
    /// What decides: loss-ratio, loss, self-loss-ratio, or the name of a detector; by default by what is given.
    #[arg(long, value_name = "NAME")]
    pub(crate) statistic: Option<StatisticName>,
    /// Noise generator: torch-cuda, torch-cuda/BLOCKS, torch-cpu or native.
    #[arg(long, default_value_t = NoiseGenerator::A6000)]
    pub(crate) generator: NoiseGenerator,
    /// Seed of the noise; a detector may have several, whose scores are averaged.
    #[arg(long = "seed", value_name = "S", default_values_t = [42], allow_negative_numbers = true)]
    pub(crate) seeds: Vec<u64>,
    /// Noises of a detector under each seed, averaged.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..), allow_negative_numbers = true)]
    pub(crate) generations: u16,
    /// Pictures drawn for a prompt.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64), allow_negative_numbers = true)]
    pub(crate) draws: u16,
    /// How pictures are drawn.
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    /// Samples per network call.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..), allow_negative_numbers = true)]
    pub(crate) batch: u16,
    /// Measure everything again instead of reusing what is stored in the cache.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Keep measurements and pictures in this folder instead of in the cache.
    #[arg(long, value_name = "DIR")]
    pub(crate) results: Option<PathBuf>,
    /// Which part of the measurements behind the scores; needs --results.
    #[command(flatten)]
    pub(crate) part: ShardArgs,
    /// Replace files that are there.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `memscope audit`.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// The model.
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// What is asked.
    #[command(flatten)]
    pub(crate) scores: ScoreArgs,
    /// What was not trained on, in the same style: pictures with captions where --pictures is given, else captions.
    #[arg(long, value_name = "FILE")]
    pub(crate) held_out: Option<String>,
    /// Scores kept by `memscope calibrate` for this model with these settings. Beside --held-out they decide nothing: how
    /// they would keep the promise is checked on what was held out.
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Random splits of what was held out, on which the promise is checked; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=100_000), allow_negative_numbers = true)]
    pub(crate) splits: u32,
    /// False discovery rate: the expected share of false flags among the flagged prompts.
    #[arg(long, default_value_t = 0.1, allow_negative_numbers = true)]
    pub(crate) fdr: f64,
    /// What p-values promise: marginal (on average over calibration samples), or for the sample at hand simes:CONFIDENCE or
    /// dkwm:CONFIDENCE.
    #[arg(long, default_value_t = Guarantee::Marginal)]
    pub(crate) guarantee: Guarantee,
    /// Draw pictures of this many prompts, those that rank highest, as evidence; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 20, allow_negative_numbers = true)]
    pub(crate) evidence: u32,
    /// Noises on which the gradients by the words of these prompts are taken; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(0..=64), allow_negative_numbers = true)]
    pub(crate) words: u16,
    /// Mitigation whose pictures stand beside those of flagged prompts, a method of `memscope mitigate`; none for none.
    #[arg(long, value_name = "METHOD", default_value = "random_tokens", value_parser = entry_of_text)]
    pub(crate) mitigation: MitigationEntry,
    /// Audit once for each of these scales of the one --lora, e.g. 0.25,0.5,0.75,1; the page is about the last one.
    #[arg(
        long,
        value_name = "SCALES",
        value_delimiter = ',',
        allow_negative_numbers = true,
        conflicts_with = "checkpoints"
    )]
    pub(crate) lora_scale: Vec<f64>,
    /// Audit once for each of these LoRA files, on top of --lora; may be repeated. The page is about the last one.
    #[arg(long = "checkpoint", value_name = "FILE[:SCALE]")]
    pub(crate) checkpoints: Vec<Lora>,
    /// Name the last checkpoint below a limit: copied<SHARE (of the prompts that are drawn, see --evidence) or flagged<SHARE.
    #[arg(long, value_name = "LIMIT")]
    pub(crate) acceptable: Option<Acceptable>,
    /// Judges with a copy descriptor: a folder, names of published ones joined by + (memscope models fetch judges), or
    /// embedded for those of the program. Without it copies are told by pixels, and neither the nearest of all training
    /// pictures nor near duplicates are looked for.
    #[arg(long, value_name = "SRC")]
    pub(crate) judges: Option<String>,
    /// Folder for the page audit.html, its record audit.json, the table audit.csv and the pictures.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write the table to a .csv, .parquet or .jsonl file: the input's columns, then scores and verdicts, highest first.
    #[arg(long, value_name = "FILE")]
    pub(crate) table: Option<PathBuf>,
    /// End with exit code 9 if this holds: flagged>N, copied>N, or refused.
    #[arg(long, value_name = "CONDITION")]
    pub(crate) fail_on: Option<FailOn>,
}

/// `memscope calibrate`.
#[derive(Debug, Args)]
pub(crate) struct Calibrate {
    /// The model.
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// What is asked.
    #[command(flatten)]
    pub(crate) scores: ScoreArgs,
    /// The file for the scores.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// When an audit ends with an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailOn {
    /// More prompts are flagged.
    Flagged(usize),
    /// More prompts are copied in at least half of their draws.
    Copied(usize),
    /// A claim had to be refused.
    Refused,
}

impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write flagged>N, copied>N or refused".to_owned();
        if text.trim() == "refused" {
            return Ok(Self::Refused);
        }
        let (name, number) = text.split_once('>').ok_or_else(wrong)?;
        let number = number.trim().parse().map_err(|_| wrong())?;
        match name.trim() {
            "flagged" => Ok(Self::Flagged(number)),
            "copied" => Ok(Self::Copied(number)),
            _ => Err(wrong()),
        }
    }
}

/// What is counted over checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Flagged prompts.
    Flagged,
    /// Prompts that are copied in at least half of their draws.
    Copied,
}

/// Up to which share a checkpoint may be used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Acceptable {
    /// Whose share.
    pub(crate) of: Counted,
    /// The share that it must be below, in (0, 1].
    pub(crate) share: f64,
}

impl FromStr for Acceptable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write copied<SHARE or flagged<SHARE, with a share such as 0.1 or 10%".to_owned();
        let (name, share) = text.split_once('<').ok_or_else(wrong)?;
        let of = match name.trim() {
            "flagged" => Counted::Flagged,
            "copied" => Counted::Copied,
            _ => return Err(wrong()),
        };
        let (number, unit) = share.trim().strip_suffix('%').map_or((share, 1.0), |number| (number, 100.0));
        let share = number.trim().parse::<f64>().map_err(|_| wrong())? / unit;
        if share > 0.0 && share <= 1.0 { Ok(Self { of, share }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Acceptable {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let of = match self.of {
            Counted::Flagged => "flagged",
            Counted::Copied => "copied",
        };
        write!(f, "{of}<{}", self.share)
    }
}
