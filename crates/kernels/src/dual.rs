//! Dual numbers: a value and its directional derivative, for exact Jacobian-vector products.

use candle_core::Tensor;

use crate::{
    Result,
    error::check_equal,
    ops::{self, Activation, Affine, AttentionMask, Norm},
    value::{LinearMap, Value},
};

/// A primal value with its tangent; no tangent means that the value does not depend on the input.
#[derive(Clone, Debug)]
pub struct Dual {
    primal: Tensor,
    tangent: Option<Tensor>,
}

impl Dual {
    /// An input of the function, of any shape, and the direction `tangent` in which the derivative is taken, of the same
    /// shape.
    ///
    /// # Errors
    ///
    /// When the shapes differ.
    pub fn variable(primal: Tensor, tangent: Tensor) -> Result<Self> {
        check_equal("dual", &primal, &tangent)?;
        Ok(Self { primal, tangent: Some(tangent) })
    }

    /// J·v for the directions v that the variables were given, of the shape of the primal; zeros where it does not depend
    /// on them.
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
            _ => Some(ops::concat_channels(&self.tangent()?, &other.tangent()?)?),
        };
        Ok(Self { primal: ops::concat_channels(&self.primal, &other.primal)?, tangent })
    }

    fn normalise(&self, norm: &Norm) -> Result<Self> {
        self.with(norm.apply(&self.primal)?, |d| norm.jvp(&self.primal, d))
    }

    fn activate(&self, activation: Activation) -> Result<Self> {
        self.with(ops::activate(&self.primal, activation)?, |d| ops::activation_jvp(&self.primal, d, activation))
    }

    fn geglu(&self) -> Result<Self> {
        self.with(ops::geglu(&self.primal)?, |d| ops::geglu_jvp(&self.primal, d))
    }

    fn attend(&self, key: &Self, value: &Self, heads: usize, mask: AttentionMask) -> Result<Self> {
        let primal = ops::attention(&self.primal, &key.primal, &value.primal, heads, mask)?;
        let moves = [self, key, value].iter().any(|x| x.tangent.is_some());
        let parts = |x: &Self| (x.primal.clone(), x.tangent.clone());
        let tangent = if moves {
            let (q, k, v) = (parts(self), parts(key), parts(value));
            Some(ops::attention_jvp((&q.0, q.1.as_ref()), (&k.0, k.1.as_ref()), (&v.0, v.1.as_ref()), heads, mask)?)
        } else {
            None
        };
        Ok(Self { primal, tangent })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::{
        Error,
        ops::{Conv2d, Linear, swap_last},
        test_util::{assert_close, random},
    };

    /// Convolution, group norm, SiLU, a dense layer, self-attention and a residual: one of everything.
    fn block<V: Value>(x: &V, dtype: DType) -> Result<V> {
        let weight = |dims: &[usize], seed| Ok::<_, Error>(random(dims, seed)?.affine(0.3, 0.0)?.to_dtype(dtype)?);
        let conv = Conv2d::new(weight(&[8, 4, 3, 3], 1)?, Some(weight(&[8], 2)?), 1, 1)?;
        let norm = Norm::group(weight(&[8], 3)?, weight(&[8], 4)?, 2, 1e-5)?;
        let dense = Linear::new(weight(&[16, 8], 5)?, Some(weight(&[16], 6)?))?;
        let h = x.through(&conv)?.normalise(&norm)?.activate(Activation::Silu)?;
        let h = h.shift_channels(&weight(&[2, 8], 7)?)?;
        let dims = h.primal().dims4()?;
        let tokens = h.linear_map(|t| swap_last(&t.flatten_from(2)?), move |t| Ok(swap_last(t)?.reshape(dims)?))?;
        let gated = tokens.through(&dense)?.geglu()?;
        let context = V::constant(&weight(&[2, 5, 8], 8)?);
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
    fn a_constant_has_no_tangent() -> Result<()> {
        let c = Dual::constant(&random(&[1, 2], 1)?);
        assert_eq!(c.tangent()?.to_vec2::<f32>()?, vec![vec![0.0, 0.0]]);
        assert!(Dual::variable(random(&[1, 2], 1)?, random(&[2, 1], 1)?).is_err());
        Ok(())
    }
}
