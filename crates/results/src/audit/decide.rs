//! From scores to decisions that a calibration sample can carry.

use serde::{Deserialize, Serialize};

use crate::stats::{Calibration, Guarantee, StatsError, benjamini_hochberg};

/// What is decided about one prompt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Conformal p-value; the larger one where there are two conditions.
    pub p: f64,
    /// Benjamini and Hochberg's q-value.
    pub q: f64,
    /// Whether q is at most the false discovery rate that was asked for.
    pub flagged: bool,
}

/// What the calibration sample can carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The false discovery rate asked for.
    pub fdr: f64,
    /// What the p-values promise.
    pub guarantee: Guarantee,
    /// Prompts that were tested.
    pub tests: usize,
    /// Calibration prompts.
    pub calibration: usize,
    /// So many prompts must stand above all calibration prompts before any can be flagged; `None` where not even all of
    /// them could.
    pub fewest_flagged: Option<usize>,
    /// Prompts that do stand above all calibration prompts.
    pub above_all: usize,
    /// Flagged prompts.
    pub flagged: usize,
    /// Where a claim had to be refused: so many calibration prompts could carry one about the prompts that stand above all
    /// of them, or, where none does, about a single one.
    pub needed: Option<usize>,
}

impl Claim {
    /// Whether the sample could not carry a claim that its scores would have asked for.
    pub fn is_refused(&self) -> bool {
        self.needed.is_some()
    }
}

/// Decides about prompts by their scores: one list of scores for each condition, all of which a prompt must meet, with the
/// scores of the calibration prompts under the same conditions.
///
/// # Errors
/// When there are no conditions or no calibration prompts, a score is not finite, or lists differ in length.
pub fn decide(
    conditions: &[(Vec<f64>, Vec<f64>)],
    fdr: f64,
    guarantee: Guarantee,
) -> Result<(Vec<Decision>, Claim), StatsError> {
    let (scores, calibration) = conditions.first().ok_or(StatsError::Empty)?;
    let (tests, n) = (scores.len(), calibration.len());
    let p = p_values(conditions, guarantee)?;
    let mut above = vec![true; tests];
    for (scores, calibration) in conditions {
        let most = calibration.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        above.iter_mut().zip(scores).for_each(|(above, score)| *above &= *score > most);
    }
    let decision = |(p, q): (f64, f64)| Decision { p, q, flagged: q <= fdr };
    let decisions: Vec<Decision> = p.iter().copied().zip(benjamini_hochberg(&p)).map(decision).collect();
    let flagged = decisions.iter().filter(|decision| decision.flagged).count();
    let above_all = above.iter().filter(|above| **above).count();
    let fewest_flagged = guarantee.fewest_flagged(fdr, tests, n);
    // Nothing is refused where something is flagged, nor where nothing stands out of a sample that could carry a claim.
    let lacks = flagged == 0 && tests > 0 && (fewest_flagged.is_none() || above_all > 0);
    let needed = if lacks { guarantee.calibration_needed(fdr, tests, above_all.max(1)) } else { None };
    Ok((decisions, Claim { fdr, guarantee, tests, calibration: n, fewest_flagged, above_all, flagged, needed }))
}

/// Conformal p-values; the larger one where there are several conditions.
pub(super) fn p_values(conditions: &[(Vec<f64>, Vec<f64>)], guarantee: Guarantee) -> Result<Vec<f64>, StatsError> {
    let (scores, calibration) = conditions.first().ok_or(StatsError::Empty)?;
    let (tests, n) = (scores.len(), calibration.len());
    let mut p = vec![0.0_f64; tests];
    for (scores, calibration) in conditions {
        if let Some(other) = [(scores.len(), tests), (calibration.len(), n)].into_iter().find(|(a, b)| a != b) {
            return Err(StatsError::LengthsDiffer { first: other.0, second: other.1 });
        }
        if let Some(index) = scores.iter().position(|score| !score.is_finite()) {
            return Err(StatsError::NonFiniteValue { index, value: scores[index] });
        }
        let known = Calibration::new(calibration)?;
        p.iter_mut().zip(scores).for_each(|(p, score)| *p = p.max(known.p(*score, guarantee)));
    }
    Ok(p)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ascending(n: usize) -> Vec<f64> {
        (0..n).map(|i| i as f64).collect()
    }

    #[test]
    fn a_claim_that_the_sample_cannot_carry_is_refused_with_the_size_it_needs() {
        let mut scores = ascending(50);
        scores[7] = 1e3;
        let (decisions, claim) = decide(&[(scores.clone(), ascending(60))], 0.1, Guarantee::Marginal).unwrap();
        assert!(!decisions[7].flagged && claim.is_refused());
        assert_eq!((claim.above_all, claim.fewest_flagged, claim.needed), (1, Some(9), Some(499)));
        let enough = claim.needed.unwrap();
        let few = |n: usize| (0..n).map(|i| i as f64 / n as f64 - 60.0).collect::<Vec<_>>();
        scores.iter_mut().enumerate().filter(|(i, _)| *i != 7).for_each(|(_, score)| *score = -1e3);
        let (decisions, claim) = decide(&[(scores.clone(), few(enough))], 0.1, Guarantee::Marginal).unwrap();
        assert!(decisions[7].flagged && !claim.is_refused());
        let (decisions, _) = decide(&[(scores, few(enough - 1))], 0.1, Guarantee::Marginal).unwrap();
        assert!(!decisions[7].flagged, "one fewer does not carry it");
    }

    #[test]
    fn all_conditions_must_be_met() {
        let calibration = ascending(99);
        let (high, low) = (vec![1e3; 10], vec![-1.0; 10]);
        let both = [(high.clone(), calibration.clone()), (low, calibration.clone())];
        let (decisions, claim) = decide(&both, 0.1, Guarantee::Marginal).unwrap();
        assert!(decisions.iter().all(|decision| decision.p == 1.0 && !decision.flagged));
        assert!(!claim.is_refused(), "nothing stands out");
        let (decisions, claim) = decide(&[(high, calibration)], 0.1, Guarantee::Marginal).unwrap();
        assert!(decisions.iter().all(|decision| decision.flagged));
        assert_eq!((claim.flagged, claim.above_all), (10, 10));
    }

    #[test]
    fn what_cannot_be_decided_is_an_error() {
        assert!(decide(&[], 0.1, Guarantee::Marginal).is_err());
        assert!(decide(&[(vec![1.0], vec![])], 0.1, Guarantee::Marginal).is_err());
        assert!(decide(&[(vec![f64::NAN], vec![1.0])], 0.1, Guarantee::Marginal).is_err());
        let uneven = [(vec![1.0], vec![1.0]), (vec![1.0, 2.0], vec![1.0])];
        assert!(decide(&uneven, 0.1, Guarantee::Marginal).is_err());
    }
}
