//! Sums.

use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor};

use super::{CHUNK, f32_slice, is_fast};
use crate::{
    Result,
    error::{check_equal, check_shapes},
    gemm::in_pieces,
};

/// The elementwise sum x + y; `x`, `y` and the result have one shape.
///
/// # Errors
///
/// When the shapes differ.
pub fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    check_equal("add", x, y)?;
    if is_fast(x) {
        return Ok(x.contiguous()?.apply_op2(&y.contiguous()?, Add)?);
    }
    Ok((x + y)?)
}

/// Adds a constant to each channel of each sample: `x: (B, C, H, W)`, `shift: (B, C)`, or `(1, C)` for all samples;
/// returns `(B, C, H, W)`. No gradient is taken with respect to the shift.
///
/// # Errors
///
/// When the shapes do not fit.
pub fn shift_channels(x: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let fits = match (x.dims(), shift.dims()) {
        ([batch, channels, _, _], [of_shift, shifts]) => channels == shifts && (of_shift == batch || *of_shift == 1),
        _ => false,
    };
    let expected = || "needs (B, C, H, W) and a shift (B, C) or (1, C)".into();
    check_shapes(fits, "shift-channels", expected, &[x.shape(), shift.shape()])?;
    let (batch, channels) = shift.dims2()?;
    if is_fast(x) && batch == x.dim(0)? {
        return Ok(x.contiguous()?.apply_op2(&shift.detach().contiguous()?, Shift)?);
    }
    Ok(x.broadcast_add(&shift.detach().reshape((batch, channels, 1, 1))?)?)
}

struct Add;
struct Shift;

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, y) = (f32_slice(s1, l1)?, f32_slice(s2, l2)?);
        let sum = in_pieces(x.len(), CHUNK, |i, sum| {
            let (x, y) = (&x[i * CHUNK..], &y[i * CHUNK..]);
            sum.iter_mut().zip(x).zip(y).for_each(|((sum, x), y)| *sum = x + y);
        });
        Ok((CpuStorage::F32(sum), l1.shape().clone()))
    }

    fn bwd(
        &self,
        _x: &Tensor,
        _y: &Tensor,
        _sum: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(grad.clone()), Some(grad.clone())))
    }
}

impl CustomOp2 for Shift {
    fn name(&self) -> &'static str {
        "shift-channels"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, shift) = (f32_slice(s1, l1)?, f32_slice(s2, l2)?);
        let (_, _, height, width) = l1.shape().dims4()?;
        let area = height * width;
        let y = in_pieces(x.len(), area, |i, plane| {
            plane.iter_mut().zip(&x[i * area..]).for_each(|(y, x)| *y = x + shift[i]);
        });
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(
        &self,
        _x: &Tensor,
        _shift: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(grad.clone()), None))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::test_util::{assert_close, random};

    #[test]
    fn sums_and_shifts_agree_with_the_composed_version() -> Result<()> {
        let (x, y) = (Var::from_tensor(&random(&[2, 3, 4, 5], 1)?)?, Var::from_tensor(&random(&[2, 3, 4, 5], 2)?)?);
        let shift = random(&[2, 3], 3)?;
        let (x64, y64) = (x.to_dtype(DType::F64)?, y.to_dtype(DType::F64)?);
        let out = shift_channels(&add(&x, &y)?, &shift)?;
        let out64 = shift_channels(&add(&x64, &y64)?, &shift.to_dtype(DType::F64)?)?;
        assert_close(&out, &out64, 1e-6);
        let (fast, slow) = (out.sqr()?.sum_all()?.backward()?, out64.sqr()?.sum_all()?.backward()?);
        for var in [&x, &y] {
            assert_close(fast.get(var).expect("gradient"), slow.get(var).expect("gradient"), 1e-6);
        }
        assert!(add(&x, &random(&[2, 3], 1)?).is_err());
        Ok(())
    }
}
