//! Affine maps with frozen weights.

use candle_core::{Shape, Tensor};

use crate::Result;

/// A frozen map y = A x + b, whose Jacobian is A everywhere. Clones share the weights.
pub trait Affine: Clone + Send + Sync + 'static {
    /// A x + b; the layer's own documentation says the shapes of `x` and of the result.
    ///
    /// # Errors
    ///
    /// When the shape of `x` does not fit the layer.
    fn apply(&self, x: &Tensor) -> Result<Tensor>;

    /// A x, of the same shapes: the map's jvp, for a tangent `x`.
    ///
    /// # Errors
    ///
    /// When the shape of `x` does not fit the layer.
    fn apply_linear_part(&self, x: &Tensor) -> Result<Tensor>;

    /// Aᵀ g, the map's vjp: `gradient` has the shape of the result for an `x` of shape `input`, which is returned.
    ///
    /// # Errors
    ///
    /// When the shapes do not fit the layer or one another.
    fn vjp(&self, input: &Shape, gradient: &Tensor) -> Result<Tensor>;
}
