//! What changes a generation so that it is no copy: published methods, one file each, behind one trait.
//!
//! A [`Mitigation`] is given a model, a prompt and the noise ([`Subject`]) and says what is drawn instead ([`Changed`]): another
//! prompt, another embedding, other latents, other attention or other guidance. [`sample`] draws it. Formulas, settings
//! and what the published code does otherwise stand in docs/spec/mitigation.md.

#![warn(clippy::missing_errors_doc)]

mod adam;
mod anisotropy;
mod detector;
mod embedding;
mod error;
mod guidance;
mod han;
mod jain;
mod jeon;
mod method;
mod none;
mod optimise;
mod padding;
mod passes;
mod random_tokens;
mod ren;
mod sample;
mod wen;

pub use anisotropy::anisotropy;
pub use detector::detector;
pub use error::{Error, Result};
pub use guidance::{Guidance, local_minimum};
pub use han::{BatchWise, Han, PerSample};
pub use jain::Jain;
pub use jeon::{Release, Sail};
pub use method::{Attention, Changed, Ending, Mitigation, Rows, Subject};
pub use none::Unmitigated;
pub use optimise::{EmbeddingOptimisation, EmbeddingSettings};
pub use padding::{Padding, PaddingMode};
pub use random_tokens::{RandomTokens, TokenStyle};
pub use ren::{Ren, Tokens};
pub use sample::sample;
pub use wen::wen;
