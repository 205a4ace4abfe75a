//! The embedding of timesteps.

use candle_core::{DType, Device, Tensor};
use memscope_kernels::ops::{Activation, Affine, Linear, activate};

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

    /// `timesteps: (B,)`; returns `(B, hidden)`, already through the SiLU that every ResNet applies to it.
    pub(super) fn forward(&self, timesteps: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
        let x = self.sinusoid(timesteps, device)?.to_dtype(dtype)?;
        let x = activate(&self.first.apply(&x)?, Activation::Silu)?;
        Ok(activate(&self.second.apply(&x)?, Activation::Silu)?)
    }

    /// Cosines, then sines, of t · exp(−ln 10000 · i/half), in f32 as diffusers computes them.
    fn sinusoid(&self, timesteps: &[usize], device: &Device) -> Result<Tensor> {
        let half = self.width / 2;
        let frequency = |i: usize| (-(10_000f32.ln()) * i as f32 / half as f32).exp();
        let mut data = Vec::with_capacity(timesteps.len() * 2 * half);
        for t in timesteps {
            let angle = |i| *t as f32 * frequency(i);
            data.extend((0..half).map(|i| angle(i).cos()));
            data.extend((0..half).map(|i| angle(i).sin()));
        }
        Ok(Tensor::from_vec(data, (timesteps.len(), 2 * half), device)?)
    }
}
