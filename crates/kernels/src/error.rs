//! What can go wrong with an operation.

use candle_core::{Shape, Tensor};

/// The result of the operations of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of tensor operations.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The arguments do not fit one another, or not the operation.
    #[error("{operation}: {expected}; got {}", shapes(got))]
    Shape {
        /// The operation.
        operation: &'static str,
        /// What it needs.
        expected: String,
        /// The shapes of its arguments, in order.
        got: Vec<Vec<usize>>,
    },
    /// A tensor operation below failed, for instance because two arguments differ in number format or device.
    #[error("tensor operation: {0}")]
    Compute(#[from] candle_core::Error),
}

impl Error {
    /// For use within candle's operations, which have candle's error.
    pub(crate) fn into_candle(self) -> candle_core::Error {
        match self {
            Self::Compute(error) => error,
            shape @ Self::Shape { .. } => candle_core::Error::wrap(shape),
        }
    }
}

/// A shape as an error shows it; more than a few dimensions say nothing.
fn shapes(shapes: &[Vec<usize>]) -> String {
    const MOST: usize = 8;
    let shape = |dims: &Vec<usize>| match dims.len() {
        0..=MOST => format!("{dims:?}"),
        count => format!("a tensor of {count} dimensions"),
    };
    shapes.iter().map(shape).collect::<Vec<_>>().join(", ")
}

/// An error about the arguments of an operation, unless they fit.
pub(crate) fn check_shapes(
    fits: bool,
    operation: &'static str,
    expected: impl FnOnce() -> String,
    got: &[&Shape],
) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(Error::Shape { operation, expected: expected(), got: got.iter().map(|shape| shape.dims().to_vec()).collect() })
}

/// An error unless both have one shape: a primal and its tangent, or the terms of a sum.
pub(crate) fn check_equal(operation: &'static str, a: &Tensor, b: &Tensor) -> Result<()> {
    check_shapes(a.shape() == b.shape(), operation, || "needs two equal shapes".into(), &[a.shape(), b.shape()])
}
