//! What happens to values above a bound before a histogram or density is made of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Treatment of the upper tail (docs/spec/evaluation.md §7: "clipped to 2.0" in the paper's Figure 2).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Tail {
    /// Values stay as they are.
    #[default]
    Keep,
    /// Values above `bound` become `bound`.
    Clip {
        /// Highest value left, in the unit of the values.
        bound: f64,
    },
    /// Values above `bound` are left out.
    Drop {
        /// Highest value left, in the unit of the values.
        bound: f64,
    },
}

impl Tail {
    /// Applies the treatment; NaN passes through to the checks that follow.
    pub fn apply(&self, values: &[f64]) -> Vec<f64> {
        match *self {
            Self::Keep => values.to_vec(),
            // Not `f64::min`, which would replace a NaN by the bound.
            Self::Clip { bound } => values.iter().map(|&value| if value > bound { bound } else { value }).collect(),
            Self::Drop { bound } => values.iter().copied().filter(|&value| value <= bound || value.is_nan()).collect(),
        }
    }
}
