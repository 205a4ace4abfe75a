//! The embedding of timesteps, and what is added to it.

use candle_core::{DType, Device, Tensor};
use memscope_kernels::ops::{Activation, Affine, Linear, activate};

use super::config::AddedShape;
use crate::{error::Result, layers::linear, weights::Scope};

/// Sinusoid of the timestep, then two dense layers.
pub(super) struct TimeEmbedding {
    width: usize,
    first: Linear,
    second: Linear,
}

impl TimeEmbedding {
    pub(super) fn load(width: usize, hidden: usize, scope: &Scope) -> Result<Self> {
        Ok(Self {
            width,
            first: linear(width, hidden, &scope.at("linear_1"))?,
            second: linear(hidden, hidden, &scope.at("linear_2"))?,
        })
    }

    /// `timesteps: (B,)`; returns `(B, hidden)`.
    pub(super) fn forward(&self, timesteps: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
        let timesteps: Vec<f32> = timesteps.iter().map(|t| *t as f32).collect();
        let x = sinusoids(&timesteps, self.width, device)?.to_dtype(dtype)?;
        let x = activate(&self.first.apply(&x)?, Activation::Silu)?;
        Ok(self.second.apply(&x)?)
    }
}

/// The SiLU that every ResNet applies to the embedding.
pub(super) fn finish(embedding: &Tensor) -> Result<Tensor> {
    Ok(activate(embedding, Activation::Silu)?)
}

/// Cosines, then sines, of x · exp(−ln 10000 · i/half), in f32 as diffusers computes them: `(numbers, width)`.
fn sinusoids(numbers: &[f32], width: usize, device: &Device) -> Result<Tensor> {
    let half = width / 2;
    let frequency = |i: usize| (-(10_000f32.ln()) * i as f32 / half as f32).exp();
    let mut data = Vec::with_capacity(numbers.len() * 2 * half);
    for x in numbers {
        let angle = |i| x * frequency(i);
        data.extend((0..half).map(|i| angle(i).cos()));
        data.extend((0..half).map(|i| angle(i).sin()));
    }
    Ok(Tensor::from_vec(data, (numbers.len(), 2 * half), device)?)
}

/// Two dense layers over the added conditions (diffusers 0.42, `UNet2DConditionModel.get_aug_embed`, `text_time`).
pub(super) struct AddedEmbedding {
    shape: AddedShape,
    first: Linear,
    second: Linear,
}

impl AddedEmbedding {
    pub(super) fn load(shape: AddedShape, hidden: usize, scope: &Scope) -> Result<Self> {
        Ok(Self {
            shape,
            first: linear(shape.width, hidden, &scope.at("linear_1"))?,
            second: linear(hidden, hidden, &scope.at("linear_2"))?,
        })
    }

    /// `pooled: (B, P)`; returns `(B, A)` in the format of `pooled`, to which the sizes are rounded first, as diffusers does.
    pub(super) fn conditions(&self, pooled: &Tensor, sizes: [u32; AddedShape::NUMBERS]) -> Result<Tensor> {
        let sizes = Tensor::from_vec(sizes.map(|n| n as f32).to_vec(), AddedShape::NUMBERS, &Device::Cpu)?;
        let sizes = sizes.to_dtype(pooled.dtype())?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
        let width = AddedShape::NUMBERS * self.shape.number_width;
        let sizes = sinusoids(&sizes, self.shape.number_width, pooled.device())?.to_dtype(pooled.dtype())?;
        let sizes = sizes.reshape((1, width))?.broadcast_as((pooled.dim(0)?, width))?;
        Ok(Tensor::cat(&[pooled, &sizes.contiguous()?], 1)?)
    }

    /// `added: (B, A)`; returns `(B, hidden)`.
    pub(super) fn forward(&self, added: &Tensor) -> Result<Tensor> {
        let x = activate(&self.first.apply(added)?, Activation::Silu)?;
        Ok(self.second.apply(&x)?)
    }
}
