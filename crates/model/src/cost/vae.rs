//! The VAE on shapes: the parameters of both halves, a decoding and an encoding. Its network is candle-transformers'.

use super::{
    Tally,
    tally::{Bias, Kernels, Shape},
};
use crate::vae::VaeShape;

/// One latent of this size.
pub(crate) fn vae(t: &mut Tally, shape: &VaeShape, (height, width): (usize, usize)) {
    let (channels, latent) = (&shape.network.block_out_channels, shape.network.latent_channels);
    let (first, deepest) = (channels[0], channels[channels.len() - 1]);
    t.parameters_alone(encoder_parameters(shape));

    let x = Shape::image(latent, height, width);
    t.hold(x);
    if shape.network.use_post_quant_conv {
        t.conv(x, latent, 1, 1, Kernels::Candle);
    }
    let mut h = t.conv(x, deepest, 3, 1, Kernels::Candle);
    h = t.replace(h, |t| resnet(t, h, deepest));
    h = t.replace(h, |t| attention(t, h));
    h = t.replace(h, |t| resnet(t, h, deepest));
    for (i, outputs) in channels.iter().rev().enumerate() {
        for _ in 0..=shape.network.layers_per_block {
            h = t.replace(h, |t| resnet(t, h, *outputs));
        }
        if i + 1 < channels.len() {
            h = t.replace(h, |t| {
                let wide = t.pointwise(Shape::image(h.channels, 2 * h.height, 2 * h.width));
                conv(t, wide, *outputs, 3)
            });
        }
    }
    norm(t, Shape::image(first, h.height, h.width));
    t.pointwise(h);
    conv(t, h, shape.out_channels, 3);
}

/// The encoder, on one picture whose latent has this size. Its parameters are counted with [`vae`].
pub(crate) fn vae_encoder(t: &mut Tally, shape: &VaeShape, (height, width): (usize, usize)) {
    let factor = 1 << (shape.network.block_out_channels.len() - 1);
    encode(t, shape, (factor * height, factor * width));
}

/// The encoder's parameters alone.
fn encoder_parameters(shape: &VaeShape) -> usize {
    let mut t = Tally::of_one(super::Pass::Prediction);
    encode(&mut t, shape, (1, 1));
    t.parameters() as usize
}

fn encode(t: &mut Tally, shape: &VaeShape, (mut height, mut width): (usize, usize)) {
    let (channels, latent) = (&shape.network.block_out_channels, shape.network.latent_channels);
    let x = t.hold(Shape::image(shape.in_channels, height, width));
    let mut h = t.replace(x, |t| conv(t, x, channels[0], 3));
    for (i, outputs) in channels.iter().enumerate() {
        for _ in 0..shape.network.layers_per_block {
            h = t.replace(h, |t| resnet(t, h, *outputs));
        }
        if i + 1 < channels.len() {
            // With stride 2: as much work as one without at half the size.
            (height, width) = (height.div_ceil(2), width.div_ceil(2));
            h = t.replace(h, |t| conv(t, Shape::image(*outputs, height, width), *outputs, 3));
        }
    }
    h = t.replace(h, |t| resnet(t, h, h.channels));
    h = t.replace(h, |t| attention(t, h));
    h = t.replace(h, |t| resnet(t, h, h.channels));
    norm(t, h);
    h = t.replace(h, |t| conv(t, h, 2 * latent, 3));
    if shape.network.use_quant_conv {
        conv(t, h, 2 * latent, 1);
    }
}

/// candle's convolution adds its bias out of place.
fn conv(t: &mut Tally, x: Shape, outputs: usize, kernel: usize) -> Shape {
    t.scope(|t| {
        let y = t.conv(x, outputs, kernel, 1, Kernels::Candle);
        t.pointwise(y)
    })
}

/// candle composes a group norm of difference, quotient, product and sum, which all live until its end.
fn norm(t: &mut Tally, x: Shape) -> Shape {
    t.scope(|t| {
        t.norm(x);
        for _ in 0..3 {
            t.pointwise(x);
        }
        x
    })
}

fn resnet(t: &mut Tally, x: Shape, outputs: usize) -> Shape {
    norm(t, x);
    t.pointwise(x);
    let h = conv(t, x, outputs, 3);
    norm(t, h);
    t.pointwise(h);
    conv(t, h, outputs, 3);
    if x.channels != outputs {
        conv(t, x, outputs, 1);
    }
    t.pointwise(h)
}

/// One head over all pixels; the scores are whole matrices here.
fn attention(t: &mut Tally, x: Shape) -> Shape {
    let tokens = Shape::tokens(x.area(), x.channels);
    norm(t, x);
    for _ in 0..3 {
        t.dense(tokens, x.channels, Bias::With);
    }
    t.attend(tokens, x.area(), 1);
    // Scores, what the softmax makes of them, and one more of that size within it.
    t.temporary(3 * x.area() * x.area());
    t.dense(tokens, x.channels, Bias::With);
    t.pointwise(x)
}
