//! Any detector whose score has a gradient, as the loss.

use memscope_metric::Detector;

use crate::{
    error::{Error, Result},
    optimise::{EmbeddingOptimisation, EmbeddingSettings},
};

/// Lowers a detector's score, averaged over the latents as the detector averages it.
///
/// # Errors
/// When a setting is out of range, or the detector has no gradient here.
pub fn detector(detector: &dyn Detector, settings: EmbeddingSettings) -> Result<EmbeddingOptimisation> {
    const NAME: &str = "detector";
    let loss = detector.loss().ok_or_else(|| {
        let name = detector.name();
        let reason = "norms and cosines on input: noise, in numerics: f32, with normalization: none have one";
        Error::setting(NAME, format!("the score of '{name}' has no gradient here; {reason}"))
    })?;
    EmbeddingOptimisation::new(NAME, loss, settings)
}
