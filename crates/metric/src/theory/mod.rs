//! The paper's mathematics, checked numerically: Theorem 1, the spectrum behind Figure 1, the field of Figure 3.
//!
//! Nothing here knows a network. A [`Jacobian`] hides one behind its products with vectors.

pub mod field;
mod linalg;
mod sampling;
pub mod spectrum;
mod survey;
mod theorem1;

pub use linalg::Matrix;
pub use spectrum::{ExactSpectrum, Jacobian, Probes, StochasticSpectrum, exact, stochastic};
pub use survey::{Slack, Survey, survey};
pub use theorem1::{Instance, InstanceError, Precision, Verdict, check};
