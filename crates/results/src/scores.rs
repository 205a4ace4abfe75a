//! Scores of both classes, as the statistics want them.

use serde::{Deserialize, Serialize};

use crate::stats::{ScoreSet, StatsError};

/// Numbers of both classes under one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassValues {
    /// Seed.
    pub seed: u64,
    /// One per memorized prompt.
    pub memorized: Vec<f64>,
    /// One per other prompt.
    pub non_memorized: Vec<f64>,
}

impl ClassValues {
    /// As the statistics want them.
    ///
    /// # Errors
    /// A class without scores, or a score that is not finite.
    pub fn as_set(&self) -> Result<ScoreSet<'_>, StatsError> {
        ScoreSet::new(&self.memorized, &self.non_memorized)
    }
}

/// The sets of all seeds, as the statistics want them.
///
/// # Errors
/// As [`ClassValues::as_set`].
pub fn score_sets(values: &[ClassValues]) -> Result<Vec<ScoreSet<'_>>, StatsError> {
    values.iter().map(ClassValues::as_set).collect()
}
