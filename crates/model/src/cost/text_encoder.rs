//! The text encoder's forward on shapes.

use super::{
    Tally,
    tally::{Bias, Shape},
};
use crate::{pipeline::TextOutput, text_encoder::TextShape};

/// One prompt a sample, all token positions.
pub(crate) fn text_encoder(t: &mut Tally, shape: &TextShape) -> Shape {
    let x = Shape::tokens(shape.context_length, shape.width);
    t.parameters_alone((shape.vocabulary + shape.context_length) * shape.width);
    t.hold(x);
    for _ in 0..shape.layers_to_hidden() {
        t.replace(x, |t| layer(t, shape, x));
    }
    match shape.part.output {
        TextOutput::Last => t.norm(x),
        TextOutput::Penultimate => x,
        TextOutput::PenultimateAndPooled => {
            t.scope(|t| {
                layer(t, shape, x);
                t.norm(x);
                t.dense(Shape::tokens(1, shape.width), shape.projection, Bias::Without)
            });
            x
        }
    }
}

fn layer(t: &mut Tally, shape: &TextShape, x: Shape) -> Shape {
    t.norm(x);
    for _ in 0..3 {
        t.dense(x, shape.width, Bias::With);
    }
    // Masked scores are computed, too.
    t.attend(x, shape.context_length, shape.heads);
    t.dense(x, shape.width, Bias::With);
    t.pointwise(x);
    t.norm(x);
    let inner = t.dense(x, shape.inner, Bias::With);
    t.pointwise(inner);
    t.dense(inner, shape.width, Bias::With);
    t.pointwise(x)
}
