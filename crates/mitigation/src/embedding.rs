//! Prompt embeddings as numbers.

use candle_core::{DType, Tensor};
use memscope_model::PromptEmbedding;

use crate::error::Result;

/// The numbers of an embedding, row by row; `(L, W)`.
pub(crate) fn numbers(prompt: &PromptEmbedding) -> Result<Vec<f32>> {
    Ok(prompt.embedding.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}

/// Numbers in a row of an embedding: W.
pub(crate) fn width(prompt: &PromptEmbedding) -> Result<usize> {
    Ok(prompt.embedding.dim(1)?)
}

/// The same prompt with other numbers.
pub(crate) fn with_numbers(prompt: &PromptEmbedding, numbers: &[f32]) -> Result<PromptEmbedding> {
    let old = &prompt.embedding;
    let embedding = Tensor::from_slice(numbers, old.shape(), old.device())?.to_dtype(old.dtype())?;
    Ok(PromptEmbedding { embedding, ..prompt.clone() })
}

/// The first tokens of a prompt, the others masked out.
pub(crate) fn first_tokens(prompt: &PromptEmbedding, count: usize) -> Result<PromptEmbedding> {
    let count = count.min(prompt.embedding.dim(0)?).max(1);
    Ok(PromptEmbedding { embedding: prompt.embedding.narrow(0, 0, count)?.contiguous()?, ..prompt.clone() })
}
