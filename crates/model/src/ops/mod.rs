//! Tensor operations with a fast CPU path, a backward, and the pieces forward mode needs.
//!
//! candle's own `softmax_last_dim` and fused layer norm cut the gradient, and its convolution always
//! computes weight gradients; these operations hold their (frozen) weights and differentiate with
//! respect to their inputs alone. Each stands in a file of its own with its formula and its test
//! against a naive version.

mod activation;
mod affine;
mod attention;
mod conv2d;
mod geglu;
mod linear;
mod norm;
mod upsample;

pub use activation::{Activation, activate, activation_derivative};
pub use affine::Affine;
pub use attention::{AttentionMask, WithTangent, attention, attention_probabilities, attention_pushforward};
pub use conv2d::Conv2d;
pub use geglu::{geglu, geglu_pushforward};
pub use linear::Linear;
pub use norm::Norm;
pub use upsample::upsample_nearest_2x;

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, bail};

/// The elements of a contiguous f32 CPU tensor, as a custom operation receives it.
fn f32_slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let data = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => bail!("a custom operation needs a contiguous tensor, got {:?}", layout.shape()),
    }
}

/// Runs `f` on the elements of a contiguous f32 CPU tensor.
fn with_f32<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(cpu) => Ok(f(f32_slice(cpu, layout)?)),
        _ => bail!("a CPU operation was given a tensor on another device"),
    }
}

/// Whether the fast CPU path serves this tensor; elsewhere the operations are composed of candle's own.
fn is_fast(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32
}

/// exp(x) to about one unit in the last place of f32, written so that it vectorises (Cephes polynomial).
/// NaN stays NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer without a library call.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.3 { -87.3 } else { x };
    let x = if x > 88.3 { 88.3 } else { x };
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = x - n * 0.693_359_4;
    let r = r + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4_f32;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let y = p * r * r + r + 1.0;
    f32::from_bits(((n as i32 + 127) << 23) as u32) * y
}

/// Elements per task of an elementwise operation: large enough to hide the cost of a task.
const CHUNK: usize = 16_384;
