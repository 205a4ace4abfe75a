//! DDIM sampling with classifier-free guidance, and decoding to images.

use candle_core::DType;

use crate::{
    diffusion::{LatentDiffusion, PredictionInput},
    error::{Error, Result},
    prediction::Prediction,
    prompt::PromptEmbedding,
    schedule::Schedule,
};

/// How images are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// DDIM steps.
    pub steps: usize,
    /// Guidance weight w: u + w (c − u).
    pub guidance: f64,
}

impl Default for Sampling {
    /// The reference protocol: 50 steps, guidance 7.5.
    fn default() -> Self {
        Self { steps: 50, guidance: 7.5 }
    }
}

impl Sampling {
    /// One guided DDIM step, in place: `x` is x_t, flattened (C, H, W), and becomes the latent of the next timestep.
    ///
    /// `unconditional` and `conditional` are the predictions u and c for `x` at `t` under the empty and the real prompt;
    /// the step is taken along u + w (c − u), in the network's own parameterization.
    ///
    /// # Errors
    ///
    /// When the predictions differ in length from `x`, there are no steps, or `t` is not a timestep of the schedule.
    pub fn step(
        &self,
        schedule: &Schedule,
        x: &mut [f32],
        unconditional: &Prediction,
        conditional: &Prediction,
        t: usize,
    ) -> Result<()> {
        if unconditional.output.len() != x.len() || conditional.output.len() != x.len() {
            return Err(Error::Argument(format!(
                "a latent of {} numbers does not fit predictions of {} and {}",
                x.len(),
                unconditional.output.len(),
                conditional.output.len()
            )));
        }
        let Some(stride) = schedule.train_steps().checked_div(self.steps) else {
            return Err(Error::Argument("sampling takes at least one step".into()));
        };
        let w = self.guidance as f32;
        let outputs = unconditional.output.iter().zip(&conditional.output);
        let guided: Vec<f32> = outputs.map(|(u, c)| u + w * (c - u)).collect();
        schedule.ddim_step(x, &guided, t, stride)
    }
}

/// One step of a trajectory, before the latents move.
pub struct Step<'a> {
    /// Position in the trajectory, from 0.
    pub index: usize,
    /// Timestep.
    pub t: usize,
    /// Latents, one flattened (C, H, W) each.
    pub latents: &'a [Vec<f32>],
}

impl LatentDiffusion {
    /// Denoises `latents` (x_T, one flattened (C, H, W) each) under `prompt`; `watch` is called before every step. Returns
    /// the latents x₀ in the same form.
    ///
    /// # Errors
    ///
    /// When the steps do not fit the schedule, a latent has another size than [`Self::latent_shape`], a prediction holds
    /// NaN or infinity, or `watch` fails.
    pub fn sample(
        &self,
        mut latents: Vec<Vec<f32>>,
        prompt: &PromptEmbedding,
        empty: &PromptEmbedding,
        sampling: Sampling,
        mut watch: impl FnMut(&Step) -> Result<()>,
    ) -> Result<Vec<Vec<f32>>> {
        let timesteps = self.schedule().timesteps(sampling.steps)?;
        for (index, &t) in timesteps.iter().enumerate() {
            watch(&Step { index, t, latents: &latents })?;
            let with = |prompt| latents.iter().map(move |x| PredictionInput { x, t, prompt });
            let inputs: Vec<PredictionInput> = with(empty).chain(with(prompt)).collect();
            let predictions = self.predict_batch(&inputs)?;
            let (unconditional, conditional) = predictions.split_at(latents.len());
            for ((x, u), c) in latents.iter_mut().zip(unconditional).zip(conditional) {
                sampling.step(self.schedule(), x, u, c, t)?;
            }
        }
        Ok(latents)
    }

    /// Decodes one latent x₀, flattened (C, H, W), to an 8-bit RGB image: round(255 · clamp(x/2 + 0.5, 0, 1)).
    ///
    /// # Errors
    ///
    /// When the VAE cannot be loaded, or the latent has another size than [`Self::latent_shape`].
    pub fn decode_image(&self, latent: &[f32]) -> Result<RgbImage> {
        let pixels = self.vae()?.decode(&self.latents(latent.to_vec())?)?.squeeze(0)?;
        let (_, height, width) = pixels.dims3()?;
        let pixels = (((pixels / 2.0)? + 0.5)?.clamp(0.0, 1.0)? * 255.0)?.round()?.to_dtype(DType::U8)?;
        let data = pixels.permute((1, 2, 0))?.flatten_all()?.to_vec1::<u8>()?;
        Ok(RgbImage { width, height, data })
    }

    /// [`Self::decode_image`] of several latents, of a small model on all cores.
    ///
    /// # Errors
    ///
    /// As [`Self::decode_image`].
    pub fn decode_images(&self, latents: &[Vec<f32>]) -> Result<Vec<RgbImage>> {
        let part =
            |range: std::ops::Range<usize>| latents[range].iter().map(|latent| self.decode_image(latent)).collect();
        let parts: Vec<Vec<RgbImage>> = self.in_parts(latents.len(), part)?;
        Ok(parts.concat())
    }
}

/// An 8-bit RGB image, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// width · height · 3 bytes.
    pub data: Vec<u8>,
}
