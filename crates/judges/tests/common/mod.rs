//! The fixtures that `scripts/fixtures/judges/make_judges.py` made, and how far a result is from them.

#![allow(dead_code, reason = "each test uses some of it")]

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};

/// A folder of the fixtures.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A tensor of `expected.safetensors` in a folder.
pub(crate) fn expected(folder: &Path, name: &str) -> Tensor {
    let tensors = candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu).unwrap();
    tensors[name].clone()
}

/// The same as numbers in f64.
pub(crate) fn numbers(folder: &Path, name: &str) -> Vec<f64> {
    expected(folder, name).to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// ‖got − expected‖₂ / ‖expected‖₂.
pub(crate) fn distance(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let difference: f64 = got.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum();
    (difference / expected.iter().map(|x| x * x).sum::<f64>()).sqrt()
}
