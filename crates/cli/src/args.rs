//! The command line as the user writes it.
// These comments are the help texts, in which brackets are not links.
#![allow(rustdoc::broken_intra_doc_links)]

mod examples;
mod export;
mod pictures;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use memscope_eval::spec::{DetectorName, MitigationEntry, entry_of_text};
use memscope_judges::{PUBLISHED_JUDGES, PublishedJudge};
use memscope_metric::{Numerics, Preset};
use memscope_model::{
    CheckpointWeights, DeviceChoice, Execution, FileOptions, LoadOptions, Lora, ModelSource, NetworkDtype,
    NoiseGenerator, Parameterization, Pixels, ScheduleCheck, SizeConditions, Variant,
};
use memscope_results::{export::Format, shards::ShardChoice};

use crate::exit_code::UserError;

pub(crate) use export::{Noise, NoiseExport, Predictions, PredictionsExport};
use pictures::{DUPLICATES_HELP, JUDGE_HELP, SIMILARITY_HELP};
pub(crate) use pictures::{Duplicates, Judge, JudgeArgs, PictureOutput, Similarity};

/// Tell whether prompts make a text-to-image diffusion model reproduce its training images, without generating any.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100, after_help = "See also: memscope exit-codes")]
pub(crate) struct Cli {
    /// More messages on standard error (-v: what happens, -vv: details).
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Replay experiments of the paper: measure, compare, save.
    #[command(after_help = examples::REPRODUCE)]
    Reproduce(Reproduce),
    /// Run an experiment file.
    #[command(after_help = examples::RUN)]
    Run(Run),
    /// Check an experiment file without running it.
    #[command(after_help = examples::VALIDATE)]
    Validate {
        /// The experiment file.
        file: PathBuf,
    },
    /// Print the JSON Schema of experiment files, for editors.
    #[command(after_help = examples::SCHEMA)]
    Schema,
    /// Score prompts with a model.
    #[command(after_help = examples::DETECT)]
    Detect(Detect),
    /// Say whether a model copies its training pictures, which, and how sure that is.
    #[command(after_help = crate::audit_args::AUDIT_HELP)]
    Audit(crate::audit_args::Audit),
    /// Keep the scores of ordinary prompts, for audits of the same model with the same settings.
    #[command(after_help = crate::audit_args::CALIBRATE_HELP)]
    Calibrate(crate::audit_args::Calibrate),
    /// Show which tokens of a prompt drive it towards a memorized image (Wen et al.).
    #[command(after_help = examples::TOKENS)]
    Tokens(Tokens),
    /// Compare two results folders: the same run cell by cell, or two runs on the same prompts.
    #[command(after_help = examples::COMPARE)]
    Compare(Compare),
    /// Check the paper's mathematics on sampled instances.
    #[command(subcommand)]
    Verify(Verify),
    /// Make one self-contained HTML page of a results folder, or of two.
    #[command(after_help = examples::REPORT)]
    Report(Report),
    /// Print a table of a results folder in another format, or some of its columns.
    #[command(after_help = examples::TABLE)]
    Table(Table),
    /// Put the records of shards into the store that a plain run reads; the run then asks the network nothing.
    #[command(after_help = MERGE_HELP)]
    Merge(Merge),
    /// Run an experiment in shards: as a Slurm job array, or as processes on this machine.
    #[command(after_help = SUBMIT_HELP)]
    Submit(Submit),
    /// Say how far the shards below a results folder are.
    #[command(after_help = examples::STATUS)]
    Status(Status),
    /// Compute AUC and TPR from a file of scores.
    #[command(after_help = examples::EVALUATE)]
    Evaluate(Evaluate),
    /// Draw images for a prompt.
    #[command(after_help = examples::GENERATE)]
    Generate(Generate),
    /// Draw images for prompts without and with mitigation, and compare them.
    #[command(after_help = MITIGATE_HELP)]
    Mitigate(Mitigate),
    /// Find the nearest picture for each picture: is one a copy of the other?
    #[command(after_help = SIMILARITY_HELP)]
    Similarity(Similarity),
    /// Look at pictures: alignment with their prompts, quality, similarity to training pictures.
    #[command(after_help = JUDGE_HELP)]
    Judge(Judge),
    /// Find near duplicates in a folder of training pictures.
    #[command(after_help = DUPLICATES_HELP)]
    Duplicates(Duplicates),
    /// The initial noise x_T as a file, for detectors of other programs.
    #[command(subcommand)]
    Noise(Noise),
    /// The network's predictions as files, for detectors of other programs.
    #[command(subcommand)]
    Predictions(Predictions),
    /// List the models that can be named, download one, or check what is in the cache.
    #[command(after_help = examples::MODELS)]
    Models(Models),
    /// Prompt lists that are not part of the program: list or download them.
    #[command(subcommand, after_help = examples::DATA)]
    Data(Data),
    /// Print a completion script for a shell.
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages of memscope and its commands into a folder.
    #[command(after_help = examples::MAN)]
    Man {
        /// The folder; it is made if it does not exist.
        folder: PathBuf,
    },
    /// Explain the exit codes.
    #[command(name = "exit-codes", hide = true)]
    ExitCodes,
}

/// A model on the command line.
#[derive(Clone, Debug, Args)]
pub(crate) struct ModelArgs {
    /// embedded:NAME, sd14, sd20, rv51, a folder in diffusers layout, a checkpoint file (.safetensors, .ckpt) of SD 1.x,
    /// 2.x or SDXL, or a Hub id, owner/name[@revision].
    #[arg(long = "model", value_name = "SRC")]
    source: ModelSource,
    /// Variant of the weight files, e.g. fp16 for *.fp16.safetensors; by default those without one.
    #[arg(long, value_name = "NAME")]
    variant: Option<Variant>,
    /// LoRA file merged into the weights, times SCALE (1 if left out); may be repeated.
    #[arg(long = "lora", value_name = "FILE[:SCALE]")]
    loras: Vec<Lora>,
    /// How a checkpoint file is read.
    #[command(flatten)]
    file: FileArgs,
    /// What SDXL is told of a picture.
    #[command(flatten)]
    sizes: SizeArgs,
    /// Run the model even if its scheduler's timesteps are not the protocol's 981, 961, ..., 1.
    #[arg(long)]
    accept_schedule: bool,
    /// Number format of the network: f32, f16 or bf16.
    #[arg(long, default_value_t)]
    dtype: NetworkDtype,
    /// Device of the network: auto, cpu or cuda:N.
    #[arg(long, default_value_t)]
    device: DeviceChoice,
    /// Costs.
    #[command(flatten)]
    pub(crate) costs: CostArgs,
}

/// How a checkpoint in one file is read.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FileArgs {
    /// VAE in place of the one in the checkpoint file: a .safetensors or PyTorch file.
    #[arg(long, value_name = "FILE")]
    vae: Option<PathBuf>,
    /// Folder in diffusers layout (or embedded:NAME) whose configurations and tokenizer describe the checkpoint file; by
    /// default those of Stable Diffusion.
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// What the network of the checkpoint file predicts, epsilon or v_prediction, where the file does not say it.
    #[arg(long, value_name = "TYPE")]
    prediction_type: Option<Parameterization>,
    /// Read the averaged weights (EMA) of the checkpoint file's UNet in place of the trained ones.
    #[arg(long)]
    ema: bool,
}

/// A model, and the scale of its LoRA file where several are asked for.
pub(crate) struct ScaledModel {
    pub(crate) lora_scale: Option<f64>,
    pub(crate) model: ModelArgs,
}

/// What SDXL is told of a picture's size.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct SizeArgs {
    /// SDXL: height and width of the picture before it was cut, e.g. 512x768; by default those of the model's pictures.
    #[arg(long, value_name = "HxW")]
    original_size: Option<Pixels>,
    /// SDXL: where the picture was cut, from the top and from the left; by default 0x0.
    #[arg(long, value_name = "TOPxLEFT")]
    crops: Option<Pixels>,
    /// SDXL: height and width of the picture after it was cut; by default those of the model's pictures.
    #[arg(long, value_name = "HxW")]
    target_size: Option<Pixels>,
}

impl SizeArgs {
    /// The sizes as the model takes them.
    pub(crate) fn conditions(self) -> SizeConditions {
        SizeConditions {
            original_size: self.original_size,
            crops_coords_top_left: self.crops,
            target_size: self.target_size,
        }
    }
}

impl FileArgs {
    /// The options as the model takes them.
    pub(crate) fn options(&self) -> FileOptions {
        let Self { vae, config, prediction_type, ema } = self.clone();
        let weights = if ema { CheckpointWeights::Averaged } else { CheckpointWeights::Trained };
        FileOptions { vae, config, prediction: prediction_type, weights }
    }
}

/// What is done about the costs of a run.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct CostArgs {
    /// Print network calls, operations, seconds on this machine and memory, and stop; no weights are read.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Start even if there seems to be too little memory.
    #[arg(long)]
    pub(crate) ignore_memory: bool,
}

impl ModelArgs {
    /// The model that is meant.
    pub(crate) fn source(&self) -> memscope_model::Result<ModelSource> {
        self.source_with(self.loras.clone())
    }

    /// The same model with other LoRA files, or with none.
    pub(crate) fn source_with(&self, loras: Vec<Lora>) -> memscope_model::Result<ModelSource> {
        let source = self.source.clone().with_variant(self.variant.clone())?;
        Ok(source.with_file_options(self.file.options())?.with_loras(loras).with_sizes(self.sizes.conditions()))
    }

    /// Its LoRA files.
    pub(crate) fn loras(&self) -> &[Lora] {
        &self.loras
    }

    /// The model at each of these scales of its one LoRA file, or as it is where there are none.
    pub(crate) fn at_scales(&self, scales: &[f64]) -> anyhow::Result<Vec<ScaledModel>> {
        if scales.is_empty() {
            return Ok(vec![ScaledModel { lora_scale: None, model: self.clone() }]);
        }
        let [lora] = self.loras() else {
            return Err(UserError::input("--lora-scale needs exactly one --lora").into());
        };
        let scaled = |scale: &f64| {
            if !scale.is_finite() {
                return Err(UserError::input(format!("--lora-scale {scale} is not a number")).into());
            }
            let loras = vec![Lora { scale: *scale, ..lora.clone() }];
            Ok(ScaledModel { lora_scale: Some(*scale), model: Self { loras, ..self.clone() } })
        };
        scales.iter().map(scaled).collect()
    }

    /// How it is loaded.
    pub(crate) fn options(&self) -> LoadOptions {
        LoadOptions {
            schedule: ScheduleCheck::accepting(self.accept_schedule),
            execution: Execution { dtype: self.dtype, device: self.device },
        }
    }
}

/// `memscope models`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Models {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// What to do instead of listing.
    #[command(subcommand)]
    pub(crate) action: Option<ModelsAction>,
}

/// `memscope models ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsAction {
    /// Say what a model is: architecture, parameters, number formats, prediction type, schedule, tensors that are not
    /// used, and whether it can be run; exit code 4 if not.
    Inspect {
        /// What --model takes: a folder, a checkpoint file, embedded:NAME or the id of a downloaded model.
        model: ModelSource,
        /// Variant of the weight files.
        #[arg(long, value_name = "NAME")]
        variant: Option<Variant>,
        /// LoRA file merged into the weights, times SCALE; may be repeated.
        #[arg(long = "lora", value_name = "FILE[:SCALE]")]
        loras: Vec<Lora>,
        /// How a checkpoint file is read.
        #[command(flatten)]
        file: FileArgs,
        /// What SDXL is told of a picture.
        #[command(flatten)]
        sizes: SizeArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Download what a model of the Hub, or a set of judges, lacks in the cache, or go on with it; prints its folder.
    #[command(after_help = FETCH_HELP)]
    Fetch {
        /// sd14, sd20, rv51, or a Hub id, owner/name[@revision]; judges for published judges of pictures.
        model: FetchTarget,
        /// judges: which of them, at most one each for copy similarity, alignment and quality; may be repeated. By default
        /// sscd-disc-large, clip-vit-l-14 and aesthetic.
        #[arg(long = "judge", value_name = "NAME", value_parser = judge_names())]
        judges: Vec<String>,
        /// Variant of the weight files, e.g. fp16 for *.fp16.safetensors; by default those without one.
        #[arg(long, value_name = "NAME")]
        variant: Option<Variant>,
    },
    /// Hash the files of a cached model again and compare them with what the Hub announced; needs no network.
    #[command(after_help = VERIFY_HELP)]
    Verify {
        /// sd14, sd20, rv51, or a Hub id, owner/name[@revision]; by default every model that memscope downloaded.
        model: Option<ModelSource>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

const VERIFY_HELP: &str = "\
The hashes are those that the Hub announced at the download; of files that another program downloaded, those that their \
blobs are named by. What is damaged is downloaded again by `memscope models fetch`. Exit code 4 if anything is damaged \
or missing.";

/// What `memscope models fetch` brings.
#[derive(Clone, Debug)]
pub(crate) enum FetchTarget {
    /// Published judges.
    Judges,
    /// A model.
    Model(ModelSource),
}

impl std::str::FromStr for FetchTarget {
    type Err = memscope_model::Error;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        if given == "judges" { Ok(Self::Judges) } else { given.parse().map(Self::Model) }
    }
}

/// Names of published judges, for completions and messages.
fn judge_names() -> clap::builder::PossibleValuesParser {
    let value = |judge: &PublishedJudge| clap::builder::PossibleValue::new(judge.name).help(judge.description);
    clap::builder::PossibleValuesParser::new(PUBLISHED_JUDGES.iter().map(value).collect::<Vec<_>>())
}

const FETCH_HELP: &str = "\
Examples:\n  \
memscope models fetch sd14\n  \
memscope models fetch judges\n  \
memscope models fetch judges --judge sscd-disc-large --judge clip-vit-g-14 --judge aesthetic    # as MemBench\n\
Judges from the Hub lie in its cache, the others in MEMSCOPE_CACHE; the printed folder links to both and is what \
--judges takes. Where no hash was published, that of the first download is printed and kept.\n\
Environment: HF_TOKEN (gated and private models), HF_HOME or HF_HUB_CACHE (where the cache is), HF_ENDPOINT (a mirror \
of the Hub), HF_HUB_OFFLINE=1 (no network), HTTPS_PROXY, SSL_CERT_FILE; MEMSCOPE_SD14, MEMSCOPE_SD20, MEMSCOPE_RV51 \
(another source for the short name); MEMSCOPE_CACHE; MEMSCOPE_JUDGES_URL (a mirror of the judges that are not on the Hub).";

/// `memscope data`.
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// List the published prompt lists, their origin and whether they are there.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Download a set of prompt lists at pinned commits, checked by SHA-256; prints where they are.
    #[command(after_help = DATA_VARIABLES)]
    Fetch {
        /// The set: paper has the paper's lists and those of the methods it compares with.
        set: DataSet,
    },
}

const DATA_VARIABLES: &str = "\
Experiments name the lists paper:LIST. They are published without a clear licence and are no part of memscope.\n\
Environment: MEMSCOPE_CACHE (where they are kept; by default memscope in the platform's cache folder), \
MEMSCOPE_LISTS_URL (in place of https://raw.githubusercontent.com), HTTPS_PROXY, SSL_CERT_FILE.";

/// A set of prompt lists.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum DataSet {
    /// The paper's and its baselines' lists.
    Paper,
}

/// `memscope reproduce`.
#[derive(Debug, Args)]
pub(crate) struct Reproduce {
    /// What to reproduce, e.g. table1; all for everything and a report.
    #[arg(required_unless_present = "list", value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// Run the targets on a real model: sd14, sd20 or rv51 with the paper's prompt lists for it, or any other model (a
    /// folder, a checkpoint file, a Hub id) with --memorized and --non-memorized.
    #[arg(long, value_name = "SRC")]
    pub(crate) model: Option<String>,
    /// Prompts whose training image the model reproduces: a file with one prompt a line (or .csv, .jsonl), or a list such
    /// as paper:sd1_mem.
    #[arg(long, value_name = "FILE", requires_all = ["model", "non_memorized"])]
    pub(crate) memorized: Option<String>,
    /// Prompts that lead to new images, likewise.
    #[arg(long, value_name = "FILE", requires_all = ["model", "memorized"])]
    pub(crate) non_memorized: Option<String>,
    /// Variant of the weight files, e.g. fp16.
    #[arg(long, value_name = "NAME", requires = "model")]
    pub(crate) variant: Option<Variant>,
    /// LoRA file merged into the weights, times SCALE (1 if left out); may be repeated.
    #[arg(long = "lora", value_name = "FILE[:SCALE]", requires = "model")]
    pub(crate) loras: Vec<Lora>,
    /// Run the target once for each of these scales of the LoRA file, e.g. 0.25,0.5,1, into one table.
    #[arg(long, value_name = "SCALES", value_delimiter = ',', requires = "loras")]
    pub(crate) lora_scale: Vec<f64>,
    /// How a checkpoint file is read.
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// What SDXL is told of a picture.
    #[command(flatten)]
    pub(crate) sizes: SizeArgs,
    /// List the targets.
    #[arg(long, conflicts_with_all = ["targets", "fresh", "dry_run"])]
    pub(crate) list: bool,
    /// Options of a run.
    #[command(flatten)]
    pub(crate) options: RunOptions,
    /// Which part of it.
    #[command(flatten)]
    pub(crate) part: ShardArgs,
}

/// Which part of a plan is run.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct ShardArgs {
    /// Run only the I-th of N parts, as 3/8, into shards/ below the results folder, and write no tables; auto reads what
    /// Slurm's job arrays, Kubernetes' indexed jobs or HyperQueue say. `memscope merge` puts the parts together.
    #[arg(long, value_name = "I/N|auto", conflicts_with = "fresh")]
    pub(crate) shard: Option<ShardChoice>,
}

/// `memscope run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The experiment file.
    pub(crate) file: PathBuf,
    /// Options of a run.
    #[command(flatten)]
    pub(crate) options: RunOptions,
    /// Which part of it.
    #[command(flatten)]
    pub(crate) part: ShardArgs,
}

/// Options shared by `run` and `reproduce`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct RunOptions {
    /// Folder for results; stored measurements in it are reused.
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(crate) results: PathBuf,
    /// Folder for stored measurements, which several results folders may share; by default answers in the results folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) answers: Option<PathBuf>,
    /// Replace a field of the experiment, e.g. noise.seeds=[42] (value in YAML); may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Run models even if their scheduler's timesteps are not the protocol's 981, 961, ..., 1.
    #[arg(long)]
    pub(crate) accept_schedule: bool,
    /// Number format of the networks, in place of the experiment's: f32, f16 or bf16.
    #[arg(long)]
    pub(crate) dtype: Option<NetworkDtype>,
    /// Device of the networks, in place of the experiment's: auto, cpu or cuda:N.
    #[arg(long)]
    pub(crate) device: Option<DeviceChoice>,
    /// Measure everything again instead of reusing stored measurements.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Replace results of the same name that were made with other settings; without it such a run is refused.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print the tables as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Costs.
    #[command(flatten)]
    pub(crate) costs: CostArgs,
}

/// `memscope detect`.
#[derive(Debug, Args)]
pub(crate) struct Detect {
    /// The model.
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Text file with one prompt a line, a table (.csv, .tsv, .jsonl, .json, .parquet), or a list such as paper:sd1_mem; -
    /// for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) prompts: PathBuf,
    /// Column of the table that holds the prompts; by default prompt, caption or text, in any case.
    #[arg(long, value_name = "NAME")]
    pub(crate) column: Option<String>,
    /// Detector to run beside the anisotropy metric; may be repeated.
    #[arg(long = "detector", value_name = "NAME", default_values_t = [DetectorName::Anisotropy])]
    pub(crate) detectors: Vec<DetectorName>,
    /// Scores once for each of these scales of the one --lora, e.g. 0.25,0.5,1.
    #[arg(long, value_name = "SCALES", value_delimiter = ',', allow_negative_numbers = true)]
    pub(crate) lora_scale: Vec<f64>,
    /// Noise generator: torch-cuda, torch-cuda/BLOCKS, torch-cpu or native.
    #[arg(long, default_value_t = NoiseGenerator::A6000)]
    pub(crate) generator: NoiseGenerator,
    /// Seed of the noise; may be repeated.
    #[arg(long = "seed", value_name = "S", default_values_t = [42], allow_negative_numbers = true)]
    pub(crate) seeds: Vec<u64>,
    /// Noises per prompt and seed, averaged into one score.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..), allow_negative_numbers = true)]
    pub(crate) generations: u16,
    /// Preset of the metric: table1, release or equation14.
    #[arg(long, default_value_t = Preset::Table1)]
    pub(crate) protocol: Preset,
    /// Arithmetic of the metric: f32 or bf16-emulated.
    #[arg(long, default_value_t = Numerics::F32)]
    pub(crate) numerics: Numerics,
    /// Samples per network call.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..), allow_negative_numbers = true)]
    pub(crate) batch: u16,
    /// Measure everything again instead of reusing what is stored in the cache.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Keep measurements in this folder, as `memscope run` does, instead of in the cache.
    #[arg(long, value_name = "DIR")]
    pub(crate) results: Option<PathBuf>,
    /// Which part of it; needs --results.
    #[command(flatten)]
    pub(crate) part: ShardArgs,
    /// Write the scores to a .csv, .parquet or .jsonl file: every row of the prompts' table in its order, with all its
    /// columns, then seed and scores.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `merge` says of itself.
const MERGE_HELP: &str = "\
Examples:
  memscope run audit.yaml --shard 1/2; memscope run audit.yaml --shard 2/2
  memscope merge results && memscope run audit.yaml      # asks the network nothing, writes the tables

Exit code 10 if shards are missing, or were not made alike; docs/scale.md says more.";

/// `memscope merge`.
#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// The folder given to the shards with --results.
    pub(crate) results: PathBuf,
    /// Merge this plan only, by its name below shards/.
    #[arg(long, value_name = "NAME")]
    pub(crate) plan: Option<String>,
    /// Merge the shards that are done, and say which are missing.
    #[arg(long)]
    pub(crate) partial: bool,
    /// Merge shards that were computed on different hardware, which rounds differently.
    #[arg(long)]
    pub(crate) allow_mixed: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `memscope status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The folder given to the shards with --results.
    pub(crate) results: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `submit` says of itself.
const SUBMIT_HELP: &str = "\
Examples:
  memscope submit audit.yaml --engine slurm --shards 64 --gpus 1 --time 240 --sbatch=--partition=gpu --print
  memscope submit table1 --engine local --devices cuda:0,cuda:1
  memscope submit table1 --engine local --devices cpu:0-15,cpu:16-31

Given again, the same command submits what is missing and nothing else. docs/scale.md says more.";

/// `memscope submit`.
#[derive(Debug, Args)]
pub(crate) struct Submit {
    /// An experiment file, or what `memscope reproduce` calls a target.
    pub(crate) experiment: String,
    /// Who runs the shards.
    #[arg(long)]
    pub(crate) engine: Engine,
    /// In how many parts; by default one for each device, or 8.
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<usize>,
    /// Only print what would be submitted or started.
    #[arg(long)]
    pub(crate) print: bool,
    /// Merge shards that were computed on different hardware.
    #[arg(long)]
    pub(crate) allow_mixed: bool,
    /// local: a process for each of these devices, cuda:N or cpu:CORES (cores as taskset takes them).
    #[arg(long, value_name = "DEVICE,...", value_delimiter = ',', num_args = 1..)]
    pub(crate) devices: Vec<String>,
    /// slurm: minutes a shard; by default from the estimated costs, with half as much again on top.
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) time: Option<u32>,
    /// slurm: GPUs a shard.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) gpus: u32,
    /// slurm: cores a shard.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) cpus: u32,
    /// slurm: shards at work at once, at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) at_once: Option<u32>,
    /// slurm: seconds before the time limit at which a shard is asked to stop and is queued again.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) warning: u32,
    /// slurm: tasks of one array at most, in place of what scontrol says (MaxArraySize).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) max_array_size: Option<u32>,
    /// slurm: a further option of sbatch, e.g. --sbatch=--partition=gpu; may be repeated.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) sbatch: Vec<String>,
    /// Options of the run.
    #[command(flatten)]
    pub(crate) options: RunOptions,
}

/// Who runs shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// A job array of Slurm, then a job that merges.
    Slurm,
    /// Processes on this machine.
    Local,
}

/// `memscope tokens`.
#[derive(Debug, Args)]
pub(crate) struct Tokens {
    /// The model.
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The prompt; may be repeated.
    #[arg(long = "prompt", value_name = "TEXT", required = true)]
    pub(crate) prompts: Vec<String>,
    /// Noise generator: torch-cuda, torch-cuda/BLOCKS, torch-cpu or native.
    #[arg(long, default_value_t = NoiseGenerator::A6000)]
    pub(crate) generator: NoiseGenerator,
    /// Seed of the noise.
    #[arg(long, default_value_t = 42, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Noises; the gradients' norms are averaged over them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..), allow_negative_numbers = true)]
    pub(crate) generations: u16,
    /// With several noises: the gradient of one norm over all of them, as the released code takes it.
    #[arg(long)]
    pub(crate) one_norm: bool,
    /// Measure everything again instead of reusing what is stored in the cache.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Draw the tokens as a strip, shaded by significance, into this .svg or .png file.
    #[arg(long, value_name = "FILE")]
    pub(crate) figure: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `memscope verify`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verify {
    /// Theorem 1: a lower bound on the cosine between score and guidance direction.
    #[command(after_help = examples::THEOREM1)]
    Theorem1(Theorem1),
}

/// `memscope verify theorem1`.
#[derive(Debug, Args)]
pub(crate) struct Theorem1 {
    /// Instances to sample.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true)]
    pub(crate) count: u32,
    /// Seed of the sampling.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Folder for results.
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(crate) results: PathBuf,
    /// Replace results with another count or seed; without it such a run is refused.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print the table as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `memscope report`.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// A results folder: of one experiment, or holding several.
    pub(crate) results: PathBuf,
    /// Another one, to be laid over the first: the experiments that both have, or the only one of each.
    pub(crate) second: Option<PathBuf>,
    /// Show criterion's medians from this folder, and link its pages, e.g. target/criterion after cargo bench.
    #[arg(long, value_name = "DIR", conflicts_with = "second")]
    pub(crate) criterion: Option<PathBuf>,
    /// The file to write; by default report.html in the results folder, report-of-two.html with two.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `memscope compare`.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// A results folder: of one experiment, or holding several.
    pub(crate) first: PathBuf,
    /// The other.
    pub(crate) second: PathBuf,
    /// Differences of detectors on the same prompts with their intervals, in place of cell by cell; without it where the
    /// two have no experiment of one name.
    #[arg(long)]
    pub(crate) paired: bool,
    /// How far two numbers may lie apart; for numbers above 1, relative to them.
    #[arg(long, default_value_t = 0.002, allow_negative_numbers = true)]
    pub(crate) tolerance: f64,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `memscope table`.
#[derive(Debug, Args)]
pub(crate) struct Table {
    /// The table: a .json file in the folder tables of an experiment.
    pub(crate) file: PathBuf,
    /// Only these columns, by their keys, in this order.
    #[arg(long, value_name = "KEY,...", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// Format: text, markdown, csv, json or latex.
    #[arg(long, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// `memscope evaluate`.
#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// A .csv, .parquet or .jsonl file with one row per prompt.
    pub(crate) file: PathBuf,
    /// Column with the class: 1/0, true/false or memorized/non_memorized.
    #[arg(long, value_name = "COL", default_value = "memorized")]
    pub(crate) label: String,
    /// Column with the score; higher means memorized.
    #[arg(long, value_name = "COL", default_value = "score")]
    pub(crate) score: String,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
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
    /// DDIM steps.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..), allow_negative_numbers = true)]
    pub(crate) steps: u16,
    /// Guidance weight.
    #[arg(long, default_value_t = 7.5, allow_negative_numbers = true)]
    pub(crate) guidance: f64,
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

const MITIGATE_HELP: &str = "\
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
    /// DDIM steps.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) steps: u16,
    /// Guidance weight.
    #[arg(long, default_value_t = 7.5)]
    pub(crate) guidance: f64,
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
    /// Keep measurements and pictures in this folder, so that the same command goes on where it was.
    #[arg(long, value_name = "DIR")]
    pub(crate) results: Option<PathBuf>,
    /// Measure and draw everything again instead of reusing what --results holds.
    #[arg(long, requires = "results")]
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
