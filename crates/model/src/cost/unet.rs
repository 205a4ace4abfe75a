//! The UNet's forward on shapes, in the order of `unet::UNet::forward`.

use super::{
    Tally,
    tally::{Bias, Kernels, Shape},
};
use crate::unet::{CrossAttentionLayer, UNetShape};

/// A latent of this size under a prompt of `context` tokens.
pub(crate) fn unet(t: &mut Tally, shape: &UNetShape, (height, width): (usize, usize), context: usize) {
    let walk = Walk { shape, context: Shape::tokens(context, shape.context_width) };
    let (first, deepest) = (shape.levels[0].channels, shape.levels.len() - 1);
    t.at_level(0);
    t.scope(|t| {
        let x = t.hold(Shape::tokens(1, first));
        let x = t.dense(x, shape.time_width(), Bias::With);
        t.dense(x, shape.time_width(), Bias::With)
    });
    let latent = Shape::image(shape.in_channels, height, width);
    t.hold(latent);
    let mut h = t.conv(latent, first, 3, 1, Kernels::Own);
    let mut skips = vec![h];
    for (level, spec) in shape.levels.iter().enumerate() {
        t.at_level(level);
        for _ in 0..shape.layers_per_block {
            h = walk.layer(t, h, level, spec.down_attention);
            skips.push(h);
        }
        if level < deepest {
            t.at_level(level + 1);
            h = t.conv(h, spec.channels, 3, 2, Kernels::Own);
            skips.push(h);
        }
    }
    t.at_level(deepest);
    h = walk.layer(t, h, deepest, true);
    h = t.step(|t| t.replace(h, |t| walk.resnet(t, h, shape.levels[deepest].channels)));
    for (level, spec) in shape.levels.iter().enumerate().rev() {
        t.at_level(level);
        for _ in 0..=shape.layers_per_block {
            let skip = skips.pop().unwrap_or(h);
            let both = t.hold(Shape { channels: h.channels + skip.channels, ..h });
            t.free(h);
            t.free(skip);
            h = walk.layer(t, both, level, spec.up_attention);
            t.free(both);
        }
        if level > 0 {
            t.at_level(level - 1);
            h = t.replace(h, |t| {
                let wide = t.pointwise(Shape::image(h.channels, 2 * h.height, 2 * h.width));
                t.conv(wide, spec.channels, 3, 1, Kernels::Own)
            });
        }
    }
    t.norm(h);
    t.pointwise(h);
    t.conv(h, shape.out_channels, 3, 1, Kernels::Own);
}

/// The cross-attention layers in forward order, as `UNet::cross_attention_layers` has them.
pub(crate) fn unet_cross_attention(shape: &UNetShape) -> Vec<CrossAttentionLayer> {
    let mut layers = vec![];
    let mut block = |prefix: String, heads: usize, transformers: usize| {
        for attention in 0..transformers {
            for layer in 0..shape.transformer_layers {
                let path = format!("{prefix}.attentions.{attention}.transformer_blocks.{layer}.attn2");
                layers.push(CrossAttentionLayer { index: layers.len(), path, heads });
            }
        }
    };
    let deepest = shape.levels.len() - 1;
    for (i, level) in shape.levels.iter().enumerate().filter(|(_, level)| level.down_attention) {
        block(format!("down_blocks.{i}"), level.heads, shape.layers_per_block);
    }
    block("mid_block".into(), shape.levels[deepest].heads, 1);
    for (i, level) in shape.levels.iter().rev().enumerate().filter(|(_, level)| level.up_attention) {
        block(format!("up_blocks.{i}"), level.heads, shape.layers_per_block + 1);
    }
    layers
}

struct Walk<'a> {
    shape: &'a UNetShape,
    context: Shape,
}

impl Walk<'_> {
    /// A ResNet and the transformer behind it; `x` stays.
    fn layer(&self, t: &mut Tally, x: Shape, level: usize, attention: bool) -> Shape {
        t.step(|t| {
            let h = t.scope(|t| self.resnet(t, x, self.shape.levels[level].channels));
            if attention { t.replace(h, |t| self.transformer(t, h)) } else { h }
        })
    }

    fn resnet(&self, t: &mut Tally, x: Shape, outputs: usize) -> Shape {
        let normalised_conv = |t: &mut Tally, x: Shape| {
            t.scope(|t| {
                let h = t.norm(x);
                let h = t.replace(h, |t| t.pointwise(x));
                t.replace(h, |t| t.conv(x, outputs, 3, 1, Kernels::Own))
            })
        };
        let h = normalised_conv(t, x);
        t.dense(Shape::tokens(1, self.shape.time_width()), outputs, Bias::With);
        t.pointwise(h);
        normalised_conv(t, h);
        if x.channels != outputs {
            t.conv(x, outputs, 1, 1, Kernels::Own);
        }
        t.pointwise(h)
    }

    fn transformer(&self, t: &mut Tally, x: Shape) -> Shape {
        let tokens = Shape::tokens(x.area(), x.channels);
        t.scope(|t| {
            t.norm(x);
            t.pointwise(tokens)
        });
        let mut h = t.dense(tokens, x.channels, Bias::With);
        for _ in 0..self.shape.transformer_layers {
            h = t.replace(h, |t| self.transformer_layer(t, h));
        }
        t.dense(h, x.channels, Bias::With);
        t.pointwise(x);
        t.pointwise(x)
    }

    fn transformer_layer(&self, t: &mut Tally, x: Shape) -> Shape {
        t.norm(x);
        Self::attention(t, x, x);
        t.norm(x);
        Self::attention(t, x, self.context);
        let inner = t.scope(|t| {
            let h = t.norm(x);
            let h = t.replace(h, |t| t.dense(x, 8 * x.channels, Bias::With));
            t.replace(h, |t| t.pointwise(Shape { channels: 4 * x.channels, ..x }))
        });
        t.dense(inner, x.channels, Bias::With);
        t.pointwise(x)
    }

    /// Attention and the sum behind it.
    fn attention(t: &mut Tally, x: Shape, over: Shape) -> Shape {
        t.scope(|t| {
            t.scope(|t| {
                t.dense(over, x.channels, Bias::Without);
                t.dense(over, x.channels, Bias::Without);
                t.dense(x, x.channels, Bias::Without);
                t.attend(x, over.area());
                t.dense(x, x.channels, Bias::With)
            });
            t.pointwise(x)
        })
    }
}
