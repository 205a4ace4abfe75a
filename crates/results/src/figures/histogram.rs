//! Histograms of a score for memorized and non-memorized prompts.

use serde::{Deserialize, Serialize};

use super::{
    Meta,
    check::{Check, FigureError, MOST_STEPS},
};

/// A detector's scores in two histograms over the same bins, each with area 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreHistogram {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// What the score is, with its unit; label of the x axis.
    pub score: String,
    /// Scores of memorized prompts.
    pub memorized: Vec<f64>,
    /// Scores of non-memorized prompts.
    pub non_memorized: Vec<f64>,
    /// Number of bins over the range of all scores.
    pub bins: usize,
}

impl ScoreHistogram {
    pub(super) fn check(&self) -> Result<(), FigureError> {
        let check = Check::new(&self.meta.name);
        check.meta(&self.meta)?;
        check.text("score", &self.score)?;
        check.at_least("bins", self.bins)?;
        check.at_most("bins", self.bins, MOST_STEPS)?;
        for (field, values) in [("memorized", &self.memorized), ("non_memorized", &self.non_memorized)] {
            check.filled(field, values)?;
            check.finite(field, values.iter().copied())?;
        }
        Ok(())
    }
}
