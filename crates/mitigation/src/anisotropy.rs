//! The paper's mitigation: M as the loss (Eq. 15; docs/spec/mitigation.md §2).

use memscope_metric::{Anisotropy, Detector, Gammas, ResolvedProtocol};

use crate::{
    error::{Error, Result},
    optimise::{EmbeddingOptimisation, EmbeddingSettings},
};

/// Lowers M under the given options and weights. What the paper leaves unsaid, the options say: the timestep and the
/// reduction of the cosine are those of the preset, the optimiser is that of Wen's method.
///
/// # Errors
/// When a setting is out of range, or M has no gradient under these options.
pub fn anisotropy(
    protocol: ResolvedProtocol,
    gammas: Gammas,
    settings: EmbeddingSettings,
) -> Result<EmbeddingOptimisation> {
    const NAME: &str = "anisotropy";
    let loss = Anisotropy::new(protocol, gammas).loss().ok_or_else(|| {
        Error::setting(NAME, "M can be lowered on input: noise, in numerics: f32, with normalization: none")
    })?;
    EmbeddingOptimisation::new(NAME, loss, settings)
}
