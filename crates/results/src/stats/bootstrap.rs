//! Bootstrap intervals over prompts.
//!
//! The paper gives a spread over seeds only, which says nothing about the choice of prompts. Here prompts are drawn
//! with replacement, positives and negatives separately, and the same draw serves every seed and every detector, so
//! that differences between detectors are paired.

use rayon::prelude::*;

use super::error::StatsError;
use super::interval::Interval;
use super::random;
use super::scores::ScoreSet;
use super::statistic::Statistic;
use super::ties::Ranking;

/// Settings of a stratified percentile bootstrap.
///
/// Draw `r` depends on (`seed`, `r`, number of positives, number of negatives) only: not on the detector, the number
/// of threads, nor the other draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Number of resamples.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Share of the resampled values within the interval, 0..1.
    pub confidence: f64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 2000, seed: 0, confidence: 0.95 }
    }
}

/// A statistic averaged over runs, with its percentile interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Mean over runs on the original prompts.
    pub value: f64,
    /// Percentile interval over resampled prompts.
    pub interval: Interval,
}

/// Difference of a statistic between two detectors, with its percentile interval and p value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// First detector minus second, on the original prompts.
    pub value: f64,
    /// Percentile interval over resampled prompts.
    pub interval: Interval,
    /// Two-sided p of "no difference": twice the smaller share of resampled differences on either side of zero, zeros
    /// on both sides, both counts and the number of resamples increased by one; at most 1. Never 0.
    pub p: f64,
}

impl Bootstrap {
    /// Mean over `runs` (one score set per seed) of `statistic`, with its interval.
    ///
    /// # Errors
    /// No runs, runs of different numbers of prompts, no resamples, or a confidence or rate out of range.
    pub fn estimate(&self, runs: &[ScoreSet<'_>], statistic: Statistic) -> Result<Estimate, StatsError> {
        self.check(statistic)?;
        let detector = Detector::new(runs, None)?;
        let mut values =
            self.resample(sizes(runs[0]), |positives, negatives| detector.mean(statistic, positives, negatives));
        Ok(Estimate { value: detector.original(statistic), interval: self.interval(&mut values) })
    }

    /// The same for `first` minus `second`. The two may have different numbers of runs, but every run must hold the
    /// same prompts in the same order.
    ///
    /// # Errors
    /// As [`Bootstrap::estimate`], and for detectors with different numbers of prompts.
    pub fn difference(
        &self,
        first: &[ScoreSet<'_>],
        second: &[ScoreSet<'_>],
        statistic: Statistic,
    ) -> Result<Difference, StatsError> {
        self.check(statistic)?;
        let a = Detector::new(first, None)?;
        let b = Detector::new(second, Some(first[0]))?;
        let mut values = self.resample(sizes(first[0]), |positives, negatives| {
            a.mean(statistic, positives, negatives) - b.mean(statistic, positives, negatives)
        });
        let p = two_sided_p(&values);
        Ok(Difference { value: a.original(statistic) - b.original(statistic), interval: self.interval(&mut values), p })
    }

    /// A number computed from prompts of one kind, with its interval: `evaluate` is given the positions of a resample of
    /// `count` prompts (repeats included), and of the original prompts in order for the value itself. Resamples without a
    /// value are left out.
    ///
    /// Returns `None` where the original prompts have no value.
    ///
    /// # Errors
    /// The number of resamples is zero, or the confidence is not between 0 and 1.
    pub fn estimate_over(
        &self,
        count: usize,
        evaluate: impl Fn(&[usize]) -> Option<f64> + Sync,
    ) -> Result<Option<Estimate>, StatsError> {
        self.check_settings()?;
        let original: Vec<usize> = (0..count).collect();
        let Some(value) = evaluate(&original) else { return Ok(None) };
        let values = self.resample((count, 0), |prompts, _| evaluate(prompts).unwrap_or(f64::NAN));
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        if values.is_empty() {
            return Ok(None);
        }
        Ok(Some(Estimate { value, interval: self.interval(&mut values) }))
    }

    /// The mean of one number per prompt, with its interval and the p of "it is 0". For a paired difference give the
    /// differences.
    ///
    /// # Errors
    /// When there are no values, one of them is not finite, or the settings are out of range.
    pub fn mean(&self, values: &[f64]) -> Result<Difference, StatsError> {
        super::error::check_finite(values)?;
        self.check_settings()?;
        let count = values.len();
        let mut means =
            self.resample((count, 0), |drawn, _| drawn.iter().map(|at| values[*at]).sum::<f64>() / count as f64);
        let p = two_sided_p(&means);
        let value = values.iter().sum::<f64>() / count as f64;
        Ok(Difference { value, interval: self.interval(&mut means), p })
    }

    fn check(&self, statistic: Statistic) -> Result<(), StatsError> {
        statistic.check()?;
        self.check_settings()
    }

    fn check_settings(&self) -> Result<(), StatsError> {
        if self.resamples == 0 {
            return Err(StatsError::NoResamples);
        }
        check_confidence(self.confidence)
    }

    /// `evaluate(positives, negatives)` of every draw, in the order of the draws whichever thread made them.
    fn resample(
        &self,
        (positives, negatives): (usize, usize),
        evaluate: impl Fn(&[usize], &[usize]) -> f64 + Sync,
    ) -> Vec<f64> {
        (0..self.resamples)
            .into_par_iter()
            .map(|draw| {
                let mut rng = random::stream(self.seed, draw as u64);
                let mut choose =
                    |count: usize| -> Vec<usize> { (0..count).map(|_| random::index_below(&mut rng, count)).collect() };
                let positives = choose(positives);
                let negatives = choose(negatives);
                evaluate(&positives, &negatives)
            })
            .collect()
    }

    fn interval(&self, values: &mut [f64]) -> Interval {
        values.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        Interval { low: quantile(values, tail), high: quantile(values, 1.0 - tail) }
    }
}

/// Fails unless `confidence` is strictly between 0 and 1.
pub(super) fn check_confidence(confidence: f64) -> Result<(), StatsError> {
    if confidence > 0.0 && confidence < 1.0 { Ok(()) } else { Err(StatsError::InvalidConfidence { value: confidence }) }
}

fn sizes(scores: ScoreSet<'_>) -> (usize, usize) {
    (scores.positives().len(), scores.negatives().len())
}

/// The runs of one detector, sorted once.
struct Detector {
    runs: Vec<Ranking>,
}

impl Detector {
    /// Checks that all runs are paired with each other and with `like`.
    fn new(runs: &[ScoreSet<'_>], like: Option<ScoreSet<'_>>) -> Result<Self, StatsError> {
        let first = like.or(runs.first().copied()).ok_or(StatsError::NoRuns)?;
        if runs.is_empty() {
            return Err(StatsError::NoRuns);
        }
        runs.iter().try_for_each(|run| first.check_paired(run))?;
        Ok(Self { runs: runs.iter().map(|&run| Ranking::new(run)).collect() })
    }

    fn mean(&self, statistic: Statistic, positives: &[usize], negatives: &[usize]) -> f64 {
        self.mean_of(|run| statistic.of_groups(&run.count(positives.iter().copied(), negatives.iter().copied())))
    }

    fn original(&self, statistic: Statistic) -> f64 {
        self.mean_of(|run| statistic.of_groups(&run.groups()))
    }

    fn mean_of(&self, value: impl Fn(&Ranking) -> f64) -> f64 {
        self.runs.iter().map(value).sum::<f64>() / self.runs.len() as f64
    }
}

/// Quantile of sorted values by linear interpolation (numpy's default, type 7).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

fn two_sided_p(differences: &[f64]) -> f64 {
    let share = |side: &dyn Fn(&f64) -> bool| {
        let count = differences.iter().filter(|value| side(value)).count();
        (count + 1) as f64 / (differences.len() + 1) as f64
    };
    (2.0 * share(&|&value| value <= 0.0).min(share(&|&value| value >= 0.0))).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::{Bootstrap, quantile, two_sided_p};

    /// The interval of a mean of many values is that of the normal distribution: mean ± 1.96 s/√n.
    #[test]
    fn the_interval_of_a_mean_is_that_of_theory() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i * 7919 % 400) / 399.0).collect();
        let mean = Bootstrap { resamples: 4000, ..Bootstrap::default() }.mean(&values).unwrap();
        assert!((mean.value - 0.5).abs() < 1e-12);
        let half = 1.96 * (1.0_f64 / 12.0).sqrt() / 20.0;
        assert!((mean.interval.low - 0.5 + half).abs() < 0.1 * half, "{mean:?}");
        assert!((mean.interval.high - 0.5 - half).abs() < 0.1 * half, "{mean:?}");
        assert!(mean.p < 0.001);
        assert!(Bootstrap::default().mean(&[]).is_err() && Bootstrap::default().mean(&[f64::NAN]).is_err());
    }

    #[test]
    fn quantiles_interpolate_like_numpy() {
        // numpy.quantile([1, 2, 4, 8], [0, .025, .5, .975, 1])
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (share, expected) in [(0.0, 1.0), (0.025, 1.075), (0.5, 3.0), (0.975, 7.7), (1.0, 8.0)] {
            assert!((quantile(&sorted, share) - expected).abs() < 1e-12);
        }
        assert!((quantile(&[3.0], 0.5) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn p_is_never_zero_nor_above_one() {
        assert!((two_sided_p(&[1.0; 99]) - 0.02).abs() < 1e-12);
        assert!((two_sided_p(&[0.0; 99]) - 1.0).abs() < 1e-12);
        assert!((two_sided_p(&[-1.0, 1.0, 1.0]) - 1.0).abs() < 1e-12);
    }
}
