//! The UNet's steps on shapes.

use super::{
    Tally,
    tally::{Bias, Kernels, Shape},
};
use crate::unet::{BodyPlan, CrossAttentionLayer, Skip, UNetShape};

/// A latent of this size under a prompt of `context` tokens.
pub(crate) fn unet(t: &mut Tally, shape: &UNetShape, (height, width): (usize, usize), context: usize) {
    let walk = Walk { shape, context: Shape::tokens(context, shape.context_width) };
    t.at_level(0);
    t.scope(|t| {
        let x = t.hold(Shape::tokens(1, shape.levels[0].channels));
        let x = t.dense(x, shape.time_width(), Bias::With);
        let time = t.dense(x, shape.time_width(), Bias::With);
        if let Some(added) = shape.added {
            let x = t.hold(Shape::tokens(1, added.width));
            let x = t.dense(x, shape.time_width(), Bias::With);
            t.dense(x, shape.time_width(), Bias::With);
        }
        time
    });
    let mut h = t.hold(Shape::image(shape.in_channels, height, width));
    // The latent belongs to the caller, and what is left for later steps stays.
    let (mut skips, mut stays): (Vec<Shape>, _) = (vec![], true);
    for step in shape.steps() {
        t.at_level(step.level);
        let skip = if step.skip == Skip::Take { skips.pop() } else { None };
        let arrives = h;
        h = t.step(|t| match skip {
            Some(skip) => {
                let both = t.hold(Shape { channels: h.channels + skip.channels, ..h });
                t.free_input(skip);
                t.free_input(h);
                t.replace(both, |t| walk.body(t, both, &step.body))
            }
            None => walk.body(t, h, &step.body),
        });
        if skip.is_none() && !stays {
            t.free_input(arrives);
        }
        stays = step.skip == Skip::Leave;
        if stays {
            skips.push(h);
        }
    }
}

struct Walk<'a> {
    shape: &'a UNetShape,
    context: Shape,
}

impl Walk<'_> {
    /// What a step computes; `x` stays.
    fn body(&self, t: &mut Tally, x: Shape, body: &BodyPlan) -> Shape {
        match body {
            BodyPlan::Convolution { outputs, stride, .. } => t.conv(x, *outputs, 3, *stride, Kernels::Own),
            BodyPlan::Layer { outputs, transformer, .. } => {
                let h = t.scope(|t| self.resnet(t, x, *outputs));
                match transformer {
                    Some(transformer) => t.replace(h, |t| self.transformer(t, h, &transformer.layers)),
                    None => h,
                }
            }
            BodyPlan::Upsample { channels, .. } => t.scope(|t| {
                let wide = t.pointwise(Shape::image(x.channels, 2 * x.height, 2 * x.width));
                t.conv(wide, *channels, 3, 1, Kernels::Own)
            }),
            BodyPlan::Out => t.scope(|t| {
                t.norm(x);
                t.pointwise(x);
                t.conv(x, self.shape.out_channels, 3, 1, Kernels::Own)
            }),
        }
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

    fn transformer(&self, t: &mut Tally, x: Shape, layers: &[CrossAttentionLayer]) -> Shape {
        let tokens = Shape::tokens(x.area(), x.channels);
        t.scope(|t| {
            t.norm(x);
            t.pointwise(tokens)
        });
        let mut h = t.dense(tokens, x.channels, Bias::With);
        for layer in layers {
            h = t.replace(h, |t| self.transformer_layer(t, h, layer.heads));
        }
        t.dense(h, x.channels, Bias::With);
        t.pointwise(x);
        t.pointwise(x)
    }

    fn transformer_layer(&self, t: &mut Tally, x: Shape, heads: usize) -> Shape {
        t.norm(x);
        Self::attention(t, x, x, heads);
        t.norm(x);
        Self::attention(t, x, self.context, heads);
        let inner = t.scope(|t| {
            let h = t.norm(x);
            let h = t.replace(h, |t| t.dense(x, 8 * x.channels, Bias::With));
            t.replace(h, |t| t.gate(h))
        });
        t.dense(inner, x.channels, Bias::With);
        t.pointwise(x)
    }

    /// Attention and the sum behind it.
    fn attention(t: &mut Tally, x: Shape, over: Shape, heads: usize) -> Shape {
        t.scope(|t| {
            t.scope(|t| {
                t.dense(over, x.channels, Bias::Without);
                t.dense(over, x.channels, Bias::Without);
                t.dense(x, x.channels, Bias::Without);
                t.attend(x, over.area(), heads);
                t.dense(x, x.channels, Bias::With)
            });
            t.pointwise(x)
        })
    }
}
