//! Latent diffusion models: load one, encode a prompt, predict at (x, t, prompt), sample, decode,
//! differentiate.
//!
//! A [`LatentDiffusion`] comes from a [`ModelSource`], which `memscope_hub` can download; its [`Blueprint`] knows what it
//! [costs](cost) before it is loaded; [`NoiseGenerator`] draws x_T as torch would; [`LatentDiffusion::predict_batch`]
//! turns a [`PredictionInput`] into a [`Prediction`]; [`Value`] is what may flow through the [`UNet`]: tensors (inference
//! and reverse mode) or [`Dual`] numbers (forward mode).

mod blueprint;
mod bytes;
mod checkpoint;
mod config;
pub mod cost;
mod diffusion;
mod dual;
mod error;
mod excerpt;
mod execution;
mod files;
mod fingerprint;
mod gemm;
mod json;
mod layers;
mod layout;
mod lora;
pub mod memory;
pub mod noise;
mod numbers;
pub mod ops;
mod origin;
mod parts;
mod prediction;
mod safetensors_file;
mod sampler;
mod schedule;
mod selection;
mod source;
mod summary;
#[cfg(test)]
mod test_util;
mod text_encoder;
pub mod text_fix;
pub mod tokenizer;
pub mod unet;
mod vae;
mod value;
mod weights;

pub use blueprint::Blueprint;
pub use checkpoint::FileOptions;
pub use diffusion::{LatentDiffusion, LoadOptions, PredictionInput, PromptEmbedding};
pub use dual::Dual;
pub use error::{Error, Result};
pub use execution::{DeviceChoice, Execution, NetworkDtype};
pub use lora::Lora;
pub use memscope_hub::{HubModel, NamedModel, Variant};
pub use noise::{NoiseGenerator, NoisePrecision};
pub use origin::WeightsOrigin;
pub use prediction::Prediction;
pub use sampler::{RgbImage, Sampling, Step};
pub use schedule::{Parameterization, Scales, Schedule, ScheduleCheck};
pub use selection::DiffusersFiles;
pub use source::ModelSource;
pub use summary::{ModelSummary, NetworkSummary, UnusedTensors};
pub use text_encoder::TextEncoder;
pub use tokenizer::{PromptTokenizer, Tokens};
pub use unet::UNet;
pub use vae::Vae;
pub use value::Value;
