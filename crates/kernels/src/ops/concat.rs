//! Concatenation.

use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor, bail};

use super::{f32_slice, is_fast};
use crate::{Result, error::check_shapes, gemm::in_pieces};

/// Concatenation along the channels: `x: (B, C, …)`, `y: (B, C', …)`; returns `(B, C + C', …)`.
///
/// # Errors
///
/// When they differ in another dimension than the second, or have none.
pub fn concat_channels(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let fits = match (x.dims(), y.dims()) {
        ([batch, _, rest @ ..], [of_y, _, rest_of_y @ ..]) => batch == of_y && rest == rest_of_y,
        _ => false,
    };
    let expected = || "needs two shapes (B, C, …) that differ in C alone".into();
    check_shapes(fits, "concat-channels", expected, &[x.shape(), y.shape()])?;
    if is_fast(x) {
        return Ok(x.contiguous()?.apply_op2(&y.contiguous()?, Concat)?);
    }
    Ok(Tensor::cat(&[x, y], 1)?)
}

struct Concat;

impl CustomOp2 for Concat {
    fn name(&self) -> &'static str {
        "concat-channels"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, y) = (f32_slice(s1, l1)?, f32_slice(s2, l2)?);
        let ([batch, first, rest @ ..], [_, second, ..]) = (l1.dims(), l2.dims()) else {
            bail!("{:?} and {:?} have no channels", l1.shape(), l2.shape());
        };
        let (both, area) = (first + second, rest.iter().product::<usize>());
        let joined = in_pieces(batch * both * area, area, |i, plane| {
            let (sample, channel) = (i / both, i % both);
            let (from, at) = match channel.checked_sub(*first) {
                None => (x, sample * first + channel),
                Some(channel) => (y, sample * second + channel),
            };
            plane.copy_from_slice(&from[at * area..][..area]);
        });
        Ok((CpuStorage::F32(joined), Shape::from([&[*batch, both], rest].concat())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (first, second) = (x.dim(1)?, y.dim(1)?);
        Ok((Some(grad.narrow(1, 0, first)?), Some(grad.narrow(1, first, second)?)))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::test_util::{assert_close, random};

    #[test]
    fn forward_and_backward_agree_with_the_composed_version() -> Result<()> {
        let (x, y) = (Var::from_tensor(&random(&[2, 3, 4, 5], 1)?)?, Var::from_tensor(&random(&[2, 2, 4, 5], 2)?)?);
        let weights = random(&[2, 5, 4, 5], 3)?;
        let (x64, y64) = (x.to_dtype(DType::F64)?, y.to_dtype(DType::F64)?);
        let (joined, joined64) = (concat_channels(&x, &y)?, concat_channels(&x64, &y64)?);
        assert_close(&joined, &joined64, 0.0);
        let fast = (joined.sqr()? * &weights)?.sum_all()?.backward()?;
        let slow = (joined64.sqr()? * weights.to_dtype(DType::F64)?)?.sum_all()?.backward()?;
        for var in [&x, &y] {
            assert_close(fast.get(var).expect("gradient"), slow.get(var).expect("gradient"), 1e-6);
        }
        assert!(concat_channels(&x, &random(&[2, 3, 5, 4], 1)?).is_err());
        Ok(())
    }
}
