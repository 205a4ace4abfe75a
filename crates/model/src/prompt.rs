//! Prompts as the UNet sees them.

use candle_core::Tensor;
use memscope_kernels::Value;

use crate::{error::Result, tokenizer::Tokens};

/// A prompt as the UNet sees it.
#[derive(Clone, Debug)]
pub struct PromptEmbedding {
    /// `(L, W)`: one row per token position, padding included. With several text encoders, their rows side by side.
    pub embedding: Tensor,
    /// `(A,)`: what SDXL adds to the timestep, the pooled prompt followed by the sinusoids of the sizes; `None` for other
    /// models.
    pub added: Option<Tensor>,
    /// The tokens behind it; with several text encoders, those of the first.
    pub tokens: Tokens,
}

/// A batch of prompts as the UNet takes them; cloning copies no numbers.
///
/// Where a network has no added conditions, the embeddings alone make a batch: `&tensor` where a batch is asked for.
#[derive(Clone, Debug)]
pub struct PromptBatch<V = Tensor> {
    /// `(B, L, W)`: embeddings.
    pub context: V,
    /// `(B, A)`: added conditions, see [`PromptEmbedding::added`]; derivatives take them as constant.
    pub added: Option<Tensor>,
}

impl PromptBatch {
    /// Puts prompts of one model together.
    ///
    /// # Errors
    ///
    /// When there are none, or they are of different models.
    pub fn of(prompts: &[&PromptEmbedding]) -> Result<Self> {
        let embeddings: Vec<&Tensor> = prompts.iter().map(|prompt| &prompt.embedding).collect();
        let added: Option<Vec<&Tensor>> = prompts.iter().map(|prompt| prompt.added.as_ref()).collect();
        let added = added.map(|added| Tensor::stack(&added, 0)).transpose()?;
        Ok(Self { context: Tensor::stack(&embeddings, 0)?, added })
    }

    /// The same batch as a constant among other values.
    pub fn constant<V: Value>(&self) -> PromptBatch<V> {
        PromptBatch { context: V::constant(&self.context), added: self.added.clone() }
    }

    /// The same batch without what it was computed from.
    pub(crate) fn detach(&self) -> Self {
        Self { context: self.context.detach(), added: self.added.as_ref().map(Tensor::detach) }
    }
}

impl<V: Clone> From<&V> for PromptBatch<V> {
    fn from(context: &V) -> Self {
        Self { context: context.clone(), added: None }
    }
}

impl<V: Clone> From<&PromptBatch<V>> for PromptBatch<V> {
    fn from(batch: &PromptBatch<V>) -> Self {
        batch.clone()
    }
}
