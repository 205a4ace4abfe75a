//! Dual numbers: a value and its directional derivative, for exact Jacobian-vector products.

use candle_core::Tensor;

use crate::{
    Error, Result,
    error::check_shapes,
    ops::{self, Activation, Affine, AttentionMask, Norm},
    value::{LinearMap, Value},
};

/// A primal value with its tangents; none means that the value does not depend on the input.
///
/// There are as many tangents as samples, or one sample has any number of them: its own value is then computed once for
/// all directions.
#[derive(Clone, Debug)]
pub struct Dual {
    primal: Tensor,
    tangent: Option<Tensor>,
}

impl Dual {
    /// An input of the function, `(B, …)` or `(1, …)`, and the directions `tangent: (B, …)` in which derivatives are taken.
    ///
    /// # Errors
    ///
    /// When the shapes do not fit.
    pub fn variable(primal: Tensor, tangent: Tensor) -> Result<Self> {
        let fits = tangent.rank() > 0 && spread(&primal, tangent.dim(0)?)?.shape() == tangent.shape();
        let expected = || "needs two equal shapes, or one sample and its tangents".into();
        check_shapes(fits, "dual", expected, &[primal.shape(), tangent.shape()])?;
        Ok(Self { primal, tangent: Some(tangent) })
    }

    /// J·v for the directions v that the variables were given, `(B, …)`; zeros of the shape of the primal where it does not
    /// depend on them.
    ///
    /// # Errors
    ///
    /// When memory for the zeros cannot be had.
    pub fn tangent(&self) -> Result<Tensor> {
        match &self.tangent {
            Some(tangent) => Ok(tangent.clone()),
            None => Ok(self.primal.zeros_like()?),
        }
    }

    fn with(&self, primal: Tensor, tangent: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(Self { primal, tangent: self.tangent.as_ref().map(tangent).transpose()? })
    }

    /// The primal, repeated where one sample has several tangents.
    fn beside(&self, tangent: &Tensor) -> Result<Tensor> {
        spread(&self.primal, tangent.dim(0)?)
    }
}

/// A single sample repeated `samples` times; anything else as it is.
fn spread(x: &Tensor, samples: usize) -> Result<Tensor> {
    match x.dims() {
        [1, rest @ ..] if samples != 1 => Ok(x.broadcast_as([&[samples], rest].concat())?.contiguous()?),
        _ => Ok(x.clone()),
    }
}

impl Value for Dual {
    fn constant(tensor: &Tensor) -> Self {
        Self { primal: tensor.clone(), tangent: None }
    }

    fn primal(&self) -> &Tensor {
        &self.primal
    }

    fn linear_map(&self, map: impl LinearMap, _: impl LinearMap) -> Result<Self> {
        self.with(map(&self.primal)?, &map)
    }

    fn through(&self, layer: &impl Affine) -> Result<Self> {
        self.with(layer.apply(&self.primal)?, |d| layer.apply_linear_part(d))
    }

    fn shift_channels(&self, shift: &Tensor) -> Result<Self> {
        self.with(Value::shift_channels(&self.primal, shift)?, |d| Ok(d.clone()))
    }

    fn add(&self, other: &Self) -> Result<Self> {
        let tangent = match (&self.tangent, &other.tangent) {
            (Some(a), Some(b)) => Some(ops::add(a, b)?),
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        Ok(Self { primal: ops::add(&self.primal, &other.primal)?, tangent })
    }

    fn concat_channels(&self, other: &Self) -> Result<Self> {
        let tangent = match (&self.tangent, &other.tangent) {
            (None, None) => None,
            (Some(d), None) => Some(ops::concat_channels(d, &other.beside(d)?.zeros_like()?)?),
            (None, Some(d)) => Some(ops::concat_channels(&self.beside(d)?.zeros_like()?, d)?),
            (Some(a), Some(b)) => Some(ops::concat_channels(a, b)?),
        };
        Ok(Self { primal: ops::concat_channels(&self.primal, &other.primal)?, tangent })
    }

    fn normalise(&self, norm: &Norm) -> Result<Self> {
        self.with(norm.apply(&self.primal)?, |d| norm.jvp(&self.beside(d)?, d))
    }

    fn activate(&self, activation: Activation) -> Result<Self> {
        self.with(ops::activate(&self.primal, activation)?, |d| ops::activation_jvp(&self.beside(d)?, d, activation))
    }

    fn geglu(&self) -> Result<Self> {
        self.with(ops::geglu(&self.primal)?, |d| ops::geglu_jvp(&self.beside(d)?, d))
    }

    fn attend(&self, key: &Self, value: &Self, heads: usize, mask: AttentionMask) -> Result<Self> {
        let primal = ops::attention(&self.primal, &key.primal, &value.primal, heads, mask)?;
        let moving = [self, key, value].into_iter().find_map(|x| x.tangent.as_ref());
        let tangent = moving.map(|moving| {
            let parts = |x: &Self| Ok::<_, Error>((x.beside(moving)?, x.tangent.clone()));
            let (q, k, v) = (parts(self)?, parts(key)?, parts(value)?);
            ops::attention_jvp((&q.0, q.1.as_ref()), (&k.0, k.1.as_ref()), (&v.0, v.1.as_ref()), heads, mask)
        });
        let tangent = tangent.transpose()?;
        Ok(Self { primal, tangent })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::{
        ops::{Conv2d, Linear, swap_last},
        test_util::{assert_close, random},
    };

    /// Convolution, group norm, SiLU, a dense layer, self-attention and a residual: one of everything.
    fn block<V: Value>(x: &V, dtype: DType) -> Result<V> {
        let weight = |dims: &[usize], seed| Ok::<_, Error>(random(dims, seed)?.affine(0.3, 0.0)?.to_dtype(dtype)?);
        let conv = Conv2d::new(weight(&[8, 4, 3, 3], 1)?, Some(weight(&[8], 2)?), 1, 1)?;
        let batch = x.primal().dim(0)?;
        let norm = Norm::group(weight(&[8], 3)?, weight(&[8], 4)?, 2, 1e-5)?;
        let dense = Linear::new(weight(&[16, 8], 5)?, Some(weight(&[16], 6)?))?;
        let h = x.through(&conv)?.normalise(&norm)?.activate(Activation::Silu)?;
        let h = h.shift_channels(&weight(&[batch, 8], 7)?)?;
        let dims = h.primal().dims4()?;
        let tokens = h.linear_map(|t| swap_last(&t.flatten_from(2)?), move |t| Ok(swap_last(t)?.reshape(dims)?))?;
        let gated = tokens.through(&dense)?.geglu()?;
        let context = V::constant(&weight(&[batch, 5, 8], 8)?);
        let crossed = gated.attend(&context, &context, 2, AttentionMask::None)?;
        gated.attend(&gated, &tokens, 2, AttentionMask::None)?.add(&crossed)?.concat_channels(&tokens)
    }

    #[test]
    fn jacobian_vector_product_equals_central_differences_in_f64() -> Result<()> {
        let (x, v) = (random(&[2, 4, 4, 4], 10)?, random(&[2, 4, 4, 4], 11)?);
        let dual = block(&Dual::variable(x.clone(), v.clone())?, DType::F32)?;
        assert_close(dual.primal(), &block(&x, DType::F32)?, 0.0);

        let (x, v, h) = (x.to_dtype(DType::F64)?, v.to_dtype(DType::F64)?, 1e-5);
        let ahead = block(&(&x + (&v * h)?)?, DType::F64)?;
        let behind = block(&(&x - (&v * h)?)?, DType::F64)?;
        let expected = ((ahead - behind)? / (2.0 * h))?;
        assert_close(&dual.tangent()?, &expected, 1e-5);
        Ok(())
    }

    #[test]
    fn one_sample_has_a_product_for_each_of_its_directions() -> Result<()> {
        let (x, v) = (random(&[1, 4, 4, 4], 10)?, random(&[3, 4, 4, 4], 11)?);
        let together = block(&Dual::variable(x.clone(), v.clone())?, DType::F32)?;
        assert_close(together.primal(), &block(&x, DType::F32)?, 0.0);
        for i in 0..3 {
            let alone = block(&Dual::variable(x.clone(), v.narrow(0, i, 1)?)?, DType::F32)?.tangent()?;
            assert_close(&together.tangent()?.narrow(0, i, 1)?, &alone, 1e-6);
        }
        Ok(())
    }

    #[test]
    fn a_constant_beside_a_moving_value_has_a_tangent_of_zeros() -> Result<()> {
        let (x, v) = (random(&[1, 2, 3], 1)?, random(&[4, 2, 3], 2)?);
        let (moving, still) = (Dual::variable(x, v.clone())?, Dual::constant(&random(&[1, 1, 3], 3)?));
        let zeros = Tensor::zeros((4, 1, 3), DType::F32, v.device())?;
        assert_close(&moving.concat_channels(&still)?.tangent()?, &Tensor::cat(&[&v, &zeros], 1)?, 0.0);
        assert_close(&still.concat_channels(&moving)?.tangent()?, &Tensor::cat(&[&zeros, &v], 1)?, 0.0);
        Ok(())
    }

    #[test]
    fn a_constant_has_no_tangent() -> Result<()> {
        let c = Dual::constant(&random(&[1, 2], 1)?);
        assert_eq!(c.tangent()?.to_vec2::<f32>()?, vec![vec![0.0, 0.0]]);
        assert!(Dual::variable(random(&[1, 2], 1)?, random(&[2, 1], 1)?).is_err());
        Ok(())
    }
}
