//! How a calibration keeps its promise where the answer is known: prompts that were held out of the training are tested as
//! if they were audited, over random splits.

use serde::{Deserialize, Serialize};

use super::decide::p_values;
use crate::stats::{Class, Ddof, Guarantee, Split, StatsError, Summary, benjamini_hochberg};

/// One of so many held-out prompts is tested, the others calibrate.
const TESTED: usize = 4;
/// Fewest held-out prompts that are split.
const FEWEST: usize = 4;
/// False discovery rates that are always looked at.
const LEVELS: [f64; 9] = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5];

/// Decisions about the audited prompts together with held-out ones, over random splits of the latter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitCheck {
    /// What calibrated.
    pub calibration: String,
    /// Whether that were those of the held-out prompts that were not tested.
    pub same_list: bool,
    /// Random splits.
    pub splits: usize,
    /// Calibration prompts of a split.
    pub calibrating: usize,
    /// Held-out prompts that were tested in a split: flags among them are false.
    pub tested: usize,
    /// Audited prompts that were tested with them.
    pub audited: usize,
    /// What came out at each false discovery rate, ascending.
    pub levels: Vec<SplitLevel>,
}

/// What came out at one false discovery rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitLevel {
    /// The rate that is promised.
    pub fdr: f64,
    /// Share of held-out prompts among the flagged ones, 0 where none is flagged: mean over splits.
    pub false_share: Mean,
    /// Share of the audited prompts that were flagged: the power, where all of them were trained on.
    pub power: Mean,
}

/// A mean over splits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Its Monte Carlo error: the standard deviation over splits, divided by the root of their number.
    pub error: f64,
}

impl Mean {
    fn of(values: &[f64]) -> Result<Self, StatsError> {
        let Summary { count, mean, std } = Summary::of(values, Ddof::Sample)?;
        Ok(Self { mean, error: std.unwrap_or_default() / (count as f64).sqrt() })
    }
}

impl SplitLevel {
    /// Whether the false share exceeds the promised rate by more than two Monte Carlo errors.
    pub fn is_broken(&self) -> bool {
        self.false_share.mean > self.fdr + 2.0 * self.false_share.error
    }
}

/// Shares of one split at one rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlaggedShares {
    /// Share of the other prompts among the flagged ones, 0 where none is flagged.
    pub false_share: f64,
    /// Share of the first prompts that are flagged.
    pub power: f64,
}

/// Who is flagged by Benjamini and Hochberg at each rate, the first `first` p-values being those of prompts that ought to
/// be.
pub fn flagged_shares(p: &[f64], first: usize, rates: &[f64]) -> Vec<FlaggedShares> {
    let q = benjamini_hochberg(p);
    let at = |rate: &f64| {
        let count = |q: &[f64]| q.iter().filter(|q| *q <= rate).count() as f64;
        let (right, wrong) = (count(&q[..first]), count(&q[first..]));
        FlaggedShares { false_share: wrong / (right + wrong).max(1.0), power: right / (first as f64).max(1.0) }
    };
    rates.iter().map(at).collect()
}

/// What calibrates the tested quarter of the held-out prompts.
pub enum Calibrating<'a> {
    /// The other three quarters.
    Others,
    /// Scores kept before, one list for each condition, by their name.
    Kept(&'a str, &'a [Vec<f64>]),
}

/// Splits the held-out prompts at random, `splits` times, and decides about a quarter of them together with the audited
/// ones, at the usual rates and at `fdr`. One list of scores for each condition. `None` for fewer than four.
///
/// # Errors
/// As [`decide`](super::decide).
pub fn check_splits(
    (audited, held_out, name): (&[Vec<f64>], &[Vec<f64>], &str),
    calibrating: &Calibrating,
    (splits, seed): (usize, u64),
    (fdr, guarantee): (f64, Guarantee),
) -> Result<Option<SplitCheck>, StatsError> {
    let (tests, known) = (audited.first().map_or(0, Vec::len), held_out.first().map_or(0, Vec::len));
    if splits == 0 || known < FEWEST || tests == 0 {
        return Ok(None);
    }
    let tested = (known / TESTED).max(1);
    let mut rates = LEVELS.to_vec();
    if !rates.contains(&fdr) {
        rates.push(fdr);
        rates.sort_by(f64::total_cmp);
    }
    let mut shares = vec![vec![]; rates.len()];
    for split in 0..splits as u64 {
        let split = Split::seeded(known, known - tested, Class::Negative, seed.wrapping_add(split))?;
        let pick = |scores: &[f64], places: &[usize]| places.iter().map(|at| scores[*at]).collect::<Vec<_>>();
        let condition = |(i, (audited, held_out)): (usize, (&Vec<f64>, &Vec<f64>))| {
            let scores = [audited.clone(), pick(held_out, &split.held_out)].concat();
            let calibration = match calibrating {
                Calibrating::Others => pick(held_out, &split.fitted),
                Calibrating::Kept(_, kept) => kept.get(i).cloned().unwrap_or_default(),
            };
            (scores, calibration)
        };
        let conditions: Vec<_> = audited.iter().zip(held_out).enumerate().map(condition).collect();
        let found = flagged_shares(&p_values(&conditions, guarantee)?, tests, &rates);
        shares.iter_mut().zip(found).for_each(|(all, found)| all.push(found));
    }
    let level = |(fdr, shares): (&f64, &Vec<FlaggedShares>)| -> Result<SplitLevel, StatsError> {
        let mean = |of: fn(&FlaggedShares) -> f64| Mean::of(&shares.iter().map(of).collect::<Vec<_>>());
        Ok(SplitLevel { fdr: *fdr, false_share: mean(|s| s.false_share)?, power: mean(|s| s.power)? })
    };
    let (calibration, calibrating, same_list) = match calibrating {
        Calibrating::Others => (name.to_owned(), known - tested, true),
        Calibrating::Kept(name, kept) => ((*name).to_owned(), kept.first().map_or(0, Vec::len), false),
    };
    let levels = rates.iter().zip(&shares).map(level).collect::<Result<_, _>>()?;
    Ok(Some(SplitCheck { calibration, same_list, splits, calibrating, tested, audited: tests, levels }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// p and q by hand: q of (1/5, 4/5, 1/5) is (0.3, 0.8, 0.3).
    #[test]
    fn a_split_is_judged_by_its_flags() {
        let shares = flagged_shares(&[0.2, 0.8, 0.2], 2, &[0.29, 0.31, 0.8]);
        let expected = [(0.0, 0.0), (0.5, 0.5), (1.0 / 3.0, 1.0)];
        let expected = expected.map(|(false_share, power)| FlaggedShares { false_share, power });
        assert_eq!(shares, expected);
    }

    fn check(held_out: &[f64], calibrating: &Calibrating) -> SplitCheck {
        let members = vec![vec![1e6; 20]];
        let held_out = vec![held_out.to_vec()];
        let promise = (0.1, Guarantee::Marginal);
        check_splits((&members, &held_out, "same"), calibrating, (400, 0), promise).unwrap().unwrap()
    }

    /// Of m0 true nulls among m tests Benjamini and Hochberg's expected false share is at most the rate times m0 / m.
    #[test]
    fn exchangeable_prompts_keep_the_promise_and_others_do_not() {
        // In no order that a split could favour.
        let held_out: Vec<f64> = (0..160).map(|i| f64::from((i * 7919) % 10_007)).collect();
        let same = check(&held_out, &Calibrating::Others);
        assert_eq!((same.calibrating, same.tested, same.audited, same.splits), (120, 40, 20, 400));
        assert_eq!(same.levels.len(), LEVELS.len());
        for level in &same.levels {
            let bound = level.fdr * 40.0 / 60.0;
            assert!(level.false_share.mean <= bound + 3.0 * level.false_share.error, "{level:?}");
            assert!(!level.is_broken());
        }
        // 120 calibration prompts: 20 flags at 5 % need 20 · 60 / 20 − 1 = 59 of them, at 1 % 299.
        let power = |fdr: f64| same.levels.iter().find(|level| level.fdr == fdr).unwrap().power.mean;
        assert_eq!((power(0.01), power(0.05)), (0.0, 1.0));
        // Prompts of another kind score far lower: all that are held out are flagged, 40 of 60.
        let low: Vec<f64> = (0..120).map(|i| -1e6 - f64::from(i)).collect();
        let wrong = check(&held_out, &Calibrating::Kept("general", std::slice::from_ref(&low)));
        let level = wrong.levels.iter().find(|level| level.fdr == 0.1).unwrap();
        assert!((level.false_share.mean - 2.0 / 3.0).abs() < 1e-12 && level.is_broken(), "{level:?}");
        assert_eq!((wrong.calibrating, wrong.same_list, wrong.calibration.as_str()), (120, false, "general"));
    }

    #[test]
    fn too_few_are_not_split_and_the_rate_that_was_asked_for_is_looked_at() {
        let (audited, few) = (vec![vec![1.0]], vec![vec![0.0, 0.5, 0.7]]);
        let split = |held_out: &[Vec<f64>], fdr| {
            let promise = (fdr, Guarantee::Marginal);
            check_splits((&audited, held_out, "few"), &Calibrating::Others, (10, 0), promise).unwrap()
        };
        assert_eq!(split(&few, 0.1), None);
        let four = vec![vec![0.0, 0.5, 0.7, 0.9]];
        let rates: Vec<f64> = split(&four, 0.07).unwrap().levels.iter().map(|level| level.fdr).collect();
        assert!(rates.is_sorted() && rates.contains(&0.07) && rates.len() == LEVELS.len() + 1);
    }
}
