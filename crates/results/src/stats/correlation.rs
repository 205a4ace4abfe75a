//! Rank correlations of paired numbers, and concordance of scores with graded outcomes.

use super::error::{StatsError, check_finite};

/// Spearman's rank correlation: Pearson's of the ranks, ties at their mean rank (as `scipy.stats.spearmanr`).
///
/// `None` where one side does not vary.
///
/// # Errors
/// The two have different lengths, or a number is not finite.
pub fn spearman(first: &[f64], second: &[f64]) -> Result<Option<f64>, StatsError> {
    check(first, second)?;
    Ok(pearson(&ranks(first), &ranks(second)))
}

/// Kendall's τ-b: concordant less discordant pairs, over the geometric mean of the pairs that are no tie in the first
/// and in the second (as `scipy.stats.kendalltau`). O(n²).
///
/// `None` where one side does not vary.
///
/// # Errors
/// As [`spearman`].
pub fn kendall(first: &[f64], second: &[f64]) -> Result<Option<f64>, StatsError> {
    check(first, second)?;
    let (mut balance, mut untied_first, mut untied_second) = (0i64, 0i64, 0i64);
    for (i, (a, b)) in first.iter().zip(second).enumerate() {
        for (c, d) in first[..i].iter().zip(&second[..i]) {
            let (x, y) = (sign(a - c), sign(b - d));
            balance += x * y;
            untied_first += x.abs();
            untied_second += y.abs();
        }
    }
    if untied_first == 0 || untied_second == 0 {
        return Ok(None);
    }
    Ok(Some(balance as f64 / (untied_first as f64).sqrt() / (untied_second as f64).sqrt()))
}

fn sign(difference: f64) -> i64 {
    i64::from(difference > 0.0) - i64::from(difference < 0.0)
}

fn check(first: &[f64], second: &[f64]) -> Result<(), StatsError> {
    if first.len() != second.len() {
        return Err(StatsError::LengthsDiffer { first: first.len(), second: second.len() });
    }
    for list in [first, second].into_iter().filter(|list| !list.is_empty()) {
        check_finite(list)?;
    }
    Ok(())
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        // `==` ties -0.0 and 0.0, which total_cmp puts side by side.
        let tied = order[start..].iter().take_while(|&&at| values[at] == values[order[start]]).count();
        let mean = start as f64 + (tied + 1) as f64 / 2.0;
        order[start..start + tied].iter().for_each(|&at| ranks[at] = mean);
        start += tied;
    }
    ranks
}

fn pearson(first: &[f64], second: &[f64]) -> Option<f64> {
    let n = first.len() as f64;
    let (mean_first, mean_second) = (first.iter().sum::<f64>() / n, second.iter().sum::<f64>() / n);
    let (mut product, mut square_first, mut square_second) = (0.0, 0.0, 0.0);
    for (a, b) in first.iter().zip(second) {
        let (a, b) = (a - mean_first, b - mean_second);
        product += a * b;
        square_first += a * a;
        square_second += b * b;
    }
    (square_first > 0.0 && square_second > 0.0).then(|| product / square_first.sqrt() / square_second.sqrt())
}

/// Pairs of observations whose outcomes differ, counted by how their scores stand.
///
/// The concordance index (Harrell et al., JAMA 247 (1982)) is the share of these pairs in which the higher outcome has
/// the higher score, ties half. With outcomes 0 and 1 it is the area under the ROC curve. Pairs within strata only (here:
/// draws of one prompt) are counted by adding up the strata's counts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Concordance {
    /// Pairs in which the higher outcome has the higher score, ties half.
    pub concordant: f64,
    /// Pairs whose outcomes differ.
    pub pairs: f64,
}

impl Concordance {
    /// Counts all pairs of (score, outcome). O(n²).
    pub fn of(observations: &[(f64, f64)]) -> Self {
        let mut counts = Self::default();
        for (i, one) in observations.iter().enumerate() {
            counts.add_pairs(*one, &observations[..i]);
        }
        counts
    }

    /// Counts the pairs that take one observation from each list. O(n m).
    pub fn between(first: &[(f64, f64)], second: &[(f64, f64)]) -> Self {
        let mut counts = Self::default();
        first.iter().for_each(|one| counts.add_pairs(*one, second));
        counts
    }

    fn add_pairs(&mut self, (score, outcome): (f64, f64), others: &[(f64, f64)]) {
        for (other_score, other_outcome) in others {
            let direction = sign(outcome - other_outcome);
            if direction != 0 {
                self.pairs += 1.0;
                self.concordant += 0.5 * (1 + direction * sign(score - other_score)) as f64;
            }
        }
    }

    /// The index, 0..=1; `None` without pairs.
    pub fn index(self) -> Option<f64> {
        (self.pairs > 0.0).then(|| self.concordant / self.pairs)
    }
}

impl std::ops::AddAssign for Concordance {
    fn add_assign(&mut self, other: Self) {
        self.concordant += other.concordant;
        self.pairs += other.pairs;
    }
}

impl std::ops::Mul<f64> for Concordance {
    type Output = Self;

    /// The counts of a stratum, or pair of strata, that is drawn several times.
    fn mul(self, times: f64) -> Self {
        Self { concordant: self.concordant * times, pairs: self.pairs * times }
    }
}
