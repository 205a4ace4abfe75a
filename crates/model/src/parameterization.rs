//! What the network's output means.

use crate::error::{Error, Result};

/// What the network's output means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameterization {
    /// The noise ε (SD 1.x).
    Epsilon,
    /// v = a ε − s x₀ (SD 2.x at 768).
    V,
}

impl Parameterization {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Epsilon, Self::V];
}

impl std::fmt::Display for Parameterization {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Epsilon => "epsilon",
            Self::V => "v_prediction",
        })
    }
}

impl std::str::FromStr for Parameterization {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        match given {
            "epsilon" | "eps" => Ok(Self::Epsilon),
            "v_prediction" | "v" => Ok(Self::V),
            _ => Err(Error::Argument(format!("prediction type '{given}' must be epsilon or v_prediction"))),
        }
    }
}
