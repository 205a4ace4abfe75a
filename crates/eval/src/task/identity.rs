//! What measured numbers depend on of a model.

use memscope_model::{Blueprint, Execution, LatentDiffusion};

/// What measured numbers depend on of a model.
#[derive(Clone, Debug)]
pub struct ModelIdentity {
    /// Checksum of its weights, configurations and tokenizer.
    pub fingerprint: String,
    /// Number format and kind of device, see [`LatentDiffusion::arithmetic`].
    pub arithmetic: String,
    /// (C, H, W) of its latents.
    pub latent_shape: (usize, usize, usize),
}

impl ModelIdentity {
    /// A model that is not loaded yet.
    pub fn planned(blueprint: &Blueprint, execution: Execution, fingerprint: String) -> Self {
        Self { fingerprint, arithmetic: execution.arithmetic(), latent_shape: blueprint.latent_shape() }
    }

    /// A loaded model.
    pub fn of(model: &LatentDiffusion) -> Self {
        Self {
            fingerprint: model.fingerprint().to_owned(),
            arithmetic: model.arithmetic(),
            latent_shape: model.latent_shape(),
        }
    }
}
