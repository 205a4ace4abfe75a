//! Scores of one detector on one run, checked.

use super::error::{Class, StatsError};

/// Scores of the positive and of the negative prompts: both present, all finite.
///
/// Index `i` of a class is the same prompt in every set of a paired comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreSet<'a> {
    positives: &'a [f64],
    negatives: &'a [f64],
}

impl<'a> ScoreSet<'a> {
    /// Checks the scores. Infinite scores are refused like NaN, as scikit-learn does: they come from an overflow.
    ///
    /// # Errors
    /// A class without scores, or a score that is not finite.
    pub fn new(positives: &'a [f64], negatives: &'a [f64]) -> Result<Self, StatsError> {
        for (class, scores) in [(Class::Positive, positives), (Class::Negative, negatives)] {
            if scores.is_empty() {
                return Err(StatsError::EmptyClass { class });
            }
            if let Some(index) = scores.iter().position(|score| !score.is_finite()) {
                return Err(StatsError::NonFiniteScore { class, index, value: scores[index] });
            }
        }
        Ok(Self { positives, negatives })
    }

    /// Scores of the memorized prompts.
    pub fn positives(&self) -> &'a [f64] {
        self.positives
    }

    /// Scores of the other prompts.
    pub fn negatives(&self) -> &'a [f64] {
        self.negatives
    }

    /// Fails unless `other` has as many prompts of either class.
    pub(super) fn check_paired(&self, other: &ScoreSet<'_>) -> Result<(), StatsError> {
        if self.positives.len() == other.positives.len() && self.negatives.len() == other.negatives.len() {
            return Ok(());
        }
        Err(StatsError::NotPaired {
            expected_positives: self.positives.len(),
            expected_negatives: self.negatives.len(),
            found_positives: other.positives.len(),
            found_negatives: other.negatives.len(),
        })
    }

    /// Fails unless either class has two scores or more.
    pub(super) fn check_variance(&self) -> Result<(), StatsError> {
        for (class, scores) in [(Class::Positive, self.positives), (Class::Negative, self.negatives)] {
            if scores.len() < 2 {
                return Err(StatsError::TooFewScores { class, found: scores.len(), needed: 2 });
            }
        }
        Ok(())
    }
}
