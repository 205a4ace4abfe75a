//! ResNet blocks.

use candle_core::Tensor;
use memscope_kernels::{
    Value,
    ops::{Activation, Affine, Conv2d, Linear, Norm},
};

use crate::{
    error::Result,
    layers::{conv2d, group_norm, linear},
    weights::Scope,
};

/// Two convolutions with a time-dependent shift between them, around a skip connection.
pub(super) struct ResNet {
    norm1: Norm,
    conv1: Conv2d,
    time: Linear,
    norm2: Norm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

const EPS: f64 = 1e-5;

impl ResNet {
    pub(super) fn load(inputs: usize, outputs: usize, time_width: usize, groups: usize, scope: &Scope) -> Result<Self> {
        let shortcut = match inputs == outputs {
            true => None,
            false => Some(conv2d(inputs, outputs, 1, 1, &scope.at("conv_shortcut"))?),
        };
        Ok(Self {
            norm1: group_norm(groups, inputs, EPS, &scope.at("norm1"))?,
            conv1: conv2d(inputs, outputs, 3, 1, &scope.at("conv1"))?,
            time: linear(time_width, outputs, &scope.at("time_emb_proj"))?,
            norm2: group_norm(groups, outputs, EPS, &scope.at("norm2"))?,
            conv2: conv2d(outputs, outputs, 3, 1, &scope.at("conv2"))?,
            shortcut,
        })
    }

    /// `x: (B, C, H, W)`, `time: (B, T)` after its SiLU; returns `(B, C', H, W)`.
    pub(super) fn forward<V: Value>(&self, x: &V, time: &Tensor) -> Result<V> {
        // Each result replaces the one before, whose memory the next may then take.
        let mut h = x.normalise(&self.norm1)?;
        h = h.activate(Activation::Silu)?;
        h = h.through(&self.conv1)?;
        h = h.shift_channels(&self.time.apply(time)?)?;
        h = h.normalise(&self.norm2)?;
        h = h.activate(Activation::Silu)?;
        h = h.through(&self.conv2)?;
        match &self.shortcut {
            Some(shortcut) => Ok(x.through(shortcut)?.add(&h)?),
            None => Ok(x.add(&h)?),
        }
    }
}
