//! Scores of prompts, and of their tokens.

use std::path::PathBuf;

use clap::Args;
use memscope_eval::spec::DetectorName;
use memscope_metric::{Numerics, Preset};
use memscope_model::NoiseGenerator;

use super::{ModelArgs, ShardArgs};

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
