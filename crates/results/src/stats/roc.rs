//! The ROC curve.

use super::scores::ScoreSet;
use super::ties::{Ranking, TieGroup};

/// What happens to points on a straight stretch of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollinearPoints {
    /// Every distinct score is a point.
    Keep,
    /// Interior points whose second differences are both zero are dropped, before the origin is added: the default of
    /// scikit-learn's `roc_curve` and so of the released code (docs/spec/evaluation.md §3.1, step 2).
    Drop,
}

/// An ROC curve in counts; the first point is the origin, the last has every prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Roc {
    /// Score at or above which a prompt counts as detected; infinite at the origin, then strictly falling.
    pub thresholds: Vec<f64>,
    /// Negatives detected at each threshold.
    pub false_positives: Vec<usize>,
    /// Positives detected at each threshold.
    pub true_positives: Vec<usize>,
}

impl Roc {
    /// One point per distinct score, less those that `collinear` drops, after the origin
    /// (docs/spec/evaluation.md §3.1).
    pub fn new(scores: ScoreSet<'_>, collinear: CollinearPoints) -> Self {
        Self::from_groups(&Ranking::new(scores).groups(), collinear)
    }

    /// The same from groups, highest score first.
    pub(super) fn from_groups(groups: &[TieGroup], collinear: CollinearPoints) -> Self {
        let mut thresholds = Vec::with_capacity(groups.len() + 1);
        let mut false_positives = Vec::with_capacity(groups.len() + 1);
        let mut true_positives = Vec::with_capacity(groups.len() + 1);
        let (mut negatives, mut positives) = (0, 0);
        thresholds.push(f64::INFINITY);
        false_positives.push(0);
        true_positives.push(0);
        for (index, group) in groups.iter().enumerate() {
            negatives += group.negatives;
            positives += group.positives;
            // The step into a point is its own group; the second difference vanishes when the next step is the same.
            // The first point always stays because the origin is not there yet when scikit-learn looks.
            let straight = index > 0
                && groups
                    .get(index + 1)
                    .is_some_and(|next| next.negatives == group.negatives && next.positives == group.positives);
            if collinear == CollinearPoints::Drop && straight {
                continue;
            }
            thresholds.push(group.score);
            false_positives.push(negatives);
            true_positives.push(positives);
        }
        Self { thresholds, false_positives, true_positives }
    }

    /// False positive rate of each point, 0..=1.
    pub fn fpr(&self) -> Vec<f64> {
        rates(&self.false_positives)
    }

    /// True positive rate of each point, 0..=1.
    pub fn tpr(&self) -> Vec<f64> {
        rates(&self.true_positives)
    }
}

/// Counts over their last entry, which is the size of the class.
fn rates(counts: &[usize]) -> Vec<f64> {
    let total = counts.last().copied().unwrap_or_default() as f64;
    counts.iter().map(|&count| count as f64 / total).collect()
}
