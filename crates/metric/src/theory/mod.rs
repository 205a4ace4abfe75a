//! The paper's mathematics, checked numerically: Theorem 1 and the spectrum behind Figure 1.
//!
//! Nothing here knows a network. A [`Jacobian`] hides one behind its products with vectors.

mod local;
mod sampling;
pub mod spectrum;
mod survey;
mod theorem1;

pub use local::Local;
pub use nalgebra::{DMatrix, DVector};
pub use spectrum::{ExactSpectrum, Jacobian, ProbeVectors, StochasticSpectrum, dense, exact, stochastic};
pub use survey::{Slack, Survey, survey};
pub use theorem1::{Instance, InstanceError, Precision, Verdict, check};
