//! `DeLong`'s variance of an AUC and the paired test between two detectors.
//!
//! `DeLong`, `DeLong` & Clarke-Pearson, Biometrics 44 (1988); the placement values are computed from sorted scores
//! (Sun & Xu, IEEE Signal Processing Letters 21 (2014)).

use statrs::function::erf::{erfc, erfc_inv};

use super::bootstrap::check_confidence;
use super::error::StatsError;
use super::interval::Interval;
use super::scores::ScoreSet;
use super::ties::Ranking;

/// An AUC with what is needed for its variance.
#[derive(Debug, Clone, PartialEq)]
pub struct DeLong {
    auc: f64,
    /// Share of the negatives each positive beats, ties half: mean is the AUC.
    placements_of_positives: Vec<f64>,
    /// Share of the positives each negative loses to, ties half: mean is the AUC.
    placements_of_negatives: Vec<f64>,
}

/// Outcome of `DeLong`'s paired test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedTest {
    /// First AUC minus second.
    pub difference: f64,
    /// Variance of the difference.
    pub variance: f64,
    /// Difference in standard errors; `None` where the variance is zero, e.g. for two identical rankings: the normal
    /// approximation then says nothing.
    pub z: Option<f64>,
    /// Two-sided p of "no difference" under the normal approximation; `None` as for `z`.
    pub p: Option<f64>,
}

impl DeLong {
    /// Needs two prompts or more of either class. O(n log n).
    ///
    /// # Errors
    /// A class has fewer than two scores.
    pub fn new(scores: ScoreSet<'_>) -> Result<Self, StatsError> {
        scores.check_variance()?;
        let ranking = Ranking::new(scores);
        let groups = ranking.groups();
        let (positives, negatives) = (scores.positives().len() as f64, scores.negatives().len() as f64);

        // Share of negatives below, and of positives above, each group; its own members count half.
        let (mut positives_above, mut negatives_above) = (0, 0);
        let mut beaten = Vec::with_capacity(groups.len());
        let mut losing_to = Vec::with_capacity(groups.len());
        for group in &groups {
            let negatives_below = scores.negatives().len() - negatives_above - group.negatives;
            beaten.push((negatives_below as f64 + 0.5 * group.negatives as f64) / negatives);
            losing_to.push((positives_above as f64 + 0.5 * group.positives as f64) / positives);
            positives_above += group.positives;
            negatives_above += group.negatives;
        }
        Ok(Self {
            auc: super::auc::auc_of_groups(&groups),
            placements_of_positives: ranking.group_of_positive().iter().map(|&group| beaten[group]).collect(),
            placements_of_negatives: ranking.group_of_negative().iter().map(|&group| losing_to[group]).collect(),
        })
    }

    /// The area under the ROC curve, as [`auc`](super::auc()).
    pub fn auc(&self) -> f64 {
        self.auc
    }

    /// Estimated variance of the AUC.
    pub fn variance(&self) -> f64 {
        variance_of_mean(&self.placements_of_positives) + variance_of_mean(&self.placements_of_negatives)
    }

    /// Estimated covariance of two AUCs on the same prompts.
    ///
    /// # Errors
    /// The two have different numbers of prompts.
    pub fn covariance(&self, other: &Self) -> Result<f64, StatsError> {
        self.check_paired(other)?;
        Ok(covariance_of_means(&self.placements_of_positives, &other.placements_of_positives)
            + covariance_of_means(&self.placements_of_negatives, &other.placements_of_negatives))
    }

    /// Normal interval of the AUC at `confidence` (0..1), cut to 0..=1.
    ///
    /// # Errors
    /// The confidence is not between 0 and 1.
    pub fn interval(&self, confidence: f64) -> Result<Interval, StatsError> {
        check_confidence(confidence)?;
        let half = std::f64::consts::SQRT_2 * erfc_inv(1.0 - confidence) * self.variance().sqrt();
        Ok(Interval { low: (self.auc - half).max(0.0), high: (self.auc + half).min(1.0) })
    }

    /// Tests whether two detectors have the same AUC on the same prompts, in the same order.
    ///
    /// # Errors
    /// The two have different numbers of prompts.
    pub fn compare(&self, other: &Self) -> Result<PairedTest, StatsError> {
        self.check_paired(other)?;
        // The variance of the differences themselves, not var + var - 2 cov, which cancels badly for close detectors
        // and would not be exactly zero for identical ones.
        let variance = variance_of_mean(&differences(&self.placements_of_positives, &other.placements_of_positives))
            + variance_of_mean(&differences(&self.placements_of_negatives, &other.placements_of_negatives));
        let difference = self.auc - other.auc;
        let z = (variance > 0.0).then(|| difference / variance.sqrt());
        Ok(PairedTest { difference, variance, z, p: z.map(|z| erfc(z.abs() / std::f64::consts::SQRT_2)) })
    }

    fn check_paired(&self, other: &Self) -> Result<(), StatsError> {
        let sizes = |delong: &Self| (delong.placements_of_positives.len(), delong.placements_of_negatives.len());
        let (expected, found) = (sizes(self), sizes(other));
        if expected == found {
            return Ok(());
        }
        Err(StatsError::NotPaired {
            expected_positives: expected.0,
            expected_negatives: expected.1,
            found_positives: found.0,
            found_negatives: found.1,
        })
    }
}

fn differences(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn variance_of_mean(values: &[f64]) -> f64 {
    covariance_of_means(values, values)
}

/// Sample covariance (divisor n - 1) over n.
fn covariance_of_means(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let products = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b));
    products.sum::<f64>() / (n - 1.0) / n
}
