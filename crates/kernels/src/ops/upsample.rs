//! Upsampling.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

use super::{f32_slice, is_fast};
use crate::{
    Result,
    error::{Error, check_shapes},
    gemm::in_pieces,
};

/// Nearest-neighbour upsampling by two: `x: (B, C, H, W)`; returns `(B, C, 2H, 2W)`. Linear, so that it is its own jvp.
///
/// # Errors
///
/// When `x` has not four dimensions.
pub fn upsample_nearest_2x(x: &Tensor) -> Result<Tensor> {
    check_shapes(x.rank() == 4, "upsample-nearest-2x", || "needs (B, C, H, W)".into(), &[x.shape()])?;
    if is_fast(x) {
        return Ok(x.contiguous()?.apply_op1(Upsample)?);
    }
    let (batch, channels, height, width) = x.dims4()?;
    // Not candle's `upsample_nearest2d`: its backward overwrites where it should accumulate.
    let pixels = x.reshape((batch, channels, height, 1, width, 1))?;
    let squares = pixels.broadcast_as((batch, channels, height, 2, width, 2))?.contiguous()?;
    Ok(squares.reshape((batch, channels, 2 * height, 2 * width))?)
}

/// The sum of every 2x2 pixels, the transpose of [`upsample_nearest_2x`]: `x: (B, C, 2H, 2W)`; returns `(B, C, H, W)`.
///
/// # Errors
///
/// When `x` has not four dimensions, or an odd height or width.
pub fn sum_pool_2x(x: &Tensor) -> Result<Tensor> {
    let fits = matches!(x.dims(), [_, _, height, width] if height % 2 == 0 && width % 2 == 0);
    check_shapes(fits, "sum-pool-2x", || "needs (B, C, 2H, 2W)".into(), &[x.shape()])?;
    if is_fast(x) {
        return Ok(x.contiguous()?.apply_op1_no_bwd(&SumPool)?);
    }
    let (batch, channels, height, width) = x.dims4()?;
    Ok(x.reshape((batch, channels, height / 2, 2, width / 2, 2))?.sum(5)?.sum(3)?)
}

struct Upsample;
struct SumPool;

impl CustomOp1 for Upsample {
    fn name(&self) -> &'static str {
        "upsample-nearest-2x"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = f32_slice(storage, layout)?;
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let y = in_pieces(4 * x.len(), 4 * width, |row, rows| {
            let x = &x[row * width..][..width];
            let (first, second) = rows.split_at_mut(2 * width);
            for (pair, x) in first.chunks_mut(2).zip(x) {
                pair.fill(*x);
            }
            second.copy_from_slice(first);
        });
        Ok((CpuStorage::F32(y), Shape::from((batch, channels, 2 * height, 2 * width))))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        sum_pool_2x(grad).map(Some).map_err(Error::into_candle)
    }
}

impl CustomOp1 for SumPool {
    fn name(&self) -> &'static str {
        "sum-pool-2x"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let grad = f32_slice(storage, layout)?;
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let out = in_pieces(grad.len() / 4, width / 2, |row, out| {
            let (first, second) = grad[2 * width * row..][..2 * width].split_at(width);
            for ((out, a), b) in out.iter_mut().zip(first.chunks(2)).zip(second.chunks(2)) {
                *out = a[0] + a[1] + b[0] + b[1];
            }
        });
        Ok((CpuStorage::F32(out), Shape::from((batch, channels, height / 2, width / 2))))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::test_util::{assert_close, random};

    #[test]
    fn forward_and_backward_agree_with_the_composed_version() -> Result<()> {
        let x = Var::from_tensor(&random(&[2, 3, 4, 5], 1)?)?;
        let x64 = x.to_dtype(DType::F64)?;
        assert_close(&upsample_nearest_2x(&x)?, &upsample_nearest_2x(&x64)?, 0.0);
        let weights = random(&[2, 3, 8, 10], 2)?;
        let fast = (upsample_nearest_2x(&x)? * &weights)?.sum_all()?.backward()?;
        let slow = (upsample_nearest_2x(&x64)? * weights.to_dtype(DType::F64)?)?.sum_all()?.backward()?;
        assert_close(fast.get(&x).expect("gradient"), slow.get(&x).expect("gradient"), 1e-6);
        assert_close(&sum_pool_2x(&weights)?, &sum_pool_2x(&weights.to_dtype(DType::F64)?)?, 1e-6);
        assert!(sum_pool_2x(&random(&[1, 1, 3, 4], 3)?).is_err());
        Ok(())
    }
}
