//! Transposition.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use rayon::prelude::*;

use super::{f32_slice, is_fast};
use crate::{
    Result,
    error::{Error, check_shapes},
    gemm::zeros,
};

/// Swaps the last two dimensions: `x: (B, M, N)`; returns `(B, N, M)`, contiguous. Linear, so that it is its own jvp.
///
/// # Errors
///
/// When `x` has not three dimensions.
pub fn swap_last(x: &Tensor) -> Result<Tensor> {
    check_shapes(x.rank() == 3, "swap-last", || "needs (B, M, N)".into(), &[x.shape()])?;
    if is_fast(x) {
        return Ok(x.contiguous()?.apply_op1(Swap)?);
    }
    Ok(x.transpose(1, 2)?.contiguous()?)
}

/// Rows of the result that one task writes: as many numbers as a line of cache holds of the input.
const ROWS: usize = 16;

struct Swap;

impl CustomOp1 for Swap {
    fn name(&self) -> &'static str {
        "swap-last"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = f32_slice(storage, layout)?;
        let (batch, m, n) = layout.shape().dims3()?;
        let mut y = zeros(x.len());
        for (y, x) in y.chunks_mut((m * n).max(1)).zip(x.chunks((m * n).max(1))) {
            y.par_chunks_mut(ROWS * m).enumerate().for_each(|(block, y)| {
                for (i, row) in x.chunks(n).enumerate() {
                    for (y, x) in y[i..].iter_mut().step_by(m).zip(&row[block * ROWS..]) {
                        *y = *x;
                    }
                }
            });
        }
        Ok((CpuStorage::F32(y), Shape::from((batch, n, m))))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        swap_last(grad).map(Some).map_err(Error::into_candle)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::test_util::{assert_close, random};

    #[test]
    fn forward_and_backward_agree_with_the_composed_version() -> Result<()> {
        for dims in [[2, 3, 37], [1, 20, 16], [2, 1, 5]] {
            let x = Var::from_tensor(&random(&dims, 1)?)?;
            let x64 = x.to_dtype(DType::F64)?;
            let weights = random(&[dims[0], dims[2], dims[1]], 2)?;
            assert_close(&swap_last(&x)?, &swap_last(&x64)?, 0.0);
            let fast = (swap_last(&x)? * &weights)?.sum_all()?.backward()?;
            let slow = (swap_last(&x64)? * weights.to_dtype(DType::F64)?)?.sum_all()?.backward()?;
            assert_close(fast.get(&x).expect("gradient"), slow.get(&x).expect("gradient"), 1e-6);
        }
        Ok(())
    }
}
