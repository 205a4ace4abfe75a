//! The text encoder's forward on shapes.

use super::{
    Tally,
    tally::{Bias, Shape},
};
use crate::text_encoder::TextShape;

/// One prompt a sample, all token positions.
pub(crate) fn text_encoder(t: &mut Tally, shape: &TextShape) {
    let x = Shape::tokens(shape.context_length, shape.width);
    t.parameters_alone((shape.vocabulary + shape.context_length) * shape.width);
    t.hold(x);
    for _ in 0..shape.layers {
        t.replace(x, |t| {
            t.norm(x);
            for _ in 0..3 {
                t.dense(x, shape.width, Bias::With);
            }
            // Masked scores are computed, too.
            t.attend(x, shape.context_length);
            t.dense(x, shape.width, Bias::With);
            t.pointwise(x);
            t.norm(x);
            let inner = t.dense(x, shape.inner, Bias::With);
            t.pointwise(inner);
            t.dense(inner, shape.width, Bias::With);
            t.pointwise(x)
        });
    }
    t.norm(x);
}
