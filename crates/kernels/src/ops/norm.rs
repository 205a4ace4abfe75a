//! Group and layer normalisation.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, Layout, Shape, Tensor};

use super::{by_candle, f32_slice, is_fast, is_half, sum_of, sum_of_pairs, vectorized, widen, with_f32};
use crate::{
    Error, Result,
    error::{check_equal, check_shapes},
    gemm::in_pieces,
};

const NAME: &str = "norm";

/// A frozen group or layer normalisation with its affine part: y = w · (x − mean) / √(var + ε) + b,
/// mean and (biased) variance over each group of channels and all positions, or over the last dimension.
#[derive(Clone, Debug)]
pub struct Norm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
    over: Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// Groups of channels of `(B, C, …)`.
    Groups(usize),
    /// The last dimension.
    Last,
}

impl Norm {
    /// Group normalisation of `(B, C, …)`: `weight, bias: (C,)`, `groups` divides C, `eps` = ε is added to variances.
    ///
    /// # Errors
    ///
    /// When the weight and the bias are not two vectors of one length, or `groups` does not divide it.
    pub fn group(weight: Tensor, bias: Tensor, groups: usize, eps: f64) -> Result<Self> {
        Self::new(weight, bias, Over::Groups(groups), eps)
    }

    /// Layer normalisation of `(…, C)`: `weight, bias: (C,)`, `eps` = ε is added to variances.
    ///
    /// # Errors
    ///
    /// When the weight and the bias are not two vectors of one length.
    pub fn layer(weight: Tensor, bias: Tensor, eps: f64) -> Result<Self> {
        Self::new(weight, bias, Over::Last, eps)
    }

    fn new(weight: Tensor, bias: Tensor, over: Over, eps: f64) -> Result<Self> {
        let channels = weight.elem_count();
        let groups = if let Over::Groups(groups) = over { groups } else { 1 };
        let divides = groups > 0 && channels > 0 && channels.is_multiple_of(groups);
        let fits = weight.rank() == 1 && weight.shape() == bias.shape() && divides;
        let expected = || format!("needs a weight (C,) and a bias (C,), with {groups} groups that divide C");
        check_shapes(fits, NAME, expected, &[weight.shape(), bias.shape()])?;
        Ok(Self { weight, bias, eps, over })
    }

    /// The normalised `x`, of the same shape.
    ///
    /// # Errors
    ///
    /// When `x` has another number of channels than the weight.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        self.rows(x.shape())?;
        if is_fast(x) {
            return Ok(x.contiguous()?.apply_op1(Forward(self.clone()))?);
        }
        if is_half(x) {
            return Ok(self.apply(&widen(x)?)?.to_dtype(x.dtype())?);
        }
        let (centred, inv_std) = self.centred(x)?;
        self.scale_and_shift(&centred.broadcast_mul(&inv_std)?, x, Some(&self.bias))
    }

    /// Jacobian-vector product of [`Self::apply`] at `x`, for a tangent `dx` of its shape, which is that of the result.
    ///
    /// # Errors
    ///
    /// When the shapes differ, or do not fit the weight.
    pub fn jvp(&self, x: &Tensor, dx: &Tensor) -> Result<Tensor> {
        self.rows(x.shape())?;
        check_equal("norm-jvp", x, dx)?;
        if is_fast(x) {
            let op = Derivative { norm: self.clone(), direction: Direction::Jvp };
            return Ok(x.contiguous()?.apply_op2_no_bwd(&dx.contiguous()?, &op)?);
        }
        if is_half(x) {
            return Ok(self.jvp(&widen(x)?, &widen(dx)?)?.to_dtype(x.dtype())?);
        }
        let (centred, inv_std) = self.centred(x)?;
        let normal = centred.broadcast_mul(&inv_std)?;
        let dx = dx.reshape(normal.shape())?;
        let along = (&normal * &dx)?.mean_keepdim(D::Minus1)?;
        let inner = dx.broadcast_sub(&dx.mean_keepdim(D::Minus1)?)?.broadcast_sub(&normal.broadcast_mul(&along)?)?;
        self.scale_and_shift(&inner.broadcast_mul(&inv_std)?, x, None)
    }

    /// Vector-Jacobian product of [`Self::apply`] at `x`, for a gradient of its shape, which is that of the result.
    ///
    /// # Errors
    ///
    /// When the shapes differ, or do not fit the weight.
    pub fn vjp(&self, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        self.rows(x.shape())?;
        check_equal("norm-vjp", x, gradient)?;
        if is_fast(x) {
            let op = Derivative { norm: self.clone(), direction: Direction::Vjp };
            return Ok(x.contiguous()?.apply_op2_no_bwd(&gradient.contiguous()?, &op)?);
        }
        let [of_x] = by_candle([x], gradient, |[x]| self.apply(x))?;
        Ok(of_x)
    }

    /// x minus its mean and 1/√(var + ε), as rows.
    fn centred(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let rows = match self.over {
            Over::Groups(groups) => x.reshape((x.dim(0)? * groups, ()))?,
            Over::Last => x.reshape(((), x.dim(D::Minus1)?))?,
        };
        let centred = rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?)?;
        let inv_std = (centred.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?.recip()?;
        Ok((centred, inv_std))
    }

    fn scale_and_shift(&self, rows: &Tensor, like: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let channel_shape = match self.over {
            Over::Groups(_) => {
                let mut shape = vec![1; like.rank()];
                shape[1] = self.weight.elem_count();
                shape
            }
            Over::Last => vec![self.weight.elem_count()],
        };
        let weight = self.weight.to_dtype(like.dtype())?.reshape(channel_shape.clone())?;
        let y = rows.reshape(like.shape())?.broadcast_mul(&weight)?;
        match bias {
            Some(bias) => Ok(y.broadcast_add(&bias.to_dtype(like.dtype())?.reshape(channel_shape)?)?),
            None => Ok(y),
        }
    }

    fn rows(&self, shape: &Shape) -> Result<Rows> {
        let channels = self.weight.elem_count();
        let dims = shape.dims();
        let expected = match (self.over, dims) {
            (Over::Groups(groups), [_, of_x, rest @ ..]) if *of_x == channels => {
                return Ok(Rows { groups, channels: channels / groups, area: rest.iter().product() });
            }
            (Over::Last, [.., last]) if *last == channels => return Ok(Rows { groups: 1, channels, area: 1 }),
            (Over::Groups(_), _) => format!("needs (B, C, …) with C = {channels}"),
            (Over::Last, _) => format!("needs (…, C) with C = {channels}"),
        };
        Err(Error::Shape { operation: NAME, expected, got: vec![dims.to_vec()] })
    }
}

/// How a tensor splits into normalised rows: row r holds `channels` channels of `area` elements, those
/// of group r % groups.
#[derive(Clone, Copy)]
struct Rows {
    groups: usize,
    channels: usize,
    area: usize,
}

impl Rows {
    fn len(self) -> usize {
        self.channels * self.area
    }

    /// The per-channel parameters of a row.
    fn of(self, row: usize, parameters: &[f32]) -> &[f32] {
        &parameters[row % self.groups * self.channels..][..self.channels]
    }
}

#[inline(always)]
fn mean_and_inv_std(x: &[f32], eps: f64) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = sum_of(x, |x| x) / n;
    let variance = sum_of(x, |x| (x - mean) * (x - mean)) / n;
    (mean, 1.0 / (variance + eps as f32).sqrt())
}

/// Multiplies each channel of a row by its parameter.
#[inline(always)]
fn scale_channels(out: &mut [f32], area: usize, parameter: &[f32]) {
    if area == 1 {
        out.iter_mut().zip(parameter).for_each(|(out, p)| *out *= p);
    } else {
        for (out, p) in out.chunks_mut(area).zip(parameter) {
            out.iter_mut().for_each(|out| *out *= p);
        }
    }
}

#[inline(always)]
fn shift_channels(out: &mut [f32], area: usize, parameter: &[f32]) {
    if area == 1 {
        out.iter_mut().zip(parameter).for_each(|(out, p)| *out += p);
    } else {
        for (out, p) in out.chunks_mut(area).zip(parameter) {
            out.iter_mut().for_each(|out| *out += p);
        }
    }
}

struct Forward(Norm);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// J d: the affine weight acts on the result.
    Jvp,
    /// Jᵀ d: the affine weight acts on the input.
    Vjp,
}

struct Derivative {
    norm: Norm,
    direction: Direction,
}

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = f32_slice(storage, layout)?;
        let rows = self.0.rows(layout.shape()).map_err(Error::into_candle)?;
        let y = with_f32(&self.0.weight, |weight| {
            with_f32(&self.0.bias, |bias| {
                in_pieces(x.len(), rows.len(), |row, y| {
                    let x = &x[row * rows.len()..][..rows.len()];
                    let (weight, bias) = (rows.of(row, weight), rows.of(row, bias));
                    vectorized(
                        #[inline(always)]
                        || {
                            let (mean, inv_std) = mean_and_inv_std(x, self.0.eps);
                            for (y, x) in y.iter_mut().zip(x) {
                                *y = (x - mean) * inv_std;
                            }
                            scale_channels(y, rows.area, weight);
                            shift_channels(y, rows.area, bias);
                        },
                    );
                })
            })
        })??;
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        self.0.vjp(&x.detach(), grad).map(Some).map_err(Error::into_candle)
    }
}

impl Derivative {
    /// With n = (x − mean)/σ the Jacobian of x ↦ n is symmetric: (d − mean(d) − n · mean(n · d)) / σ.
    #[inline(always)]
    fn row(&self, x: &[f32], d: &[f32], weight: &[f32], area: usize, out: &mut [f32]) {
        let (mean, inv_std) = mean_and_inv_std(x, self.norm.eps);
        out.copy_from_slice(d);
        if self.direction == Direction::Vjp {
            scale_channels(out, area, weight);
        }
        let n = x.len() as f32;
        let d_mean = sum_of(out, |d| d) / n;
        let along = sum_of_pairs(out, x, |d, x| d * (x - mean)) * inv_std / n;
        for (out, x) in out.iter_mut().zip(x) {
            *out = inv_std * (*out - d_mean - (x - mean) * inv_std * along);
        }
        if self.direction == Direction::Jvp {
            scale_channels(out, area, weight);
        }
    }
}

impl CustomOp2 for Derivative {
    fn name(&self) -> &'static str {
        "norm-derivative"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, d) = (f32_slice(s1, l1)?, f32_slice(s2, l2)?);
        let rows = self.norm.rows(l1.shape()).map_err(Error::into_candle)?;
        let out = with_f32(&self.norm.weight, |weight| {
            in_pieces(x.len(), rows.len(), |row, out| {
                let of_row = row * rows.len()..(row + 1) * rows.len();
                let (x, d, weight) = (&x[of_row.clone()], &d[of_row], rows.of(row, weight));
                vectorized(
                    #[inline(always)]
                    || self.row(x, d, weight, rows.area, out),
                );
            })
        })?;
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::test_util::{assert_close, random};

    fn check(norm: &Norm, dims: &[usize]) -> Result<()> {
        let x = Var::from_tensor(&(random(dims, 3)? * 2.0)?.affine(1.0, 0.5)?)?;
        let x64 = x.to_dtype(DType::F64)?;
        assert_close(&norm.apply(&x)?, &norm.apply(&x64)?, 1e-6);

        let weights = random(dims, 4)?;
        let fast = (norm.apply(&x)? * &weights)?.sum_all()?.backward()?;
        let slow = (norm.apply(&x64)? * weights.to_dtype(DType::F64)?)?.sum_all()?.backward()?;
        assert_close(fast.get(&x).expect("gradient"), slow.get(&x).expect("gradient"), 1e-5);

        let d = random(dims, 5)?;
        let slow = norm.jvp(&x64, &d.to_dtype(DType::F64)?)?;
        assert_close(&norm.jvp(&x, &d)?, &slow, 1e-6);
        // ⟨w, J d⟩ = ⟨Jᵀ w, d⟩ ties the jvp to the gradient that candle derived.
        let forward = (slow * weights.to_dtype(DType::F64)?)?.sum_all()?.to_scalar::<f64>()?;
        let backward = (fast.get(&x).expect("gradient") * d)?.sum_all()?.to_scalar::<f32>()?;
        assert!((forward - f64::from(backward)).abs() < 1e-4 * forward.abs().max(1.0));
        Ok(())
    }

    #[test]
    fn group_norm_agrees_with_the_composed_version() -> Result<()> {
        check(&Norm::group(random(&[6], 1)?, random(&[6], 2)?, 3, 1e-5)?, &[2, 6, 4, 5])
    }

    #[test]
    fn layer_norm_agrees_with_the_composed_version() -> Result<()> {
        check(&Norm::layer(random(&[24], 1)?, random(&[24], 2)?, 1e-5)?, &[2, 3, 24])
    }

    #[test]
    fn a_shape_that_does_not_fit_is_an_error() -> Result<()> {
        let norm = Norm::group(random(&[6], 1)?, random(&[6], 2)?, 3, 1e-5)?;
        assert!(norm.apply(&random(&[2, 5, 4, 4], 1)?).is_err());
        Ok(())
    }
}
