//! Mean and standard deviation over runs.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::statistics::Statistics;

use super::error::{StatsError, check_finite};

/// What the squared deviations are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ddof {
    /// n - 1: the only reading under which every spread of Table 1 is possible (docs/spec/evaluation.md §4).
    #[default]
    Sample,
    /// n, as numpy's default.
    Population,
}

impl fmt::Display for Ddof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sample => "sample",
            Self::Population => "population",
        })
    }
}

/// Mean and spread of a few numbers, in their unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Number of values.
    pub count: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation; `None` for a single value, whatever the divisor.
    pub std: Option<f64>,
}

impl Summary {
    /// Summarises `values`, one per run.
    ///
    /// # Errors
    /// No values, or one that is not finite.
    pub fn of(values: &[f64], ddof: Ddof) -> Result<Self, StatsError> {
        check_finite(values)?;
        let std = (values.len() > 1).then(|| match ddof {
            Ddof::Sample => values.std_dev(),
            Ddof::Population => values.population_std_dev(),
        });
        Ok(Self { count: values.len(), mean: values.mean(), std })
    }
}
