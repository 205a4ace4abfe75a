//! What may flow through a network: one definition of each layer serves every number system.

use candle_core::Tensor;

use crate::{
    Result,
    ops::{self, Activation, Affine, AttentionMask, Norm},
};

/// A linear map between tensors, as a function.
pub trait LinearMap: Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static {}

impl<F: Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static> LinearMap for F {}

/// A value that the networks compute with.
///
/// * [`Tensor`]: inference, and candle's reverse mode when an input is a `Var` (every operation has a backward);
/// * [`Taped`](crate::Taped): reverse mode that keeps no more than it needs;
/// * [`Dual`](crate::Dual): primal and tangent, exact forward-mode J·v.
pub trait Value: Clone {
    /// A value that does not depend on the input.
    fn constant(tensor: &Tensor) -> Self;
    /// The tensor itself, without derivative parts.
    fn primal(&self) -> &Tensor;
    /// Applies a linear map that has no parameters: reshapes, transpositions, copies. It decides the shape of the result.
    /// `transpose` is its transpose, which takes gradients in the result to gradients in the argument.
    ///
    /// # Errors
    ///
    /// Those of `map`.
    fn linear_map(&self, map: impl LinearMap, transpose: impl LinearMap) -> Result<Self>;
    /// Applies a convolution or a dense layer, which decides the shape of the result.
    ///
    /// # Errors
    ///
    /// When the shape does not fit the layer.
    fn through(&self, layer: &impl Affine) -> Result<Self>;
    /// Adds a constant per sample and channel: `self: (B, C, H, W)`, `shift: (B, C)`; returns `(B, C, H, W)`.
    ///
    /// # Errors
    ///
    /// When the shapes do not fit.
    fn shift_channels(&self, shift: &Tensor) -> Result<Self>;
    /// Elementwise sum of equal shapes.
    ///
    /// # Errors
    ///
    /// When the shapes differ.
    fn add(&self, other: &Self) -> Result<Self>;
    /// Concatenation along dimension 1: `self: (B, C, …)`, `other: (B, C', …)`; returns `(B, C + C', …)`.
    ///
    /// # Errors
    ///
    /// When they differ in another dimension.
    fn concat_channels(&self, other: &Self) -> Result<Self>;
    /// Group or layer normalisation; returns the shape of `self`.
    ///
    /// # Errors
    ///
    /// When the number of channels is not that of the layer.
    fn normalise(&self, norm: &Norm) -> Result<Self>;
    /// A pointwise non-linearity; returns the shape of `self`.
    ///
    /// # Errors
    ///
    /// When the number format is not a floating-point one.
    fn activate(&self, activation: Activation) -> Result<Self>;
    /// value · gelu(gate) over the halves of the last dimension: `(…, 2F)`; returns `(…, F)`.
    ///
    /// # Errors
    ///
    /// When the last dimension is odd or empty.
    fn geglu(&self) -> Result<Self>;
    /// Multi-head attention; `self` holds the queries `(B, N, heads·d)`, `key` and `value` `(B, L, heads·d)`; returns
    /// `(B, N, heads·d)`.
    ///
    /// # Errors
    ///
    /// When the shapes do not fit one another or the number of heads.
    fn attend(&self, key: &Self, value: &Self, heads: usize, mask: AttentionMask) -> Result<Self>;
}

impl Value for Tensor {
    fn constant(tensor: &Tensor) -> Self {
        tensor.clone()
    }

    fn primal(&self) -> &Tensor {
        self
    }

    fn linear_map(&self, map: impl LinearMap, _: impl LinearMap) -> Result<Self> {
        map(self)
    }

    fn through(&self, layer: &impl Affine) -> Result<Self> {
        layer.apply(self)
    }

    fn shift_channels(&self, shift: &Tensor) -> Result<Self> {
        ops::shift_channels(self, shift)
    }

    fn add(&self, other: &Self) -> Result<Self> {
        ops::add(self, other)
    }

    fn concat_channels(&self, other: &Self) -> Result<Self> {
        ops::concat_channels(self, other)
    }

    fn normalise(&self, norm: &Norm) -> Result<Self> {
        norm.apply(self)
    }

    fn activate(&self, activation: Activation) -> Result<Self> {
        ops::activate(self, activation)
    }

    fn geglu(&self) -> Result<Self> {
        ops::geglu(self)
    }

    fn attend(&self, key: &Self, value: &Self, heads: usize, mask: AttentionMask) -> Result<Self> {
        ops::attention(self, key, value, heads, mask)
    }
}
