use candle_core::{Result, Tensor};

/// A frozen map whose linear part acts on tangents: y = A x + b.
pub trait Affine {
    /// A x + b.
    fn apply(&self, x: &Tensor) -> Result<Tensor>;

    /// A x: what the map does to a tangent.
    fn apply_linear_part(&self, x: &Tensor) -> Result<Tensor>;
}
