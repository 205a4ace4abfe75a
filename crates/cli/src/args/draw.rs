//! Drawing pictures.

use std::path::PathBuf;

use clap::Args;
use memscope_eval::spec::{MitigationEntry, entry_of_text};
use memscope_metric::Preset;
use memscope_model::{NoiseGenerator, Sampling};

use super::{ModelArgs, ShardArgs};

/// How a picture is drawn.
#[derive(Debug, Args)]
pub(crate) struct SamplingArgs {
    /// DDIM steps of a picture.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..), allow_negative_numbers = true)]
    pub(crate) steps: u16,
    /// Guidance weight of a picture.
    #[arg(long, default_value_t = 7.5, value_parser = finite, allow_negative_numbers = true)]
    pub(crate) guidance: f64,
}

impl SamplingArgs {
    /// The same for the model.
    pub(crate) fn sampling(&self) -> Sampling {
        Sampling { steps: usize::from(self.steps), guidance: self.guidance }
    }
}

fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "this is not a number such as 7.5".to_owned())
}

/// `memscope generate`.
#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// The model.
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The prompt.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: String,
    /// Seed of the noise.
    #[arg(long, default_value_t = 42, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Noise generator: torch-cuda, torch-cuda/BLOCKS, torch-cpu or native.
    #[arg(long, default_value_t = NoiseGenerator::A6000)]
    pub(crate) generator: NoiseGenerator,
    /// How pictures are drawn.
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    /// Images to draw.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..), allow_negative_numbers = true)]
    pub(crate) count: u16,
    /// Folder for the PNG files. Their names hold the prompt, the seed and a hash of model, prompt and settings.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Replace pictures of the same name; without it nothing is drawn where there are some.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print the costs of a dry run as JSON.
    #[arg(long, requires = "dry_run")]
    pub(crate) json: bool,
}

pub(super) const MITIGATE_HELP: &str = "\
Methods: none, wen, anisotropy (the paper's M), detector, jeon (SAIL), han, ren, jain, padding, random_tokens; with \
options as in the section mitigation of an experiment file.\n\
Examples:\n  \
memscope mitigate --model embedded:emoji-eps --prompt 'letter n' --method wen --out before-and-after\n  \
memscope mitigate --model embedded:emoji-eps --prompts embedded:verified --method '{name: anisotropy, config: 2}' \
--method ren --count 4 --out pictures\n\
Writes PNG files that carry prompt, seed, hash of the model and settings; loss.csv and loss.svg where something is \
optimised; summary.csv and summary.md.";

/// `memscope mitigate`.
#[derive(Debug, Args)]
pub(crate) struct Mitigate {
    /// The model.
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The prompt; may be repeated.
    #[arg(long = "prompt", value_name = "TEXT", required_unless_present = "prompt_list")]
    pub(crate) prompts: Vec<String>,
    /// More prompts: a file with one prompt a line (or .csv, .jsonl), or a list such as embedded:verified or paper:sd1_mem.
    #[arg(long = "prompts", value_name = "FILE")]
    pub(crate) prompt_list: Option<String>,
    /// Only the first N prompts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) limit: Option<u16>,
    /// Method, a name or options such as '{name: wen, iterations: 10}'; may be repeated.
    #[arg(long = "method", value_name = "METHOD", required = true, value_parser = entry_of_text)]
    pub(crate) methods: Vec<MitigationEntry>,
    /// Preset of the metric behind the method anisotropy: table1, release or equation14.
    #[arg(long, default_value_t = Preset::Table1)]
    pub(crate) protocol: Preset,
    /// Seed of the noise.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Noise generator: torch-cuda, torch-cuda/BLOCKS, torch-cpu or native.
    #[arg(long, default_value_t = NoiseGenerator::A6000)]
    pub(crate) generator: NoiseGenerator,
    /// How pictures are drawn.
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    /// Images to draw for each prompt and method.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) count: u16,
    /// Judges of copy similarity, alignment and quality: a folder, names of published ones joined by + (memscope models
    /// fetch judges), or embedded for those of the program.
    #[arg(long, value_name = "SRC")]
    pub(crate) judges: Option<String>,
    /// Folder with training pictures and pictures.csv (columns prompt and file).
    #[arg(long, value_name = "DIR")]
    pub(crate) training_pictures: Option<PathBuf>,
    /// Folder for the files.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Keep measurements and pictures in this folder instead of in the cache; the same command goes on where it was.
    #[arg(long, value_name = "DIR")]
    pub(crate) results: Option<PathBuf>,
    /// Measure and draw everything again instead of reusing what is kept.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Which part of it; needs --results.
    #[command(flatten)]
    pub(crate) part: ShardArgs,
    /// Replace files that are there.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
