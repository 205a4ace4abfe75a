//! The transformer that both sides of CLIP have.

use candle_core::Tensor;
use candle_nn::{LayerNorm, Linear, Module, ops::softmax_last_dim};

use super::{
    config::{Activation, TowerConfig},
    names::{BlockParts, Reader, Tower},
};
use crate::error::Result;

/// Attention and MLP, each with a norm before and a shortcut around.
struct Block {
    norms: [LayerNorm; 2],
    attention: [Linear; 4],
    mlp: [Linear; 2],
    heads: usize,
    activation: Activation,
}

impl Block {
    /// x: (B, positions, width). `mask` (positions, positions) is added to the logits.
    fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let x = (x + self.attend(&self.norms[0].forward(x)?, mask)?)?;
        let inner = self.mlp[0].forward(&self.norms[1].forward(&x)?)?;
        let inner = match self.activation {
            Activation::QuickGelu => (&inner * candle_nn::ops::sigmoid(&(&inner * 1.702)?)?)?,
            Activation::Gelu => inner.gelu_erf()?,
        };
        Ok((&x + self.mlp[1].forward(&inner)?)?)
    }

    fn attend(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let (batch, positions, width) = x.dims3()?;
        let size = width / self.heads;
        let [queries, keys, values, output] = &self.attention;
        let split = |linear: &Linear| -> Result<Tensor> {
            let x = linear.forward(x)?.reshape((batch, positions, self.heads, size))?;
            Ok(x.transpose(1, 2)?.contiguous()?)
        };
        let queries = (split(queries)? * (1.0 / (size as f64).sqrt()))?;
        let mut logits = queries.matmul(&split(keys)?.t()?)?;
        if let Some(mask) = mask {
            logits = logits.broadcast_add(mask)?;
        }
        let mixed = softmax_last_dim(&logits)?.matmul(&split(values)?)?;
        Ok(output.forward(&mixed.transpose(1, 2)?.reshape((batch, positions, width))?)?)
    }
}

/// A stack of blocks.
pub(super) struct Transformer(Vec<Block>);

impl Transformer {
    pub(super) fn load(reader: &Reader, which: Tower, config: &TowerConfig) -> Result<Self> {
        let block = |layer| {
            let BlockParts { norms, attention, mlp } = reader.block(which, layer, config)?;
            Ok(Block { norms, attention, mlp, heads: config.heads, activation: config.activation })
        };
        (0..config.layers).map(block).collect::<Result<_>>().map(Self)
    }

    /// x: (B, positions, width).
    pub(super) fn forward(&self, x: Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        self.0.iter().try_fold(x, |x, block| block.forward(&x, mask))
    }
}

/// (B, dims) as vectors.
pub(super) fn rows(x: &Tensor) -> Result<Vec<Vec<f32>>> {
    Ok(x.contiguous()?.to_vec2()?)
}

/// 0 where a position may look, −∞ after it.
pub(super) fn causal_mask(positions: usize, like: &Tensor) -> Result<Tensor> {
    let value = |i: usize| if i % positions > i / positions { f32::NEG_INFINITY } else { 0.0 };
    let mask: Vec<f32> = (0..positions * positions).map(value).collect();
    Ok(Tensor::from_vec(mask, (positions, positions), like.device())?)
}

/// One row of each sample: (B, positions, width) → (B, width).
pub(super) fn pick(x: &Tensor, positions: &[usize]) -> Result<Tensor> {
    let row = |(sample, position): (usize, &usize)| x.get(sample)?.get(*position);
    let rows = positions.iter().enumerate().map(row).collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Tensor::stack(&rows, 0)?)
}
