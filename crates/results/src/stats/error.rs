//! What can be wrong with numbers handed to the statistics.

use std::fmt;

use thiserror::Error;

/// One of the two groups of prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Memorized prompts, label 1.
    Positive,
    /// Other prompts, label 0.
    Negative,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Positive => "positive (memorized)",
            Self::Negative => "negative (non-memorized)",
        })
    }
}

/// Why a statistic has no value.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum StatsError {
    // Scores.
    /// A class has no score at all.
    #[error("no {class} scores: both classes are needed")]
    EmptyClass {
        /// The class without scores.
        class: Class,
    },
    /// A score is NaN or infinite.
    #[error("{class} score {index} is {value}; scores must be finite")]
    NonFiniteScore {
        /// The class of the score.
        class: Class,
        /// Its position within the class, from 0.
        index: usize,
        /// The score itself.
        value: f64,
    },
    /// Two lists that must be paired have different lengths.
    #[error("{first} numbers cannot be paired with {second}")]
    LengthsDiffer {
        /// Length of the first.
        first: usize,
        /// Length of the second.
        second: usize,
    },
    /// A class has too few scores for a variance.
    #[error("{found} {class} score(s), at least {needed} are needed for a variance")]
    TooFewScores {
        /// The class at fault.
        class: Class,
        /// Scores found.
        found: usize,
        /// Scores needed.
        needed: usize,
    },
    /// Two score sets that must describe the same prompts have different sizes.
    #[error(
        "score sets are not paired: one has {expected_positives} positives and {expected_negatives} negatives, \
         another {found_positives} and {found_negatives}"
    )]
    NotPaired {
        /// Positives of the first set.
        expected_positives: usize,
        /// Negatives of the first set.
        expected_negatives: usize,
        /// Positives of the set that differs.
        found_positives: usize,
        /// Negatives of the set that differs.
        found_negatives: usize,
    },
    /// No run was given where at least one is needed.
    #[error("no runs: at least one seed is needed")]
    NoRuns,

    // Settings.
    /// A rate outside 0..=1.
    #[error("false positive rate {value} is outside 0..=1")]
    InvalidRate {
        /// The rate given.
        value: f64,
    },
    /// A confidence level outside the open interval (0, 1).
    #[error("confidence level {value} is outside 0..1")]
    InvalidConfidence {
        /// The level given.
        value: f64,
    },
    /// A bootstrap without resamples.
    #[error("a bootstrap needs at least one resample")]
    NoResamples,
    /// A regularisation strength that is not positive and finite.
    #[error("inverse regularisation strength C = {value} must be positive and finite")]
    InvalidRegularisation {
        /// The strength given.
        value: f64,
    },
    /// A split that would take more items than there are.
    #[error("cannot take {taken} of {total} items for fitting")]
    SplitTooLarge {
        /// Items asked for.
        taken: usize,
        /// Items there are.
        total: usize,
    },
    /// A grid that is no increasing sequence of at least two finite points.
    #[error("grid of {points} points from {low} to {high} is not an increasing range of two or more points")]
    InvalidGrid {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// Number of points.
        points: usize,
    },
    /// An epsilon for the KL divergence that is negative or not finite.
    #[error("epsilon {value} must be finite and not negative")]
    InvalidEpsilon {
        /// The epsilon given.
        value: f64,
    },

    // Plain samples.
    /// A sample without values.
    #[error("no values")]
    Empty,
    /// A value is NaN or infinite.
    #[error("value {index} is {value}; values must be finite")]
    NonFiniteValue {
        /// Its position, from 0.
        index: usize,
        /// The value itself.
        value: f64,
    },
    /// A sample whose values are all equal, where a spread is needed.
    #[error("all {count} value(s) are equal: a density needs a spread")]
    NoSpread {
        /// Number of values.
        count: usize,
    },
    /// A density that is zero on the whole grid.
    #[error("the density is zero on the whole grid from {low} to {high}")]
    GridOffSample {
        /// Lower end of the grid.
        low: f64,
        /// Upper end of the grid.
        high: f64,
    },

    // Numerics.
    /// An iteration that did not reach its optimum.
    #[error("logistic regression did not converge in {iterations} steps (largest gradient entry {gradient:e})")]
    NotConverged {
        /// Steps made.
        iterations: usize,
        /// Largest absolute gradient entry left.
        gradient: f64,
    },
}

/// Fails on the first value that is not finite.
pub(super) fn check_finite(values: &[f64]) -> Result<(), StatsError> {
    if values.is_empty() {
        return Err(StatsError::Empty);
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(StatsError::NonFiniteValue { index, value: values[index] }),
        None => Ok(()),
    }
}
