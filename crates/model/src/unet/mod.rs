//! `UNet2DConditionModel` of diffusers, built from its config.json, generic over what flows through it.

mod config;
mod observer;
mod resnet;
mod time;
mod transformer;

pub use config::{Level, Projection, UNetShape};
pub use observer::{AttentionObserver, CrossAttentionLayer};

use observer::Observe;
use resnet::ResNet;
use time::TimeEmbedding;
use transformer::{LayerCounter, Transformer};

use crate::{
    config::Config,
    error::Result,
    execution::Place,
    files::ModelFiles,
    layers::{conv2d, group_norm},
    ops::{Activation, Conv2d, Norm, upsample_nearest_2x},
    value::Value,
    weights::{Scope, Weights},
};

/// The denoising network.
pub struct UNet {
    shape: UNetShape,
    time: TimeEmbedding,
    conv_in: Conv2d,
    down: Vec<DownBlock>,
    mid: MidBlock,
    up: Vec<UpBlock>,
    norm_out: Norm,
    conv_out: Conv2d,
}

struct DownBlock {
    layers: Vec<(ResNet, Option<Transformer>)>,
    downsample: Option<Conv2d>,
}

struct MidBlock {
    first: ResNet,
    transformer: Transformer,
    second: ResNet,
}

struct UpBlock {
    layers: Vec<(ResNet, Option<Transformer>)>,
    upsample: Option<Conv2d>,
}

/// One sample repeated for a whole batch; a batch stays what it is.
fn spread<V: Value>(x: &V, batch: usize) -> candle_core::Result<V> {
    match x.primal().dim(0)? {
        samples if samples == batch => Ok(x.clone()),
        _ => x.linear_map(|t| {
            let mut dims = t.dims().to_vec();
            dims[0] = batch;
            t.broadcast_as(dims)?.contiguous()
        }),
    }
}

/// What the constructors of all blocks share.
struct Builder<'a> {
    shape: &'a UNetShape,
    counter: LayerCounter,
}

impl Builder<'_> {
    fn layer(
        &mut self,
        inputs: usize,
        level: usize,
        attention: bool,
        index: usize,
        scope: &Scope,
    ) -> Result<(ResNet, Option<Transformer>)> {
        let outputs = self.shape.levels[level].channels;
        let resnet = self.resnet(inputs, outputs, &scope.at("resnets").at(index))?;
        let transformer = match attention {
            true => Some(self.transformer(level, &scope.at("attentions").at(index))?),
            false => None,
        };
        Ok((resnet, transformer))
    }

    fn resnet(&self, inputs: usize, outputs: usize, scope: &Scope) -> Result<ResNet> {
        ResNet::load(inputs, outputs, self.shape.time_width(), self.shape.norm_groups, scope)
    }

    fn transformer(&mut self, level: usize, scope: &Scope) -> Result<Transformer> {
        Transformer::load(self.shape, level, &mut self.counter, scope)
    }

    /// The channels of every skip connection are pushed onto `skips`.
    fn down(&mut self, level: usize, skips: &mut Vec<usize>, scope: &Scope) -> Result<DownBlock> {
        let spec = self.shape.levels[level];
        let mut inputs = self.shape.levels[level.saturating_sub(1)].channels;
        let mut layers = vec![];
        for i in 0..self.shape.layers_per_block {
            layers.push(self.layer(inputs, level, spec.down_attention, i, scope)?);
            inputs = spec.channels;
            skips.push(inputs);
        }
        let downsample = match level + 1 < self.shape.levels.len() {
            true => {
                skips.push(spec.channels);
                Some(conv2d(spec.channels, spec.channels, 3, 2, &scope.at("downsamplers.0.conv"))?)
            }
            false => None,
        };
        Ok(DownBlock { layers, downsample })
    }

    fn mid(&mut self, scope: &Scope) -> Result<MidBlock> {
        let level = self.shape.levels.len() - 1;
        let channels = self.shape.levels[level].channels;
        Ok(MidBlock {
            first: self.resnet(channels, channels, &scope.at("resnets.0"))?,
            transformer: self.transformer(level, &scope.at("attentions.0"))?,
            second: self.resnet(channels, channels, &scope.at("resnets.1"))?,
        })
    }

    /// `inputs`: channels that arrive from below; the skip connections are popped from `skips`.
    fn up(&mut self, level: usize, mut inputs: usize, skips: &mut Vec<usize>, scope: &Scope) -> Result<UpBlock> {
        let spec = self.shape.levels[level];
        let mut layers = vec![];
        for i in 0..=self.shape.layers_per_block {
            let skip = skips.pop().unwrap_or_default();
            layers.push(self.layer(inputs + skip, level, spec.up_attention, i, scope)?);
            inputs = spec.channels;
        }
        let upsample = match level > 0 {
            true => Some(conv2d(spec.channels, spec.channels, 3, 1, &scope.at("upsamplers.0.conv"))?),
            false => None,
        };
        Ok(UpBlock { layers, upsample })
    }
}

impl UNet {
    /// Loads `unet/` of a model; every tensor of the file must belong to the configured network.
    pub(crate) fn load(files: &ModelFiles, place: &Place) -> Result<Self> {
        let shape = UNetShape::from_config(&Config::read(files, "unet/config.json")?)?;
        let weights = Weights::open(files, "unet", "diffusion_pytorch_model", place.clone())?;
        let unet = Self::build(shape, &weights.root())?;
        weights.finish(&[])?;
        Ok(unet)
    }

    fn build(shape: UNetShape, scope: &Scope) -> Result<Self> {
        const EPS: f64 = 1e-5;
        let (first, deepest) = (shape.levels[0].channels, shape.levels.len() - 1);
        let mut builder = Builder { shape: &shape, counter: LayerCounter(0) };
        let mut skips = vec![first];
        let down = (0..=deepest)
            .map(|level| builder.down(level, &mut skips, &scope.at("down_blocks").at(level)))
            .collect::<Result<_>>()?;
        let mid = builder.mid(&scope.at("mid_block"))?;
        let mut inputs = shape.levels[deepest].channels;
        let mut up = vec![];
        for (i, level) in (0..=deepest).rev().enumerate() {
            up.push(builder.up(level, inputs, &mut skips, &scope.at("up_blocks").at(i))?);
            inputs = shape.levels[level].channels;
        }
        Ok(Self {
            time: TimeEmbedding::load(first, shape.time_width(), &scope.at("time_embedding"))?,
            conv_in: conv2d(shape.in_channels, first, 3, 1, &scope.at("conv_in"))?,
            down,
            mid,
            up,
            norm_out: group_norm(shape.norm_groups, first, EPS, &scope.at("conv_norm_out"))?,
            conv_out: conv2d(first, shape.out_channels, 3, 1, &scope.at("conv_out"))?,
            shape,
        })
    }

    /// What the network was built from.
    pub fn shape(&self) -> &UNetShape {
        &self.shape
    }

    /// The cross-attention layers in forward order.
    pub fn cross_attention_layers(&self) -> Vec<CrossAttentionLayer> {
        let down = self.down.iter().flat_map(|block| &block.layers).filter_map(|(_, t)| t.as_ref());
        let up = self.up.iter().flat_map(|block| &block.layers).filter_map(|(_, t)| t.as_ref());
        down.chain([&self.mid.transformer]).chain(up).flat_map(Transformer::cross_attention_layers).cloned().collect()
    }

    /// The network's raw output (ε or v).
    ///
    /// `x: (B, C, H, W)` latent, H and W multiples of 2^(levels − 1); `timesteps: B` of them, one per
    /// sample; `context: (B, L, W)` prompt embeddings; returns `(B, C, H, W)`. One latent and one timestep serve all
    /// prompts: what comes before the first cross-attention is then computed once.
    pub fn forward<V: Value>(
        &self,
        x: &V,
        timesteps: &[usize],
        context: &V,
        observer: Option<&mut dyn AttentionObserver>,
    ) -> candle_core::Result<V> {
        let (latents, _, height, width) = x.primal().dims4()?;
        let batch = context.primal().dim(0)?;
        let multiple = 1 << (self.shape.levels.len() - 1);
        if timesteps.len() != latents || (latents != batch && latents != 1) {
            candle_core::bail!(
                "{latents} latents, {} timesteps and {batch} prompt embeddings do not fit",
                timesteps.len()
            );
        }
        if height % multiple != 0 || width % multiple != 0 {
            candle_core::bail!("a latent of {height}x{width} is not a multiple of {multiple}");
        }
        let observe = &mut Observe(observer);
        let time = self.time.forward(timesteps, x.primal().dtype(), x.primal().device())?;

        let mut h = x.through(&self.conv_in)?;
        let mut skips = vec![h.clone()];
        for block in &self.down {
            for (resnet, transformer) in &block.layers {
                h = resnet.forward(&h, &time)?;
                if let Some(transformer) = transformer {
                    h = transformer.forward(&h, context, observe)?;
                }
                skips.push(h.clone());
            }
            if let Some(downsample) = &block.downsample {
                h = h.through(downsample)?;
                skips.push(h.clone());
            }
        }
        h = self.mid.first.forward(&h, &time)?;
        h = self.mid.transformer.forward(&h, context, observe)?;
        h = self.mid.second.forward(&h, &time)?;
        for block in &self.up {
            for (resnet, transformer) in &block.layers {
                if let Some(skip) = skips.pop() {
                    h = h.concat_channels(&spread(&skip, batch)?)?;
                }
                h = resnet.forward(&h, &time)?;
                if let Some(transformer) = transformer {
                    h = transformer.forward(&h, context, observe)?;
                }
            }
            if let Some(upsample) = &block.upsample {
                h = h.linear_map(upsample_nearest_2x)?.through(upsample)?;
            }
        }
        h.normalise(&self.norm_out)?.activate(Activation::Silu)?.through(&self.conv_out)
    }
}
