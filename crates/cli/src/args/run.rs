//! Running experiments, whole or in shards.

use std::path::PathBuf;

use clap::Args;
use memscope_model::{DeviceChoice, Lora, NetworkDtype, Variant};
use memscope_results::shards::ShardChoice;

use super::{CostArgs, FileArgs, SizeArgs};

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

/// What `merge` says of itself.
pub(super) const MERGE_HELP: &str = "\
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
pub(super) const SUBMIT_HELP: &str = "\
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
