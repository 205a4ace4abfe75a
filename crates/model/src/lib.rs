//! Latent diffusion models: load one, encode a prompt, predict at (x, t, prompt), sample, decode,
//! differentiate.
//!
//! The nouns: a [`LatentDiffusion`] comes from a [`ModelSource`]; [`NoiseGenerator`] draws x_T as torch
//! would; a [`Question`] is answered by a [`Prediction`]; [`Value`] is what may flow through the
//! [`UNet`]: tensors (inference and reverse mode) or [`Dual`] numbers (forward mode).

mod config;
mod diffusion;
mod dual;
mod error;
mod files;
mod fingerprint;
mod layers;
pub mod noise;
pub mod ops;
mod origin;
mod prediction;
mod raw;
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
mod weights;

pub use diffusion::{LatentDiffusion, PromptEmbedding, Question};
pub use dual::Dual;
pub use error::{Error, Result};
pub use noise::{NoiseGenerator, NoisePrecision};
pub use origin::WeightsOrigin;
pub use prediction::Prediction;
pub use sampler::{RgbImage, Sampling, Step};
pub use schedule::{Parameterization, Scales, Schedule};
pub use source::ModelSource;
pub use text_encoder::TextEncoder;
pub use tokenizer::{PromptTokenizer, Tokens};
pub use unet::UNet;
pub use vae::Vae;
pub use value::Value;
