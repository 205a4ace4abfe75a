//! Tensor operations, each with its vjp (candle's backward) and its jvp.
//!
//! candle's own `softmax_last_dim` and fused layer norm cut the gradient, and its convolution always computes weight
//! gradients; these operations hold their (frozen) weights and differentiate with respect to their inputs alone.
//!
//! On f32 CPU tensors they run their own loops. Half precision on the CPU is computed in f32 and rounded; other number
//! formats and devices are composed of candle's operations. Every operation takes any layout and returns a contiguous
//! tensor of the number format of its first argument.

mod activation;
mod affine;
mod attention;
mod concat;
mod conv2d;
mod geglu;
mod linear;
mod norm;
mod sum;
mod swap;
mod upsample;
pub(crate) mod winograd;

pub use activation::{Activation, activate, activation_jvp};
pub use affine::Affine;
pub use attention::{AttentionMask, WithTangent, attention, attention_jvp, attention_probabilities};
pub use concat::concat_channels;
pub use conv2d::Conv2d;
pub use geglu::{geglu, geglu_jvp, geglu_vjp};
pub use linear::Linear;
pub use norm::Norm;
pub use sum::{add, shift_channels};
pub use swap::swap_last;
pub use upsample::{sum_pool_2x, upsample_nearest_2x};

pub(crate) use attention::{
    BLOCK as ATTENTION_BLOCK, JVP_TILE as ATTENTION_JVP_TILE, TILE as ATTENTION_TILE, VJP_TILE as ATTENTION_VJP_TILE,
    attention_vjp, attention_with_softmax,
};
pub(crate) use conv2d::UNFOLDED_MAX as CONV_UNFOLDED_MAX;

use candle_core::{CpuStorage, DType, Layout, Result as CandleResult, Shape, Storage, Tensor, Var, bail};
use half::slice::HalfFloatSliceExt;

use crate::Result;

/// The elements of a contiguous f32 CPU tensor, as a custom operation receives it.
fn f32_slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> CandleResult<&'a [f32]> {
    contiguous(storage.as_slice::<f32>()?, layout)
}

fn contiguous<'a, T>(data: &'a [T], layout: &Layout) -> CandleResult<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => bail!("a custom operation needs a contiguous tensor, got {:?}", layout.shape()),
    }
}

/// Runs `f` on the elements of a contiguous CPU tensor, widened where they are stored in half precision.
fn with_f32<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> CandleResult<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(CpuStorage::F16(half)) => Ok(f(&contiguous(half, layout)?.to_f32_vec())),
        Storage::Cpu(CpuStorage::BF16(half)) => Ok(f(&contiguous(half, layout)?.to_f32_vec())),
        Storage::Cpu(cpu) => Ok(f(f32_slice(cpu, layout)?)),
        _ => bail!("all tensors of an operation must be on one device, here the CPU"),
    }
}

/// Whether the fast CPU path serves this tensor; elsewhere the operations are composed of candle's own.
pub(crate) fn is_fast(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32
}

/// Whether elements have half precision. Operations then compute in f32 and round their result, as torch's do.
fn is_half(tensor: &Tensor) -> bool {
    matches!(tensor.dtype(), DType::F16 | DType::BF16)
}

/// Whether matrix products must compute in f32 too, because the CPU has none in half precision.
fn is_half_on_cpu(tensor: &Tensor) -> bool {
    is_half(tensor) && tensor.device().is_cpu()
}

fn widen(tensor: &Tensor) -> CandleResult<Tensor> {
    tensor.to_dtype(DType::F32)
}

/// The vector-Jacobian products of a function at `inputs`, by candle's reverse mode.
pub(crate) fn by_candle<const N: usize>(
    inputs: [&Tensor; N],
    gradient: &Tensor,
    f: impl FnOnce(&[Tensor; N]) -> Result<Tensor>,
) -> Result<[Tensor; N]> {
    let variables = inputs.iter().map(|x| Var::from_tensor(x)).collect::<CandleResult<Vec<_>>>()?;
    let values = std::array::from_fn(|i| variables[i].as_tensor().clone());
    // candle starts from ones; the gradient of the product in the result is what is given.
    let mut gradients = (f(&values)? * gradient)?.backward()?;
    let mut results = inputs.map(Tensor::clone);
    for (result, variable) in results.iter_mut().zip(&variables) {
        *result = match gradients.remove(variable) {
            Some(gradient) => gradient.detach(),
            None => result.zeros_like()?,
        };
    }
    Ok(results)
}

/// The same for a linear function of one input of this shape, of whatever format and device the gradient has: it has one
/// Jacobian everywhere.
pub(crate) fn by_candle_at_zero(
    input: &Shape,
    gradient: &Tensor,
    f: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let zero = Tensor::zeros(input, gradient.dtype(), gradient.device())?;
    let [of_x] = by_candle([&zero], gradient, |[x]| f(x))?;
    Ok(of_x)
}

/// Runs a loop over elements compiled for the widest vectors of this processor; mark `f` `#[inline(always)]`.
/// Every variant does the same operations in the same order, so that results do not depend on the processor.
#[inline(always)]
fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// Independent partial results of a reduction, so that it vectorises in a fixed order.
const LANES: usize = 16;

/// Folds `combine` over f(x) of all elements, starting each lane from `start`.
#[inline(always)]
fn reduce(x: &[f32], start: f32, f: impl Fn(f32) -> f32, combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(start, |rest, x| combine(rest, f(*x)));
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = combine(*lane, f(*x));
        }
    }
    combine(lanes.into_iter().fold(start, &combine), rest)
}

/// Σ f(x).
#[inline(always)]
fn sum_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    reduce(x, 0.0, f, |a, b| a + b)
}

/// Σ f(a, b) over two slices of one length.
#[inline(always)]
fn sum_of_pairs(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += f(*a, *b);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| f(*a, *b)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// The largest element, NaN if there is one.
#[inline(always)]
fn max_of(x: &[f32]) -> f32 {
    // Not f32::max, which would swallow a NaN.
    reduce(x, f32::NEG_INFINITY, |x| x, |a, b| if b > a || b.is_nan() { b } else { a })
}

/// exp(x) to about one unit in the last place of f32, written so that it vectorises (Cephes polynomial).
/// NaN stays NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer without a library call.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.3 { -87.3 } else { x };
    let x = if x > 88.3 { 88.3 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * 0.693_359_4;
    let r = r + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4_f32;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let y = p * r * r + r + 1.0;
    // The low bits of `rounded` are n in two's complement; as an exponent they make 2^n.
    f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23)) * y
}

/// Elements per task of an elementwise operation: large enough to hide the cost of a task.
const CHUNK: usize = 16_384;
