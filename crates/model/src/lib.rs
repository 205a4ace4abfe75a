//! Latent diffusion models: load one, encode a prompt, predict at (x, t, prompt), sample, decode,
//! differentiate.
//!
//! A [`LatentDiffusion`] comes from a [`ModelSource`], which `memscope_hub` can download; its [`Blueprint`] knows what it
//! [costs](cost) before it is loaded; [`NoiseGenerator`] draws x_T as torch would; [`LatentDiffusion::predict_batch`]
//! turns a [`PredictionInput`] into a [`Prediction`]; [`Value`] is what may flow through the [`UNet`]: tensors (inference
//! and reverse mode) or [`Dual`] numbers (forward mode).
//!
//! ```
//! use memscope_model::{LatentDiffusion, NoiseGenerator, NoisePrecision, PredictionInput, noise::initial_latents};
//!
//! # fn main() -> memscope_model::Result<()> {
//! let model = LatentDiffusion::load(&"embedded:emoji-eps".parse()?)?;
//! let prompts = model.encode_prompts(&["red heart", ""])?;
//! // x_T of seed 42, as torch would draw it on an RTX A6000.
//! let x = initial_latents(NoiseGenerator::A6000, NoisePrecision::F32, 42, 1, model.latent_shape());
//! let inputs = [0, 1].map(|i| PredictionInput { x: &x, t: 981, prompt: &prompts[i] });
//! let predictions = model.predict_batch(&inputs)?;
//! // The conditional score ∇ log p(x | prompt), flattened (C, H, W).
//! assert_eq!(predictions[0].score(&x).len(), x.len());
//! # Ok(())
//! # }
//! ```

#![warn(clippy::missing_errors_doc)]

mod blueprint;
mod bytes;
mod checkpoint;
mod config;
pub mod cost;
mod diffusion;
mod error;
mod execution;
mod file_names;
mod files;
mod fingerprint;
mod json;
mod layers;
mod layout;
mod lora;
pub mod memory;
mod memory_need;
pub mod noise;
mod numbers;
mod origin;
mod parameterization;
mod pipeline;
mod png_text;
mod prediction;
mod prompt;
mod sampler;
mod schedule;
mod selection;
mod sizes;
mod source;
mod summary;
mod tensor_file;
mod text_encoder;
pub mod text_fix;
pub mod tokenizer;
pub mod unet;
mod vae;
mod vae_encoder;
mod weights;

pub use blueprint::Blueprint;
pub use checkpoint::{CheckpointWeights, FileOptions};
pub use diffusion::{JacobianSide, LatentDiffusion, LoadOptions, PredictionInput};
pub use error::{Error, Result};
pub use execution::{DeviceChoice, Execution, NetworkDtype};
pub use lora::Lora;
pub use memscope_hub::{HubModel, NamedModel, Variant};
pub use memscope_kernels::{Dual, Value};
pub use noise::{NoiseGenerator, NoisePrecision};
pub use origin::WeightsOrigin;
pub use parameterization::Parameterization;
pub use prediction::Prediction;
pub use prompt::{PromptBatch, PromptEmbedding};
pub use sampler::{RgbImage, Sampling, Step};
pub use schedule::{Scales, Schedule, ScheduleCheck};
pub use selection::DiffusersFiles;
pub use sizes::{Pixels, SizeConditions};
pub use source::ModelSource;
pub use summary::{ModelSummary, NetworkSummary, UnusedTensors};
pub use text_encoder::{EncodedText, TextEncoder};
pub use tokenizer::{PromptTokenizer, Tokens};
pub use unet::UNet;
pub use vae::Vae;
pub use vae_encoder::VaeEncoder;
