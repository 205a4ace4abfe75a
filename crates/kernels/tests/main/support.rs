//! Random tensors, and norms in f64.

use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// The unit roundoff of f32: half the distance from 1 to the next number.
pub(crate) const ROUNDOFF: f64 = f32::EPSILON as f64 / 2.0;

/// Seeded standard-normal tensors.
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A standard-normal f32 tensor.
    pub(crate) fn normal(&mut self, dims: &[usize]) -> Tensor {
        let data: Vec<f32> = (0..dims.iter().product()).map(|_| StandardNormal.sample(&mut self.0)).collect();
        Tensor::from_vec(data, dims, &Device::Cpu).unwrap()
    }
}

/// All elements in row-major order.
pub(crate) fn elements(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Σ a b.
pub(crate) fn inner(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    elements(a).iter().zip(elements(b)).map(|(a, b)| a * b).sum()
}

/// ‖x‖₂ over all elements.
pub(crate) fn norm(x: &Tensor) -> f64 {
    inner(x, x).sqrt()
}

/// max |x|.
pub(crate) fn largest(x: &Tensor) -> f64 {
    elements(x).iter().fold(0.0, |most, x| x.abs().max(most))
}
