//! Scores grouped by value: what every rank statistic starts from.

use std::cmp::Ordering;

use super::scores::ScoreSet;

/// All prompts that share one score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TieGroup {
    /// The shared score.
    pub(super) score: f64,
    /// Positives with this score.
    pub(super) positives: usize,
    /// Negatives with this score.
    pub(super) negatives: usize,
}

/// A score set with its distinct values sorted once, from the highest score down.
///
/// Resampling prompts changes how many of them fall into each group, but not the groups, so a bootstrap sorts once.
#[derive(Debug, Clone)]
pub(super) struct Ranking {
    scores: Vec<f64>,
    group_of_positive: Vec<usize>,
    group_of_negative: Vec<usize>,
}

impl Ranking {
    /// Sorts the scores: O(n log n).
    pub(super) fn new(set: ScoreSet<'_>) -> Self {
        let positives = set.positives().len();
        // Adding zero turns -0 into +0, which equal each other but would otherwise stay apart in a sort by bits.
        let all: Vec<f64> = set.positives().iter().chain(set.negatives()).map(|score| score + 0.0).collect();
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|&a, &b| all[b].partial_cmp(&all[a]).unwrap_or(Ordering::Equal));

        let mut scores: Vec<f64> = Vec::new();
        let mut group = vec![0; all.len()];
        for index in order {
            if scores.last() != Some(&all[index]) {
                scores.push(all[index]);
            }
            group[index] = scores.len() - 1;
        }
        let group_of_negative = group.split_off(positives);
        Self { scores, group_of_positive: group, group_of_negative }
    }

    /// Group of each positive, 0 being the highest score.
    pub(super) fn group_of_positive(&self) -> &[usize] {
        &self.group_of_positive
    }

    /// Group of each negative, 0 being the highest score.
    pub(super) fn group_of_negative(&self) -> &[usize] {
        &self.group_of_negative
    }

    /// Groups of the original prompts, highest score first.
    pub(super) fn groups(&self) -> Vec<TieGroup> {
        self.count(0..self.group_of_positive.len(), 0..self.group_of_negative.len())
    }

    /// Groups of the prompts drawn by index, highest score first; groups that no prompt falls into are left out.
    pub(super) fn count(
        &self,
        positives: impl IntoIterator<Item = usize>,
        negatives: impl IntoIterator<Item = usize>,
    ) -> Vec<TieGroup> {
        let mut groups: Vec<TieGroup> =
            self.scores.iter().map(|&score| TieGroup { score, positives: 0, negatives: 0 }).collect();
        for index in positives {
            groups[self.group_of_positive[index]].positives += 1;
        }
        for index in negatives {
            groups[self.group_of_negative[index]].negatives += 1;
        }
        groups.retain(|group| group.positives + group.negatives > 0);
        groups
    }
}
