//! Theorem 1: the cosine of random Gaussian instances against the bound of the paper and the sharper one.

use serde::{Deserialize, Serialize};

use super::{
    Meta,
    check::{Check, FigureError},
};

/// Measured cosines against two lower bounds; a point below the diagonal would refute its bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoundFigure {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// Measured cosine of each instance, in `[-1, 1]`.
    pub cosine: Vec<f64>,
    /// The paper's bound (1 - r)/(1 + r) of each instance.
    pub paper: Vec<f64>,
    /// The sharper bound √(1 - r²) of each instance.
    pub sharp: Vec<f64>,
}

impl BoundFigure {
    pub(super) fn check(&self) -> Result<(), FigureError> {
        let check = Check::new(&self.meta.name);
        check.meta(&self.meta)?;
        check.filled("cosine", &self.cosine)?;
        for (field, values) in [("cosine", &self.cosine), ("paper", &self.paper), ("sharp", &self.sharp)] {
            check.length(field, values, self.cosine.len())?;
            // A cosine computed in floating point can pass 1 by rounding.
            check.within(field, values.iter().copied(), (-1.000001, 1.000001), "must be in [-1, 1]")?;
        }
        Ok(())
    }
}
