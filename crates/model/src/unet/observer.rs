//! Cross-attention maps for whoever wants to see them.

use candle_core::Tensor;
use memscope_kernels::ops::{AttentionMask, attention_probabilities};

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

/// Looks at cross-attention maps while the network runs.
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

/// An optional observer on its way through the network.
pub(super) struct Observe<'a>(pub(super) Option<&'a mut dyn AttentionObserver>);

impl Observe<'_> {
    pub(super) fn cross_attention(&mut self, layer: &CrossAttentionLayer, q: &Tensor, k: &Tensor) -> Result<()> {
        match &mut self.0 {
            Some(observer) if observer.wants(layer) => {
                let map = attention_probabilities(&q.detach(), &k.detach(), layer.heads, AttentionMask::None)?;
                observer.observe(layer, &map)
            }
            _ => Ok(()),
        }
    }
}
