//! Latent diffusion models: load one, encode a prompt, predict at (x, t, prompt), sample, decode,
//! differentiate.
//!
//! A [`LatentDiffusion`] comes from a [`ModelSource`], which the [`hub`] can download; its [`Blueprint`] knows what it
//! [costs](cost) before it is loaded; [`NoiseGenerator`] draws x_T as torch would; [`LatentDiffusion::predict_batch`]
//! turns a [`PredictionInput`] into a [`Prediction`]; [`Value`] is what may flow through the [`UNet`]: tensors (inference
//! and reverse mode) or [`Dual`] numbers (forward mode).

mod blueprint;
mod cache;
mod checkpoint;
mod config;
pub mod cost;
mod diffusion;
pub mod download;
mod dual;
mod error;
mod excerpt;
mod execution;
mod files;
mod fingerprint;
mod gemm;
pub mod hub;
mod json;
mod layers;
mod layout;
mod lora;
pub mod memory;
mod named;
pub mod noise;
pub mod ops;
mod origin;
mod parts;
mod prediction;
mod safetensors_file;
mod sampler;
mod schedule;
mod source;
#[cfg(test)]
mod test_util;
mod text_encoder;
pub mod text_fix;
pub mod tokenizer;
pub mod unet;
mod vae;
mod value;
mod variant;
mod weights;

pub use blueprint::Blueprint;
pub use checkpoint::FileOptions;
pub use cache::{CACHE_VARIABLE, cache_folder};
pub use diffusion::{LatentDiffusion, LoadOptions, PredictionInput, PromptEmbedding};
pub use dual::Dual;
pub use error::{Absence, Error, Result};
pub use execution::{DeviceChoice, Execution, NetworkDtype};
pub use lora::Lora;
pub use named::{NAMED_MODELS, NamedModel};
pub use noise::{NoiseGenerator, NoisePrecision};
pub use origin::WeightsOrigin;
pub use prediction::Prediction;
pub use sampler::{RgbImage, Sampling, Step};
pub use schedule::{Parameterization, Scales, Schedule, ScheduleCheck};
pub use source::{HubModel, ModelSource};
pub use text_encoder::TextEncoder;
pub use tokenizer::{PromptTokenizer, Tokens};
pub use unet::UNet;
pub use vae::Vae;
pub use value::Value;
pub use variant::Variant;
