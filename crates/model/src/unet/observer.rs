//! Cross-attention maps for whoever wants to see them.

use candle_core::Tensor;
use memscope_kernels::{
    Value,
    ops::{AttentionMask, attention_probabilities},
};

use crate::error::Result;

/// Which cross-attention layer of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossAttentionLayer {
    /// Position in forward order, from 0 (docs/spec/protocol.md §6 counts the same way).
    pub index: usize,
    /// Its path in the weights, e.g. `down_blocks.1.attentions.1.transformer_blocks.0.attn2`.
    pub path: String,
    /// Number of heads.
    pub heads: usize,
}

/// PictureMetrics at cross-attention maps while the network runs.
pub trait AttentionObserver {
    /// Whether this layer's map is wanted; the map is computed only then.
    fn wants(&self, layer: &CrossAttentionLayer) -> bool;

    /// Receives the map: `(B, heads, queries, tokens)`, each row a probability over tokens.
    ///
    /// # Errors
    ///
    /// Whatever the observer cannot do; the forward pass then ends with that error.
    fn observe(&mut self, layer: &CrossAttentionLayer, probabilities: &Tensor) -> Result<()>;
}

/// What cross-attention is to do besides, on its way through the network.
#[derive(Default)]
pub(super) struct Observe<'a> {
    observer: Option<&'a mut dyn AttentionObserver>,
    /// `(B, 1, 1)`: what the logits of the first token are multiplied with.
    first_token: Option<Tensor>,
}

impl<'a> Observe<'a> {
    pub(super) fn by(observer: Option<&'a mut dyn AttentionObserver>) -> Self {
        Self { observer, first_token: None }
    }

    pub(super) fn rescaling(first_token: Tensor) -> Self {
        Self { observer: None, first_token: Some(first_token) }
    }

    /// The keys `(B, L, W)` of a cross-attention. A factor on a token's logits is the same factor on its key.
    pub(super) fn keys<V: Value>(&self, keys: V) -> Result<V> {
        let Some(factor) = &self.first_token else { return Ok(keys) };
        let factor = factor.clone();
        let rescale = move |k: &Tensor| {
            let (tokens, factor) = (k.dim(1)?, factor.to_dtype(k.dtype())?);
            let first = k.narrow(1, 0, 1)?.broadcast_mul(&factor)?;
            Ok(if tokens == 1 { first } else { Tensor::cat(&[first, k.narrow(1, 1, tokens - 1)?], 1)? })
        };
        // A diagonal matrix is its own transpose.
        Ok(keys.linear_map(rescale.clone(), rescale)?)
    }

    pub(super) fn cross_attention(&mut self, layer: &CrossAttentionLayer, q: &Tensor, k: &Tensor) -> Result<()> {
        match &mut self.observer {
            Some(observer) if observer.wants(layer) => {
                let map = attention_probabilities(&q.detach(), &k.detach(), layer.heads, AttentionMask::None)?;
                observer.observe(layer, &map)
            }
            _ => Ok(()),
        }
    }
}
