//! A number computed from scores, named so that it can be resampled and reported.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auc::auc_of_groups;
use super::error::StatsError;
use super::scores::ScoreSet;
use super::ties::{Ranking, TieGroup};
use super::tpr::{TprRule, accuracy_of_groups, check_rate, tpr_of_groups};

/// A summary of how well scores separate the classes, 0..=1, higher is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Statistic {
    /// Area under the ROC curve.
    Auc,
    /// True positive rate at a false positive rate.
    TprAtFpr {
        /// The false positive rate, 0..=1.
        fpr: f64,
        /// How it is read off the curve.
        rule: TprRule,
    },
    /// Wen's accuracy at the best threshold.
    BestAccuracy,
}

impl Statistic {
    /// The statistic of one run.
    ///
    /// # Errors
    /// A false positive rate outside 0..=1.
    pub fn of(&self, scores: ScoreSet<'_>) -> Result<f64, StatsError> {
        self.check()?;
        Ok(self.of_groups(&Ranking::new(scores).groups()))
    }

    pub(super) fn check(&self) -> Result<(), StatsError> {
        match self {
            Self::TprAtFpr { fpr, .. } => check_rate(*fpr),
            Self::Auc | Self::BestAccuracy => Ok(()),
        }
    }

    /// The statistic from groups, highest score first, settings checked before.
    pub(super) fn of_groups(&self, groups: &[TieGroup]) -> f64 {
        match self {
            Self::Auc => auc_of_groups(groups),
            Self::TprAtFpr { fpr, rule } => tpr_of_groups(groups, *fpr, *rule),
            Self::BestAccuracy => accuracy_of_groups(groups),
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auc => f.write_str("AUC"),
            // Rounded so that 0.07 is not shown as 7.000000000000001.
            Self::TprAtFpr { fpr, .. } => write!(f, "TPR@{}%FPR", (fpr * 1e8).round() / 1e6),
            Self::BestAccuracy => f.write_str("accuracy"),
        }
    }
}
