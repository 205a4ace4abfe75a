//! Helpers shared by the unit tests.
use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

use crate::Result;

/// A standard-normal f32 tensor, the same on every run.
pub(crate) fn random(dims: &[usize], seed: u64) -> Result<Tensor> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let data: Vec<f32> = (0..dims.iter().product()).map(|_| StandardNormal.sample(&mut rng)).collect();
    Ok(Tensor::from_vec(data, dims, &Device::Cpu)?)
}

/// ‖a − b‖₂ / ‖b‖₂ over all elements, in f64.
pub(crate) fn relative_l2(a: &Tensor, b: &Tensor) -> Result<f64> {
    let (a, b) = (a.to_dtype(DType::F64)?.flatten_all()?, b.to_dtype(DType::F64)?.flatten_all()?);
    let difference = (a - &b)?.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt();
    Ok(difference / b.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt())
}

/// Asserts equal shapes and a relative L2 distance of at most `tolerance`.
#[track_caller]
pub(crate) fn assert_close(a: &Tensor, b: &Tensor, tolerance: f64) {
    assert_eq!(a.dims(), b.dims());
    let error = relative_l2(a, b).expect("both tensors are readable");
    assert!(error <= tolerance, "relative L2 {error:.3e} exceeds {tolerance:.1e}");
}
