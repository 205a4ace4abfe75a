//! Dense layers.

use candle_core::{CpuStorage, CustomOp1, D, Layout, Shape, Tensor};

use super::{Affine, by_candle_at_zero, f32_slice, is_fast, is_half_on_cpu, widen, with_f32};
use crate::{
    Result,
    error::check_shapes,
    gemm::{Mat, MatMut, Threads, Write, in_pieces, matmul, zeros},
};

const NAME: &str = "linear";

/// A frozen dense layer over the last dimension: y = x Wᵀ + b. `x: (…, in)`; the result is `(…, out)`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    /// Wᵀ (in, out), row by row, where it is small: a product of few rows would otherwise spend a fifth of its time on
    /// reordering W.
    transposed: Option<Tensor>,
    bias: Option<Tensor>,
}

/// Most numbers of a weight that is held both ways: 512 KiB of f32.
const HELD_BOTH_WAYS: usize = 1 << 17;

impl Affine for Linear {
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, self.bias.as_ref())
    }

    fn apply_linear_part(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None)
    }

    fn vjp(&self, input: &Shape, gradient: &Tensor) -> Result<Tensor> {
        if !is_fast(gradient) {
            return by_candle_at_zero(input, gradient, |x| self.apply_linear_part(x));
        }
        let mut output = input.dims().to_vec();
        output.pop();
        output.push(self.weight.dim(0)?);
        let fits = input.dims().last() == Some(&self.weight.dim(1)?) && output == gradient.dims();
        check_shapes(fits, NAME, || format!("needs a gradient {output:?}"), &[input, gradient.shape()])?;
        let op = Product { weight: self.weight.clone(), bias: None, side: Side::Backward };
        Ok(gradient.contiguous()?.apply_op1_no_bwd(&op)?)
    }
}

impl Linear {
    /// From `weight: (out, in)` and `bias: (out,)`.
    ///
    /// # Errors
    ///
    /// When these have other shapes, or `in` or `out` is zero.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Result<Self> {
        let fits = weight.rank() == 2
            && weight.elem_count() > 0
            && bias.as_ref().is_none_or(|bias| bias.dims() == &weight.dims()[..1]);
        let shapes: Vec<&Shape> = [Some(&weight), bias.as_ref()].into_iter().flatten().map(Tensor::shape).collect();
        check_shapes(fits, NAME, || "needs a weight (out, in) and a bias (out,)".into(), &shapes)?;
        let is_small = weight.elem_count() <= HELD_BOTH_WAYS && is_fast(&weight);
        let transposed = is_small.then(|| weight.t()?.contiguous()).transpose()?;
        Ok(Self { weight, transposed, bias })
    }

    fn run(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let inputs = self.weight.dim(1)?;
        check_shapes(
            x.dims().last() == Some(&inputs),
            NAME,
            || format!("needs a last dimension of {inputs}"),
            &[x.shape()],
        )?;
        if is_fast(x) {
            let (weight, side) = match &self.transposed {
                Some(transposed) => (transposed, Side::Backward),
                None => (&self.weight, Side::Forward),
            };
            let op = Product { weight: weight.clone(), bias: bias.cloned(), side };
            return Ok(x.contiguous()?.apply_op1(op)?);
        }
        if is_half_on_cpu(x) {
            return Ok(self.run(&widen(x)?, bias)?.to_dtype(x.dtype())?);
        }
        let weight = self.weight.to_dtype(x.dtype())?.t()?;
        let mut dims = x.dims().to_vec();
        let flat = x.reshape(((), x.dim(D::Minus1)?))?.matmul(&weight)?;
        if let Some(last) = dims.last_mut() {
            *last = flat.dim(1)?;
        }
        let y = flat.reshape(dims)?;
        match bias {
            Some(bias) => Ok(y.broadcast_add(&bias.to_dtype(x.dtype())?)?),
            None => Ok(y),
        }
    }
}

/// Which side of the weight the input is multiplied with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// x Wᵀ.
    Forward,
    /// x W: the vector-Jacobian product, or the forward product with a weight that is held transposed.
    Backward,
}

struct Product {
    weight: Tensor,
    bias: Option<Tensor>,
    side: Side,
}

impl CustomOp1 for Product {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = f32_slice(storage, layout)?;
        let (rows_of_weight, columns) = self.weight.dims2()?;
        let (from, to) = match self.side {
            Side::Forward => (columns, rows_of_weight),
            Side::Backward => (rows_of_weight, columns),
        };
        let mut dims = layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = to;
        }
        let rows = x.len() / from;
        let (mut y, write) = match &self.bias {
            Some(bias) => {
                (with_f32(bias, |bias| in_pieces(rows * to, to, |_, row| row.copy_from_slice(bias)))?, Write::Add)
            }
            None => (zeros(rows * to), Write::Replace),
        };
        with_f32(&self.weight, |weight| {
            let weight = Mat::rows(weight, rows_of_weight, columns);
            let rhs = if self.side == Side::Forward { weight.t() } else { weight };
            matmul(&mut MatMut::rows(&mut y, rows, to), Mat::rows(x, rows, from), rhs, 1.0, write, Threads::Pool);
        })?;
        Ok((CpuStorage::F32(y), Shape::from(dims)))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let side = if self.side == Side::Forward { Side::Backward } else { Side::Forward };
        let product = Product { weight: self.weight.clone(), bias: None, side };
        grad.contiguous()?.apply_op1(product).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::test_util::{assert_close, random};

    #[test]
    fn forward_and_backward_agree_with_the_composed_version() -> Result<()> {
        let layer = Linear::new(random(&[7, 5], 1)?, Some(random(&[7], 2)?))?;
        let x = Var::from_tensor(&random(&[2, 3, 5], 3)?)?;
        let x64 = x.to_dtype(DType::F64)?;
        assert_close(&layer.apply(&x)?, &layer.apply(&x64)?, 1e-6);
        assert_close(&layer.apply_linear_part(&x)?, &layer.apply_linear_part(&x64)?, 1e-6);

        let fast = layer.apply(&x)?.sqr()?.sum_all()?.backward()?;
        let slow = layer.apply(&x64)?.sqr()?.sum_all()?.backward()?;
        assert_close(fast.get(&x).expect("gradient"), slow.get(&x).expect("gradient"), 1e-6);
        Ok(())
    }
}
