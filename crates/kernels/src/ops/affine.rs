//! Affine maps with frozen weights.

use candle_core::Tensor;

use crate::Result;

/// A frozen map y = A x + b, whose Jacobian is A everywhere.
pub trait Affine {
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
}
