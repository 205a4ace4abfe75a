//! Products of many vectors with the network's Jacobians at a few points.

use std::ops::Range;

use memscope_kernels::{Dual, parts};

use super::{
    LatentDiffusion,
    predict::{BatchSplit, PredictionInput},
};
use crate::{
    error::{Error, Result},
    prompt::PromptBatch,
};

/// Which product with a Jacobian J.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JacobianSide {
    /// J·v, forward mode.
    Jvp,
    /// Jᵀ·v, reverse mode.
    Vjp,
}

impl LatentDiffusion {
    /// J·v or Jᵀ·v for every one of `vectors` at every one of `inputs`, with J = ∂ε/∂x (or ∂v/∂x), (d, d), d = C·H·W; the
    /// products of one input after those of the other, in the order of the vectors. What does not depend on a vector is
    /// computed once for several of them. Each product counts as one sample ([`Self::predicted_samples`]).
    ///
    /// # Errors
    ///
    /// When a latent or a vector has another length than d, or an operation fails.
    pub fn jacobian_products(
        &self,
        inputs: &[PredictionInput],
        side: JacobianSide,
        vectors: &[Vec<f32>],
    ) -> Result<Vec<Vec<Vec<f32>>>> {
        let (channels, height, width) = self.latent_shape();
        let dim = channels * height * width;
        let lengths = inputs.iter().map(|input| input.x.len()).chain(vectors.iter().map(Vec::len));
        if let Some(length) = lengths.into_iter().find(|length| *length != dim) {
            return Err(Error::Argument(format!("{length} numbers are no latent of {dim}")));
        }
        let most = match self.batch_split() {
            BatchSplit::ParallelParts => parts::SAMPLES,
            BatchSplit::SingleSamples => 1,
            BatchSplit::WholeBatch => vectors.len().max(1),
        };
        let of_input = |input| vectors.chunks(most).map(move |vectors| (input, vectors));
        let parts: Vec<(&PredictionInput, &[Vec<f32>])> = inputs.iter().flat_map(of_input).collect();
        let product = |range: Range<usize>| {
            let product = |(input, vectors): &(&PredictionInput, &[Vec<f32>])| match side {
                JacobianSide::Jvp => self.jvps(input, vectors),
                JacobianSide::Vjp => self.vjps(input, vectors),
            };
            parts[range].iter().map(product).collect::<Result<Vec<_>>>()
        };
        let mut products = self.in_parts(parts.len(), product)?.into_iter().flatten().flatten();
        Ok(inputs.iter().map(|_| products.by_ref().take(vectors.len()).collect()).collect())
    }

    fn jvps(&self, input: &PredictionInput, directions: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        self.count(directions.len());
        let x = Dual::variable(self.latents(input.x.to_vec())?, self.latents(directions.concat())?)?;
        let prompt = PromptBatch::of(&[input.prompt])?.constant();
        Self::rows(&self.unet.forward(&x, &[input.t], prompt, None)?.tangent()?)
    }

    fn vjps(&self, input: &PredictionInput, cotangents: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        self.count(cotangents.len());
        let (x, prompt) = (self.latents(input.x.to_vec())?, PromptBatch::of(&[input.prompt])?);
        let trace = self.trace_within(&x, &[input.t], prompt, &self.trace_memory)?;
        let product = |cotangent: &Vec<f32>| {
            let gradient = trace.clone().vjp_x(&self.latents(cotangent.clone())?)?;
            Ok(Self::rows(&gradient)?.concat())
        };
        cotangents.iter().map(product).collect()
    }
}
