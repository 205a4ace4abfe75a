//! Pointwise non-linearities.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape, Tensor};

use super::{CHUNK, exp, f32_slice, is_fast, is_half, vectorized, widen};
use crate::{
    Result,
    error::{Error, check_equal},
    gemm::in_pieces,
};

/// A pointwise non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x · sigmoid(x).
    Silu,
    /// x · Φ(x) with the exact normal distribution function (erf), as SD 2's text encoder and the GEGLU use.
    Gelu,
    /// x · sigmoid(1.702 x), the text encoder of SD 1.
    QuickGelu,
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// erf by Abramowitz and Stegun 7.1.26, absolute error below 1.5e-7.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let p = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_72) * t + 0.254_829_6) * t;
    (1.0 - p * exp(-a * a)).copysign(x)
}

#[inline(always)]
fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

#[inline(always)]
fn silu_slope(x: f32) -> f32 {
    let s = sigmoid(x);
    s * (1.0 + x * (1.0 - s))
}

#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
pub(super) fn gelu_slope(x: f32) -> f32 {
    const INV_SQRT_TAU: f32 = 0.398_942_3;
    0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)) + x * INV_SQRT_TAU * exp(-0.5 * x * x)
}

#[inline(always)]
fn quick_gelu(x: f32) -> f32 {
    x * sigmoid(1.702 * x)
}

#[inline(always)]
fn quick_gelu_slope(x: f32) -> f32 {
    let s = sigmoid(1.702 * x);
    s * (1.0 + 1.702 * x * (1.0 - s))
}

/// f(x) elementwise; `x` may have any shape, which is that of the result.
///
/// # Errors
///
/// When the number format of `x` is not a floating-point one.
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    if is_fast(x) {
        return Ok(x.contiguous()?.apply_op1(Forward(activation))?);
    }
    if is_half(x) {
        return Ok(activate(&widen(x)?, activation)?.to_dtype(x.dtype())?);
    }
    Ok(match activation {
        Activation::Silu => x.silu(),
        Activation::Gelu => x.gelu_erf(),
        Activation::QuickGelu => x * candle_nn::ops::sigmoid(&(x * 1.702)?)?,
    }?)
}

/// f'(x) · d elementwise: the Jacobian of a pointwise map is diagonal, so that this is its jvp and its vjp.
/// `x` and `d` have one shape, which is that of the result.
///
/// # Errors
///
/// When the shapes differ.
pub fn activation_jvp(x: &Tensor, d: &Tensor, activation: Activation) -> Result<Tensor> {
    check_equal("activation-jvp", x, d)?;
    if is_fast(x) {
        return Ok(x.contiguous()?.apply_op2_no_bwd(&d.contiguous()?, &Derivative(activation))?);
    }
    if is_half(x) {
        return Ok(activation_jvp(&widen(x)?, &widen(d)?, activation)?.to_dtype(x.dtype())?);
    }
    let slope = match activation {
        Activation::Silu => sigmoid_slope(x, 1.0)?,
        Activation::QuickGelu => sigmoid_slope(x, 1.702)?,
        Activation::Gelu => {
            let density = ((x.sqr()? * -0.5)?.exp()? * 0.398_942_280_401_432_7)?;
            let cdf = (((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)? * 0.5)?;
            (cdf + (x * density)?)?
        }
    };
    Ok((slope * d)?)
}

/// Derivative of x · sigmoid(k x), composed of candle operations.
fn sigmoid_slope(x: &Tensor, k: f64) -> Result<Tensor> {
    let kx = (x * k)?;
    let s = candle_nn::ops::sigmoid(&kx)?;
    let rest = (kx * (1.0 - &s)?)?;
    Ok((s * (rest + 1.0)?)?)
}

struct Forward(Activation);
struct Derivative(Activation);

fn map(x: &[f32], f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    in_pieces(x.len(), CHUNK, |i, y| {
        let x = &x[i * CHUNK..];
        vectorized(
            #[inline(always)]
            || y.iter_mut().zip(x).for_each(|(y, x)| *y = f(*x)),
        );
    })
}

fn map2(x: &[f32], d: &[f32], slope: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    in_pieces(x.len(), CHUNK, |i, y| {
        let (x, d) = (&x[i * CHUNK..], &d[i * CHUNK..]);
        vectorized(
            #[inline(always)]
            || y.iter_mut().zip(x).zip(d).for_each(|((y, x), d)| *y = slope(*x) * d),
        );
    })
}

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = f32_slice(storage, layout)?;
        let y = match self.0 {
            Activation::Silu => map(x, silu),
            Activation::Gelu => map(x, gelu),
            Activation::QuickGelu => map(x, quick_gelu),
        };
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        activation_jvp(&x.detach(), grad, self.0).map(Some).map_err(Error::into_candle)
    }
}

impl CustomOp2 for Derivative {
    fn name(&self) -> &'static str {
        "activation-derivative"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, d) = (f32_slice(s1, l1)?, f32_slice(s2, l2)?);
        let y = match self.0 {
            Activation::Silu => map2(x, d, silu_slope),
            Activation::Gelu => map2(x, d, gelu_slope),
            Activation::QuickGelu => map2(x, d, quick_gelu_slope),
        };
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use candle_core::{DType, Device, Var};

    use super::*;

    const ALL: [Activation; 3] = [Activation::Silu, Activation::Gelu, Activation::QuickGelu];

    fn grid() -> Result<Tensor> {
        Ok(Tensor::from_vec((-400..=400).map(|i| i as f32 * 0.03).collect(), 801, &Device::Cpu)?)
    }

    #[test]
    fn fast_path_equals_the_composed_one_in_f64() -> Result<()> {
        let x = grid()?;
        for activation in ALL {
            let fast = activate(&x, activation)?.to_vec1::<f32>()?;
            let slow = activate(&x.to_dtype(DType::F64)?, activation)?.to_vec1::<f64>()?;
            for (a, b) in fast.iter().zip(&slow) {
                assert_relative_eq!(f64::from(*a), *b, epsilon = 1e-6, max_relative = 1e-6);
            }
        }
        Ok(())
    }

    #[test]
    fn backward_equals_the_composed_derivative_in_f64() -> Result<()> {
        for activation in ALL {
            let x = Var::from_tensor(&grid()?)?;
            let grads = activate(&x, activation)?.sum_all()?.backward()?;
            let fast = grads.get(&x).expect("a gradient").to_vec1::<f32>()?;
            let x64 = x.to_dtype(DType::F64)?;
            let slow = activation_jvp(&x64, &x64.ones_like()?, activation)?.to_vec1::<f64>()?;
            for (a, b) in fast.iter().zip(&slow) {
                assert_relative_eq!(f64::from(*a), *b, epsilon = 1e-6, max_relative = 1e-5);
            }
        }
        Ok(())
    }

    #[test]
    fn nan_is_not_swallowed() -> Result<()> {
        let x = Tensor::new(&[f32::NAN, 1.0], &Device::Cpu)?;
        for activation in ALL {
            assert!(activate(&x, activation)?.to_vec1::<f32>()?[0].is_nan());
        }
        Ok(())
    }
}
