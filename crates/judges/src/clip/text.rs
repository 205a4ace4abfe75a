//! The text's side.

use candle_core::Tensor;
use candle_nn::{LayerNorm, Linear, Module};

use super::{
    config::ClipConfig,
    names::{Reader, Tower},
    transformer::{Transformer, causal_mask, pick},
};
use crate::error::{Error, Result};

/// From token ids to embeddings: a causal transformer, read at the end token.
pub(super) struct Text {
    tokens: Tensor,
    positions: Tensor,
    transformer: Transformer,
    after: LayerNorm,
    projection: Linear,
    vocabulary: usize,
}

impl Text {
    pub(super) fn load(reader: &Reader, config: &ClipConfig) -> Result<Self> {
        let tower = &config.text;
        Ok(Self {
            tokens: reader.tokens(&[config.vocabulary, tower.width])?,
            positions: reader.positions(Tower::Text, &[config.context, tower.width])?,
            transformer: Transformer::load(reader, Tower::Text, tower)?,
            after: reader.norm_after(Tower::Text, tower)?,
            projection: reader.projection(Tower::Text, tower.width, config.dims)?,
            vocabulary: config.vocabulary,
        })
    }

    /// Ids of each text, as many of each, and where each ends. Returns (B, dims), not normalised.
    ///
    /// No position looks at later ones, so that what follows the last end need not be computed.
    pub(super) fn forward(&self, ids: &[Vec<u32>], ends: &[usize]) -> Result<Tensor> {
        let length = ends.iter().max().map_or(1, |end| end + 1);
        let flat: Vec<u32> = ids.iter().flat_map(|ids| ids.iter().take(length)).copied().collect();
        if let Some(id) = flat.iter().find(|id| **id as usize >= self.vocabulary) {
            let reason = format!("it gives the id {id}, the model knows {} tokens", self.vocabulary);
            return Err(Error::Tokenizer { folder: "clip".to_owned(), reason });
        }
        let width = self.tokens.dim(1)?;
        let flat = Tensor::from_vec(flat, ids.len() * length, self.tokens.device())?;
        let x = self.tokens.index_select(&flat, 0)?.reshape((ids.len(), length, width))?;
        let x = x.broadcast_add(&self.positions.narrow(0, 0, length)?)?;
        let mask = causal_mask(length, &x)?;
        let x = pick(&self.transformer.forward(x, Some(&mask))?, ends)?;
        Ok(self.projection.forward(&self.after.forward(&x)?)?)
    }
}
