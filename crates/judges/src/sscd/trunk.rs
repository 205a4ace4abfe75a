//! The trunk: ResNet or ResNeXt, with each batch norm folded into its convolution.

use candle_core::Tensor;

use super::{
    config::{Block, SscdConfig, Stem},
    names::Names,
};
use crate::{error::Result, weights::Weights};

/// Of all batch norms.
const EPSILON: f64 = 1e-5;

/// A convolution and the batch norm after it: one convolution with a constant.
#[derive(Debug)]
struct Convolution {
    weight: Tensor,
    bias: Tensor,
    padding: usize,
    stride: usize,
    groups: usize,
}

/// Sizes of a convolution.
#[derive(Clone, Copy)]
struct Shape {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
}

impl Convolution {
    fn load(weights: &Weights, (convolution, norm): &(String, String), shape: Shape) -> Result<Self> {
        let Shape { inputs, outputs, kernel, stride, groups } = shape;
        let size = [outputs, inputs / groups, kernel, kernel];
        let mut weight = weights.vector(&format!("{convolution}.weight"), &size)?;
        let part = |name: &str| weights.vector(&format!("{norm}.{name}"), &[outputs]);
        let (scale, shift) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        let mut bias = Vec::with_capacity(outputs);
        for (channel, filter) in weight.chunks_exact_mut(size[1..].iter().product()).enumerate() {
            let factor = f64::from(scale[channel]) / (f64::from(variance[channel]) + EPSILON).sqrt();
            filter.iter_mut().for_each(|w| *w = (f64::from(*w) * factor) as f32);
            bias.push((f64::from(shift[channel]) - f64::from(mean[channel]) * factor) as f32);
        }
        let weight = weights.on_device(weight, &size)?;
        let bias = weights.on_device(bias, &[1, outputs, 1, 1])?;
        Ok(Self { weight, bias, padding: kernel / 2, stride, groups })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.conv2d(&self.weight, self.padding, self.stride, 1, self.groups)?;
        Ok(y.broadcast_add(&self.bias)?)
    }
}

/// A residual block.
#[derive(Debug)]
struct Residual {
    convolutions: Vec<Convolution>,
    shortcut: Option<Convolution>,
}

impl Residual {
    fn load(weights: &Weights, config: &SscdConfig, names: Names, stage: usize, block: usize) -> Result<Self> {
        let outputs = config.channels_out(stage);
        let before = if stage == 0 { config.channels } else { config.channels_out(stage - 1) };
        let inputs = if block == 0 { before } else { outputs };
        let stride = if block == 0 && stage > 0 { 2 } else { 1 };
        let width = config.width(stage);
        let one = |inputs, outputs| Shape { inputs, outputs, kernel: 1, stride: 1, groups: 1 };
        let shapes = match config.block {
            Block::Basic => vec![
                Shape { inputs, outputs, kernel: 3, stride, groups: 1 },
                Shape { inputs: outputs, outputs, kernel: 3, stride: 1, groups: 1 },
            ],
            Block::Bottleneck => vec![
                one(inputs, width),
                Shape { inputs: width, outputs: width, kernel: 3, stride, groups: config.groups },
                one(width, outputs),
            ],
        };
        let prefix = names.block(stage, block);
        let count = shapes.len();
        let load = |(index, shape)| Convolution::load(weights, &names.convolution(&prefix, index, count), shape);
        let convolutions = shapes.into_iter().enumerate().map(load).collect::<Result<_>>()?;
        let shortcut = if stride != 1 || inputs != outputs {
            let names = (format!("{prefix}.downsample.0"), format!("{prefix}.downsample.1"));
            Some(Convolution::load(weights, &names, Shape { stride, ..one(inputs, outputs) })?)
        } else {
            None
        };
        Ok(Self { convolutions, shortcut })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut y = x.clone();
        for (index, convolution) in self.convolutions.iter().enumerate() {
            y = if index == 0 { convolution.forward(&y)? } else { convolution.forward(&y.relu()?)? };
        }
        let x = self.shortcut.as_ref().map_or_else(|| Ok(x.clone()), |shortcut| shortcut.forward(x))?;
        Ok((y + x)?.relu()?)
    }
}

/// From an input to a map of features.
#[derive(Debug)]
pub(super) struct Trunk {
    stem: Convolution,
    kind: Stem,
    blocks: Vec<Residual>,
}

impl Trunk {
    pub(super) fn load(weights: &Weights, config: &SscdConfig, names: Names) -> Result<Self> {
        let (kernel, stride) = match config.stem {
            Stem::Imagenet => (7, 2),
            Stem::Small => (3, 1),
        };
        let shape = Shape { inputs: 3, outputs: config.channels, kernel, stride, groups: 1 };
        let stem = Convolution::load(weights, &names.stem(), shape)?;
        let mut blocks = vec![];
        for (stage, count) in config.layers.iter().enumerate() {
            for block in 0..*count {
                blocks.push(Residual::load(weights, config, names, stage, block)?);
            }
        }
        Ok(Self { stem, kind: config.stem, blocks })
    }

    /// x: (B, 3, size, size). Returns (B, C, rows, columns), not negative.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.stem.forward(x)?.relu()?;
        if self.kind == Stem::Imagenet {
            // Nothing is below zero here, so that zeros pad as −∞ would.
            let padded = x.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?;
            x = padded.max_pool2d_with_stride(3, 2)?;
        }
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        Ok(x)
    }
}
