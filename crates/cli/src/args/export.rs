//! Arguments of `noise` and `predictions`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use memscope_model::{ModelSource, NoiseGenerator, NoisePrecision};

use super::ModelArgs;

/// `memscope noise ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum Noise {
    /// Write the initial noise x_T of seeds and generations into a .safetensors file.
    #[command(after_help = NOISE_HELP)]
    Export(NoiseExport),
}

const NOISE_HELP: &str = "\
Examples:
  memscope noise export --latent-shape 4x64x64 --seed 42 --generations 4 --out noise.safetensors
  memscope noise export --model embedded:emoji-eps --seed 42 --seed 7 --out noise.safetensors

The file has x_T (seeds, generations, C, H, W), f32, unit variance, and seeds (seeds), u64.";

/// The noises of an export.
#[derive(Debug, Args)]
pub(crate) struct NoiseArgs {
    /// Noise generator: torch-cuda, torch-cuda/BLOCKS, torch-cpu or native.
    #[arg(long, default_value_t = NoiseGenerator::A6000)]
    pub(crate) generator: NoiseGenerator,
    /// Seed of the noise; may be repeated.
    #[arg(long = "seed", value_name = "S", default_values_t = [42])]
    pub(crate) seeds: Vec<u64>,
    /// Noises for each seed.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) generations: u16,
}

/// `memscope noise export`.
#[derive(Debug, Args)]
pub(crate) struct NoiseExport {
    /// The model whose latents it is for: as --model of other commands. Nothing is downloaded.
    #[arg(long, value_name = "SRC", required_unless_present = "latent_shape")]
    pub(crate) model: Option<ModelSource>,
    /// Channels, height and width of a latent in place of a model's, e.g. 4x64x64 for Stable Diffusion 1.4.
    #[arg(long, value_name = "CxHxW", conflicts_with = "model", value_parser = latent_shape)]
    pub(crate) latent_shape: Option<(usize, usize, usize)>,
    /// Which noises.
    #[command(flatten)]
    pub(crate) noise: NoiseArgs,
    /// Precision of the samples: f32, or bf16 as released code draws them.
    #[arg(long, default_value_t = NoisePrecision::F32)]
    pub(crate) precision: NoisePrecision,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace a file that is there.
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// `memscope predictions ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum Predictions {
    /// Write what the network predicts for prompts, on x_T, into a folder of .safetensors files.
    #[command(after_help = PREDICTIONS_HELP)]
    Export(PredictionsExport),
}

const PREDICTIONS_HELP: &str = "\
Example:
  memscope predictions export --model embedded:emoji-eps --prompts prompts.txt --seed 42 --timestep 981 --out predictions

A file for each seed, generation and batch of prompts, with the tensors (f32)
  x_T (C, H, W)  unconditional (timesteps, C, H, W)  conditional (prompts, timesteps, C, H, W)
and timesteps (u64); index.json lists the files with their prompts, seed and generation. The predictions are the network's
raw output, epsilon or v as index.json says, without guidance. Stopped, the same command goes on.
docs/own-detector.md shows a detector in Python that reads them.";

/// `memscope predictions export`.
#[derive(Debug, Args)]
pub(crate) struct PredictionsExport {
    /// The model.
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Prompts: a text file with one a line, a table (.csv, .tsv, .jsonl, .json, .parquet), or a list such as
    /// embedded:verified or paper:sd1_mem; may be repeated.
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) prompts: Vec<String>,
    /// Only the first N prompts of each list.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Timestep that the network is told; may be repeated. It is asked about x_T at every one.
    #[arg(long = "timestep", value_name = "T", default_values_t = [981])]
    pub(crate) timesteps: Vec<usize>,
    /// Which noises.
    #[command(flatten)]
    pub(crate) noise: NoiseArgs,
    /// Prompts a file, and samples per network call.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) batch: u16,
    /// Folder for the files.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Replace an index of another export, and ask the network for everything again.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print the costs of a dry run as JSON.
    #[arg(long, requires = "dry_run")]
    pub(crate) json: bool,
}

fn latent_shape(given: &str) -> Result<(usize, usize, usize), String> {
    let parts: Vec<usize> = given.split('x').filter_map(|part| part.parse().ok()).collect();
    match (given.split('x').count(), parts.as_slice()) {
        (3, &[c, h, w]) if (1..=64).contains(&c) && (1..=1024).contains(&h) && (1..=1024).contains(&w) => Ok((c, h, w)),
        _ => Err("give channels, height and width, e.g. 4x64x64".into()),
    }
}
