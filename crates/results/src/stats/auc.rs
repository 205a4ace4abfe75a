//! Area under the ROC curve.

use super::scores::ScoreSet;
use super::ties::{Ranking, TieGroup};

/// Area under the ROC curve as the Mann-Whitney statistic, ties counted half (docs/spec/evaluation.md §2).
///
/// Equal to the trapezoidal area. O(n log n); the pairs are counted in integers, so only the last division rounds.
pub fn auc(scores: ScoreSet<'_>) -> f64 {
    auc_of_groups(&Ranking::new(scores).groups())
}

/// The same from groups, highest score first.
pub(super) fn auc_of_groups(groups: &[TieGroup]) -> f64 {
    let negatives: u64 = groups.iter().map(|group| group.negatives as u64).sum();
    let positives: u64 = groups.iter().map(|group| group.positives as u64).sum();
    let mut below = negatives;
    let mut twice_won = 0_u64;
    for group in groups {
        below -= group.negatives as u64;
        twice_won += group.positives as u64 * (2 * below + group.negatives as u64);
    }
    twice_won as f64 / (2 * positives * negatives) as f64
}
