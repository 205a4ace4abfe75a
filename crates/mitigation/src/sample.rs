//! Sampling of what a mitigation has changed.

use memscope_model::{LatentDiffusion, Prediction, PredictionInput, PromptEmbedding, Sampling};

use crate::{
    embedding,
    error::{Error, Result},
    method::{Attention, Changed, Rows},
    passes::predict,
};

/// Draws the latents x₀, flattened (C, H, W) each, by DDIM steps along u + w (c − u) with the changed guidance w. `watch` is
/// told how many steps are done and says whether to stop.
///
/// # Errors
/// When the steps do not fit the schedule, a prediction is not finite, or `watch` asks to stop.
pub fn sample(
    model: &LatentDiffusion,
    changed: &Changed,
    empty: &PromptEmbedding,
    sampling: Sampling,
    mut watch: impl FnMut(usize) -> bool,
) -> Result<Vec<Vec<f32>>> {
    let predictor = Predictor::new(model, changed, empty)?;
    let mut latents = changed.latents.clone();
    let mut norms: Vec<Vec<f64>> = vec![vec![]; latents.len()];
    for (step, t) in model.schedule().timesteps(sampling.steps)?.into_iter().enumerate() {
        if watch(step) {
            return Err(Error::Stopped);
        }
        let (unconditional, conditional) = predictor.predict(&latents, t)?;
        for (image, x) in latents.iter_mut().enumerate() {
            let (u, c) = (&unconditional[image], &conditional[image]);
            norms[image].push(distance(&c.output, &u.output));
            let guidance = changed.guidance.scale(sampling.guidance, (image, step, t), &norms[image]);
            Sampling { guidance, ..sampling }.step(model.schedule(), x, u, c, t)?;
        }
    }
    Ok(latents)
}

/// ‖a − b‖₂.
pub(crate) fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt()
}

/// Both predictions of every latent, with changed attention.
struct Predictor<'a> {
    model: &'a LatentDiffusion,
    attention: Attention,
    prompt: PromptEmbedding,
    empty: PromptEmbedding,
}

impl<'a> Predictor<'a> {
    fn new(model: &'a LatentDiffusion, changed: &Changed, empty: &PromptEmbedding) -> Result<Self> {
        let attention = changed.attention;
        let (prompt, empty) = match attention {
            Attention::Unchanged => (changed.embedding.clone(), empty.clone()),
            Attention::Rescaled { keep, .. } => {
                (embedding::first_tokens(&changed.embedding, keep)?, embedding::first_tokens(empty, keep)?)
            }
        };
        Ok(Self { model, attention, prompt, empty })
    }

    fn predict(&self, latents: &[Vec<f32>], t: usize) -> Result<(Vec<Prediction>, Vec<Prediction>)> {
        let with = |prompt| latents.iter().map(move |x| PredictionInput { x, t, prompt });
        let both = || with(&self.empty).chain(with(&self.prompt)).collect::<Vec<_>>();
        let mut unconditional = match self.attention {
            Attention::Rescaled { factor, rows, .. } => {
                let factor_of = |row: usize| {
                    let is_scaled = match rows {
                        Rows::Conditional => row >= latents.len(),
                        Rows::OddAsReleased => row % 2 == 1,
                    };
                    if is_scaled { factor as f32 } else { 1.0 }
                };
                let factors: Vec<f32> = (0..2 * latents.len()).map(factor_of).collect();
                self.model.predict_rescaled(&both(), &factors)?
            }
            // Embeddings of different lengths make no batch.
            Attention::Unchanged if self.prompt.embedding.dims() != self.empty.embedding.dims() => {
                let conditional = predict(self.model, latents, t, &self.prompt)?;
                return Ok((predict(self.model, latents, t, &self.empty)?, conditional));
            }
            Attention::Unchanged => self.model.predict_batch(&both())?,
        };
        let conditional = unconditional.split_off(latents.len());
        Ok((unconditional, conditional))
    }
}
