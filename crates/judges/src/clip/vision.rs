//! The picture's side.

use candle_core::Tensor;
use candle_nn::{LayerNorm, Linear, Module};

use super::{
    config::ClipConfig,
    names::{Reader, Tower},
    transformer::Transformer,
};
use crate::error::Result;

/// From pictures to embeddings: patches, a class token, a transformer, a projection.
pub(super) struct Vision {
    /// (3 · patch², width).
    patches: Linear,
    class_token: Tensor,
    positions: Tensor,
    before: LayerNorm,
    transformer: Transformer,
    after: LayerNorm,
    projection: Linear,
    patch_size: usize,
}

impl Vision {
    pub(super) fn load(reader: &Reader, config: &ClipConfig) -> Result<Self> {
        let tower = &config.vision;
        let count = (config.image_size / config.patch_size).pow(2) + 1;
        let patches = reader.patches(config)?.flatten_from(1)?;
        Ok(Self {
            patches: Linear::new(patches, None),
            class_token: reader.class_token(tower.width)?,
            positions: reader.positions(Tower::Vision, &[count, tower.width])?,
            before: reader.norm_before(tower)?,
            transformer: Transformer::load(reader, Tower::Vision, tower)?,
            after: reader.norm_after(Tower::Vision, tower)?,
            projection: reader.projection(Tower::Vision, tower.width, config.dims)?,
            patch_size: config.patch_size,
        })
    }

    /// x: (B, 3, size, size), preprocessed. Returns (B, dims), not normalised.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = x.dims4()?;
        let side = self.patch_size;
        let (rows, columns) = (height / side, width / side);
        // A convolution whose stride is its size is a matrix product over patches.
        let x = x.reshape((batch, channels, rows, side, columns, side))?.permute((0, 2, 4, 1, 3, 5))?;
        let x = self.patches.forward(&x.reshape((batch, rows * columns, channels * side * side))?)?;
        let token = self.class_token.broadcast_as((batch, 1, x.dim(2)?))?.contiguous()?;
        let x = Tensor::cat(&[&token, &x], 1)?.broadcast_add(&self.positions)?;
        let x = self.transformer.forward(self.before.forward(&x)?, None)?;
        let x = self.after.forward(&x.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?)?;
        Ok(self.projection.forward(&x)?)
    }
}
