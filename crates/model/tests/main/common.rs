//! Where networks are tested, and what tensors are compared with.

use std::{collections::HashMap, env, path::Path};

use candle_core::{DType, Device, Tensor, safetensors};
use memscope_model::DeviceChoice;

/// The device under test: the CPU, or what `MEMSCOPE_TEST_DEVICE` names, e.g. `cuda:0`.
pub(crate) fn device() -> DeviceChoice {
    let named = env::var("MEMSCOPE_TEST_DEVICE").ok();
    named.map_or(DeviceChoice::Cpu, |name| name.parse().unwrap_or_else(|e| panic!("MEMSCOPE_TEST_DEVICE: {e}")))
}

/// Reads a file of tensors to the device under test.
pub(crate) fn read_tensors(path: &Path) -> HashMap<String, Tensor> {
    let device = match device() {
        DeviceChoice::Cuda(ordinal) => Device::new_cuda(ordinal).expect("the device under test"),
        _ => Device::Cpu,
    };
    safetensors::load(path, &device).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

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
