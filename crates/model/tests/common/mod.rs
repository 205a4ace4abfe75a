//! What several tests compare tensors with.

use candle_core::{DType, Tensor};

fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).and_then(|t| t.flatten_all()?.to_vec1()).expect("a readable tensor")
}

/// ‖got − expected‖₂ / ‖expected‖₂ in f64.
pub(crate) fn relative_l2(got: &Tensor, expected: &Tensor) -> f64 {
    let (got, expected) = (flat(got), flat(expected));
    let difference: f64 = got.iter().zip(&expected).map(|(a, b)| (a - b) * (a - b)).sum();
    let scale: f64 = expected.iter().map(|b| b * b).sum();
    (difference / scale).sqrt()
}
