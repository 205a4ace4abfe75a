//! GEGLU (Shazeer 2020, arXiv 2002.05202), without its projection.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, Layout, Shape, Tensor};

use super::{
    activation::{Activation, activate, activation_jvp, gelu, gelu_slope},
    by_candle, f32_slice, is_fast, is_half, vectorized, widen,
};
use crate::{
    Error, Result,
    error::{check_equal, check_shapes},
    gemm::in_pieces,
};

/// value · gelu(gate): `x: (…, 2F)` holds values, then gates; returns `(…, F)`. The GELU is the exact one (erf).
///
/// # Errors
///
/// When the last dimension of `x` is odd or empty.
pub fn geglu(x: &Tensor) -> Result<Tensor> {
    check(x)?;
    if is_fast(x) {
        return Ok(x.contiguous()?.apply_op1(Forward)?);
    }
    if is_half(x) {
        return Ok(geglu(&widen(x)?)?.to_dtype(x.dtype())?);
    }
    let (value, gate) = halves(x)?;
    Ok((value * activate(&gate, Activation::Gelu)?)?)
}

/// Jacobian-vector product of [`geglu`]: `x, dx: (…, 2F)`; returns `(…, F)` = d(value) · gelu(gate) +
/// value · gelu'(gate) · d(gate).
///
/// # Errors
///
/// When the shapes differ, or their last dimension is odd or empty.
pub fn geglu_jvp(x: &Tensor, dx: &Tensor) -> Result<Tensor> {
    check(x)?;
    check_equal("geglu-jvp", x, dx)?;
    if is_fast(x) {
        return Ok(x.contiguous()?.apply_op2_no_bwd(&dx.contiguous()?, &Jvp)?);
    }
    if is_half(x) {
        return Ok(geglu_jvp(&widen(x)?, &widen(dx)?)?.to_dtype(x.dtype())?);
    }
    let ((value, gate), (d_value, d_gate)) = (halves(x)?, halves(dx)?);
    let of_value = (d_value * activate(&gate, Activation::Gelu)?)?;
    Ok((of_value + (value * activation_jvp(&gate, &d_gate, Activation::Gelu)?)?)?)
}

/// Vector-Jacobian product of [`geglu`]: `x: (…, 2F)`, `gradient: (…, F)`; returns `(…, 2F)`.
///
/// # Errors
///
/// When the shapes do not fit one another, or the last dimension of `x` is odd or empty.
pub fn geglu_vjp(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    check(x)?;
    if is_fast(x) {
        let fits = half_width(x.shape()).1 == *gradient.shape();
        let expected = || "needs x (…, 2F) and a gradient (…, F)".into();
        check_shapes(fits, "geglu-vjp", expected, &[x.shape(), gradient.shape()])?;
        return Ok(x.contiguous()?.apply_op2_no_bwd(&gradient.contiguous()?, &Vjp)?);
    }
    let [of_x] = by_candle([x], gradient, |[x]| geglu(x))?;
    Ok(of_x)
}

fn check(x: &Tensor) -> Result<()> {
    let fits = x.dims().last().is_some_and(|last| *last > 0 && last.is_multiple_of(2));
    check_shapes(fits, "geglu", || "needs an even, non-empty last dimension".into(), &[x.shape()])
}

fn halves(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let half = x.dim(D::Minus1)? / 2;
    Ok((x.narrow(D::Minus1, 0, half)?.contiguous()?, x.narrow(D::Minus1, half, half)?.contiguous()?))
}

struct Forward;
struct Vjp;
struct Jvp;

/// F, and the shape of the result.
fn half_width(x: &Shape) -> (usize, Shape) {
    let mut dims = x.dims().to_vec();
    let mut width = 0;
    if let Some(last) = dims.last_mut() {
        *last /= 2;
        width = *last;
    }
    (width, Shape::from(dims))
}

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "geglu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = f32_slice(storage, layout)?;
        let (width, shape) = half_width(layout.shape());
        let y = in_pieces(x.len() / 2, width, |row, y| {
            let (value, gate) = x[2 * width * row..][..2 * width].split_at(width);
            vectorized(
                #[inline(always)]
                || y.iter_mut().zip(value).zip(gate).for_each(|((y, v), g)| *y = v * gelu(*g)),
            );
        });
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        geglu_vjp(&x.detach(), grad).map(Some).map_err(Error::into_candle)
    }
}

impl CustomOp2 for Vjp {
    fn name(&self) -> &'static str {
        "geglu-vjp"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, grad) = (f32_slice(s1, l1)?, f32_slice(s2, l2)?);
        let (width, _) = half_width(l1.shape());
        let out = in_pieces(x.len(), 2 * width, |row, out| {
            let (d_value, d_gate) = out.split_at_mut(width);
            let (value, gate) = x[2 * width * row..][..2 * width].split_at(width);
            let grad = &grad[width * row..][..width];
            vectorized(
                #[inline(always)]
                || {
                    let (gate, d_gate) = (&gate[..width], &mut d_gate[..width]);
                    for (i, grad) in grad.iter().enumerate().take(width) {
                        d_value[i] = grad * gelu(gate[i]);
                        d_gate[i] = grad * value[i] * gelu_slope(gate[i]);
                    }
                },
            );
        });
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }
}

impl CustomOp2 for Jvp {
    fn name(&self) -> &'static str {
        "geglu-jvp"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, dx) = (f32_slice(s1, l1)?, f32_slice(s2, l2)?);
        let (width, shape) = half_width(l1.shape());
        let out = in_pieces(x.len() / 2, width, |row, out| {
            let both = 2 * width * row..2 * width * (row + 1);
            let ((value, gate), (d_value, d_gate)) = (x[both.clone()].split_at(width), dx[both].split_at(width));
            vectorized(
                #[inline(always)]
                || {
                    let (gate, d_gate) = (&gate[..width], &d_gate[..width]);
                    for (i, out) in out.iter_mut().enumerate().take(width) {
                        *out = d_value[i] * gelu(gate[i]) + value[i] * gelu_slope(gate[i]) * d_gate[i];
                    }
                },
            );
        });
        Ok((CpuStorage::F32(out), shape))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::test_util::{assert_close, random};

    #[test]
    fn forward_vjp_and_jvp_agree_with_the_composed_version() -> Result<()> {
        let x = Var::from_tensor(&random(&[3, 5, 8], 1)?)?;
        let composed = geglu(&x.to_dtype(DType::F64)?)?;
        assert_close(&geglu(&x)?, &composed, 1e-6);

        let weights = random(&[3, 5, 4], 2)?;
        let fast = (geglu(&x)? * &weights)?.sum_all()?.backward()?;
        let slow = (geglu(&x.to_dtype(DType::F64)?)? * weights.to_dtype(DType::F64)?)?.sum_all()?.backward()?;
        assert_close(fast.get(&x).expect("gradient"), slow.get(&x).expect("gradient"), 1e-6);

        // ⟨w, J d⟩ = ⟨Jᵀ w, d⟩ for every d.
        let d = random(&[3, 5, 8], 3)?;
        assert_close(&geglu_jvp(&x, &d)?, &geglu_jvp(&x.to_dtype(DType::F64)?, &d.to_dtype(DType::F64)?)?, 1e-6);
        let forward = (geglu_jvp(&x, &d)? * weights)?.sum_all()?.to_scalar::<f32>()?;
        let backward = (fast.get(&x).expect("gradient") * d)?.sum_all()?.to_scalar::<f32>()?;
        assert!((forward - backward).abs() < 1e-4 * backward.abs().max(1.0));
        Ok(())
    }
}
