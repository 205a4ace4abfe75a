use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, Layout, Result, Shape, Tensor};

use super::{
    activation::{Activation, activate, activation_jvp, gelu, gelu_slope},
    f32_slice, is_fast, is_half, vectorized, widen,
};
use crate::gemm::in_pieces;

/// GEGLU without its projection: `x: (…, 2F)` holds values then gates; returns `(…, F)` = value · gelu(gate), exact erf.
pub fn geglu(x: &Tensor) -> Result<Tensor> {
    if is_fast(x) {
        return x.contiguous()?.apply_op1(Forward);
    }
    if is_half(x) {
        return geglu(&widen(x)?)?.to_dtype(x.dtype());
    }
    let (value, gate) = halves(x)?;
    value * activate(&gate, Activation::Gelu)?
}

/// Jacobian-vector product of [`geglu`]: `x, dx: (…, 2F)`; returns `(…, F)` = d(value) · gelu(gate) + value · gelu'(gate) · d(gate).
pub fn geglu_jvp(x: &Tensor, dx: &Tensor) -> Result<Tensor> {
    if is_fast(x) {
        return x.contiguous()?.apply_op2_no_bwd(&dx.contiguous()?, &Jvp);
    }
    if is_half(x) {
        return geglu_jvp(&widen(x)?, &widen(dx)?)?.to_dtype(x.dtype());
    }
    let ((value, gate), (d_value, d_gate)) = (halves(x)?, halves(dx)?);
    (d_value * activate(&gate, Activation::Gelu)?)? + (value * activation_jvp(&gate, &d_gate, Activation::Gelu)?)?
}

fn halves(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let half = x.dim(D::Minus1)? / 2;
    Ok((x.narrow(D::Minus1, 0, half)?.contiguous()?, x.narrow(D::Minus1, half, half)?.contiguous()?))
}

struct Forward;
struct Vjp;
struct Jvp;

fn half_width(layout: &Layout) -> Result<(usize, Shape)> {
    let mut dims = layout.dims().to_vec();
    match dims.last_mut() {
        Some(last) if *last % 2 == 0 && *last > 0 => {
            *last /= 2;
            Ok((*last, Shape::from(dims)))
        }
        _ => candle_core::bail!("GEGLU needs an even, non-empty last dimension, got {:?}", layout.shape()),
    }
}

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "geglu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = f32_slice(storage, layout)?;
        let (width, shape) = half_width(layout)?;
        let y = in_pieces(x.len() / 2, width, |row, y| {
            let (value, gate) = x[2 * width * row..][..2 * width].split_at(width);
            vectorized(
                #[inline(always)]
                || y.iter_mut().zip(value).zip(gate).for_each(|((y, v), g)| *y = v * gelu(*g)),
            );
        });
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        x.detach().apply_op2_no_bwd(&grad.contiguous()?, &Vjp).map(Some)
    }
}

impl CustomOp2 for Vjp {
    fn name(&self) -> &'static str {
        "geglu-vjp"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, grad) = (f32_slice(s1, l1)?, f32_slice(s2, l2)?);
        let (width, _) = half_width(l1)?;
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

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, dx) = (f32_slice(s1, l1)?, f32_slice(s2, l2)?);
        let (width, shape) = half_width(l1)?;
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
    fn forward_backward_and_pushforward_agree_with_the_composed_version() -> Result<()> {
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
