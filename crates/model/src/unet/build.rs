//! From a network's shape to its steps, under diffusers' tensor names.

use super::{
    config::UNetShape,
    resnet::ResNet,
    step::{Body, Skip, Step},
    transformer::{LayerCounter, Transformer},
};
use crate::{
    error::Result,
    layers::{conv2d, group_norm},
    weights::Scope,
};

/// The steps of the network in forward order.
pub(super) fn steps(shape: &UNetShape, scope: &Scope) -> Result<Vec<Step>> {
    const EPS: f64 = 1e-5;
    let (first, deepest) = (shape.levels[0].channels, shape.levels.len() - 1);
    let mut builder = Builder { shape, counter: LayerCounter(0), steps: vec![], skips: vec![] };
    let conv_in = conv2d(shape.in_channels, first, 3, 1, &scope.at("conv_in"))?;
    builder.leave(first, Body::Convolution(conv_in));
    for level in 0..=deepest {
        builder.down(level, &scope.at("down_blocks").at(level))?;
    }
    builder.mid(&scope.at("mid_block"))?;
    let mut inputs = shape.levels[deepest].channels;
    for (i, level) in (0..=deepest).rev().enumerate() {
        builder.up(level, inputs, &scope.at("up_blocks").at(i))?;
        inputs = shape.levels[level].channels;
    }
    let norm = group_norm(shape.norm_groups, first, EPS, &scope.at("conv_norm_out"))?;
    let conv_out = conv2d(first, shape.out_channels, 3, 1, &scope.at("conv_out"))?;
    builder.push(Body::Out(norm, conv_out), Skip::None);
    Ok(builder.steps)
}

struct Builder<'a> {
    shape: &'a UNetShape,
    counter: LayerCounter,
    steps: Vec<Step>,
    /// Channels of the skip connections that no step has taken yet.
    skips: Vec<usize>,
}

impl Builder<'_> {
    fn push(&mut self, body: Body, skip: Skip) {
        self.steps.push(Step::new(body, skip));
    }

    /// A step whose result of so many channels a later step takes.
    fn leave(&mut self, channels: usize, body: Body) {
        self.skips.push(channels);
        self.push(body, Skip::Leave);
    }

    fn layer(&mut self, inputs: usize, level: usize, attention: bool, index: usize, scope: &Scope) -> Result<Body> {
        let resnet = self.resnet(inputs, self.shape.levels[level].channels, &scope.at("resnets").at(index))?;
        let transformer = match attention {
            true => Some(self.transformer(level, &scope.at("attentions").at(index))?),
            false => None,
        };
        Ok(Body::Layer(Box::new(resnet), transformer))
    }

    fn resnet(&self, inputs: usize, outputs: usize, scope: &Scope) -> Result<ResNet> {
        ResNet::load(inputs, outputs, self.shape.time_width(), self.shape.norm_groups, scope)
    }

    fn transformer(&mut self, level: usize, scope: &Scope) -> Result<Transformer> {
        Transformer::load(self.shape, level, &mut self.counter, scope)
    }

    fn down(&mut self, level: usize, scope: &Scope) -> Result<()> {
        let spec = self.shape.levels[level];
        let mut inputs = self.shape.levels[level.saturating_sub(1)].channels;
        for i in 0..self.shape.layers_per_block {
            let layer = self.layer(inputs, level, spec.down_attention, i, scope)?;
            self.leave(spec.channels, layer);
            inputs = spec.channels;
        }
        if level + 1 < self.shape.levels.len() {
            let downsample = conv2d(spec.channels, spec.channels, 3, 2, &scope.at("downsamplers.0.conv"))?;
            self.leave(spec.channels, Body::Convolution(downsample));
        }
        Ok(())
    }

    fn mid(&mut self, scope: &Scope) -> Result<()> {
        let level = self.shape.levels.len() - 1;
        let channels = self.shape.levels[level].channels;
        for (i, attention) in [true, false].into_iter().enumerate() {
            let layer = self.layer(channels, level, attention, i, scope)?;
            self.push(layer, Skip::None);
        }
        Ok(())
    }

    /// `inputs`: channels that arrive from below.
    fn up(&mut self, level: usize, mut inputs: usize, scope: &Scope) -> Result<()> {
        let spec = self.shape.levels[level];
        for i in 0..=self.shape.layers_per_block {
            let skip = self.skips.pop().unwrap_or_default();
            let layer = self.layer(inputs + skip, level, spec.up_attention, i, scope)?;
            self.push(layer, Skip::Take);
            inputs = spec.channels;
        }
        if level > 0 {
            let upsample = conv2d(spec.channels, spec.channels, 3, 1, &scope.at("upsamplers.0.conv"))?;
            self.push(Body::Upsample(upsample), Skip::None);
        }
        Ok(())
    }
}
