//! From a score to a p-value: conformal p-values, and what a calibration sample can carry (docs/spec/audit.md §1, §3).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::error::{StatsError, check_finite};

/// Scores of prompts that are known to be ordinary, which those of other prompts are compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    ascending: Vec<f64>,
}

/// What a p-value promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Guarantee {
    /// On average over calibration samples: p = (1 + #{calibration ≥ s}) / (n + 1).
    #[default]
    Marginal,
    /// For the calibration sample at hand, with a confidence: the Simes adjustment of Bates et al. 2023 with k = n/2.
    Simes {
        /// Share of calibration samples for which the promise holds, in (0, 1).
        confidence: f64,
    },
    /// The same by the inequality of Dvoretzky, Kiefer, Wolfowitz and Massart: p + √(ln(2/δ) / 2n), δ = 1 − confidence.
    Dkwm {
        /// Share of calibration samples for which the promise holds, in (0, 1).
        confidence: f64,
    },
}

impl Calibration {
    /// Calibration scores, in any order.
    ///
    /// # Errors
    /// [`StatsError::Empty`] and [`StatsError::NonFiniteValue`].
    pub fn new(scores: &[f64]) -> Result<Self, StatsError> {
        check_finite(scores)?;
        let mut ascending = scores.to_vec();
        ascending.sort_by(f64::total_cmp);
        Ok(Self { ascending })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ascending.len()
    }

    /// The conformal p-value of a score; higher scores have smaller ones. Ties count against it.
    pub fn p(&self, score: f64, guarantee: Guarantee) -> f64 {
        let below = self.ascending.partition_point(|known| *known < score);
        guarantee.p(1 + self.count() - below, self.count())
    }
}

impl Guarantee {
    /// The p-value of a score that is the `rank`-th largest, 1 ..= n + 1, beside n calibration scores.
    fn p(self, rank: usize, n: usize) -> f64 {
        let marginal = rank as f64 / (n + 1) as f64;
        match self {
            Self::Marginal => marginal,
            Self::Simes { confidence } => simes(rank, n, 1.0 - confidence),
            Self::Dkwm { confidence } => {
                (marginal + ((2.0 / (1.0 - confidence)).ln() / (2 * n) as f64).sqrt()).min(1.0)
            }
        }
    }

    /// The smallest p-value beside n calibration scores.
    pub fn smallest_p(self, n: usize) -> f64 {
        self.p(1, n)
    }

    /// How many of `tests` prompts must stand above all n calibration scores before any of them can be flagged at a false
    /// discovery rate; `None` where not even all of them could.
    pub fn fewest_flagged(self, fdr: f64, tests: usize, n: usize) -> Option<usize> {
        let smallest = self.smallest_p(n.max(1));
        // The condition holds from some number on.
        let carries = |flagged: usize| n > 0 && smallest * (tests as f64 / flagged as f64) <= fdr;
        if tests == 0 || !carries(tests) {
            return None;
        }
        let (mut low, mut high) = (0, tests);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if carries(middle) { high = middle } else { low = middle }
        }
        Some(high)
    }

    /// The smallest number of calibration scores that can carry a claim about `flagged` of `tests` prompts at a false
    /// discovery rate; `None` where more than a billion would be needed.
    pub fn calibration_needed(self, fdr: f64, tests: usize, flagged: usize) -> Option<usize> {
        const MOST: usize = 1 << 30;
        let carries = |n: usize| self.fewest_flagged(fdr, tests, n).is_some_and(|fewest| fewest <= flagged);
        let mut high = 1;
        while !carries(high) {
            high *= 2;
            if high > MOST {
                return None;
            }
        }
        let mut low = high / 2;
        while high - low > 1 {
            let middle = low.midpoint(high);
            if carries(middle) { high = middle } else { low = middle }
        }
        Some(high)
    }
}

/// 1 − a_(n+1−rank), a_i = δ^(1/k) · (i (i−1) … (i−k+1) / (n (n−1) … (n−k+1)))^(1/k) with k = n/2, and a_i = 0 below k
/// (docs/spec/audit.md §1).
fn simes(rank: usize, n: usize, delta: f64) -> f64 {
    let k = (n / 2).max(1);
    let i = n + 1 - rank.min(n);
    if rank > n || i < k {
        return 1.0;
    }
    let logs = |last: usize| (last + 1 - k..=last).map(|j| (j as f64).ln()).sum::<f64>();
    1.0 - ((delta.ln() + logs(i) - logs(n)) / k as f64).exp()
}

/// Not the name of a guarantee.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no guarantee: write marginal, simes, dkwm, or simes:CONFIDENCE, dkwm:CONFIDENCE with a confidence in (0, 1)"
)]
pub struct UnknownGuarantee(String);

/// Confidence of the guarantees that have one.
const CONFIDENCE: f64 = 0.9;

impl FromStr for Guarantee {
    type Err = UnknownGuarantee;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownGuarantee(text.to_owned());
        let (name, confidence) = match text.split_once(':') {
            Some((name, confidence)) => (name, confidence.parse::<f64>().map_err(|_| unknown())?),
            None => (text, CONFIDENCE),
        };
        if !(confidence > 0.0 && confidence < 1.0) {
            return Err(unknown());
        }
        match name {
            "marginal" if text == name => Ok(Self::Marginal),
            "simes" => Ok(Self::Simes { confidence }),
            "dkwm" => Ok(Self::Dkwm { confidence }),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Marginal => f.write_str("marginal"),
            Self::Simes { confidence } => write!(f, "simes:{confidence}"),
            Self::Dkwm { confidence } => write!(f, "dkwm:{confidence}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_a_claim_needs_are_those_of_the_formula() {
        let marginal = Guarantee::Marginal;
        // r flagged of m at level a need r a / m >= 1 / (n + 1).
        assert_eq!(marginal.calibration_needed(0.1, 100, 1), Some(999));
        assert_eq!(marginal.calibration_needed(0.1, 100, 100), Some(9));
        assert_eq!(marginal.calibration_needed(0.05, 1000, 40), Some(499));
        assert_eq!(marginal.fewest_flagged(0.05, 1000, 500), Some(40));
        assert_eq!(marginal.fewest_flagged(0.1, 100, 8), None);
        assert_eq!(marginal.fewest_flagged(0.1, 0, 8), None);
        for guarantee in [marginal, Guarantee::Simes { confidence: 0.9 }, Guarantee::Dkwm { confidence: 0.9 }] {
            let needed = guarantee.calibration_needed(0.2, 50, 10).unwrap();
            assert!(guarantee.fewest_flagged(0.2, 50, needed).unwrap() <= 10);
            assert!(guarantee.fewest_flagged(0.2, 50, needed - 1).is_none_or(|fewest| fewest > 10), "{guarantee}");
        }
    }

    #[test]
    fn ties_count_against_a_score() {
        let calibration = Calibration::new(&[3.0, 1.0, 2.0, 2.0]).unwrap();
        let p = |score| calibration.p(score, Guarantee::Marginal);
        assert_eq!([p(4.0), p(3.0), p(2.0), p(1.5), p(0.0)], [0.2, 0.4, 0.8, 0.8, 1.0]);
        assert!(Calibration::new(&[]).is_err() && Calibration::new(&[f64::NAN]).is_err());
    }

    #[test]
    fn names_are_read_back() {
        for name in ["marginal", "simes:0.9", "dkwm:0.95"] {
            assert_eq!(name.parse::<Guarantee>().unwrap().to_string(), name);
        }
        assert_eq!("simes".parse(), Ok(Guarantee::Simes { confidence: 0.9 }));
        for wrong in ["", "marginal:0.9", "simes:1", "simes:x", "dkwm:NaN", "asymptotic"] {
            assert!(wrong.parse::<Guarantee>().is_err(), "{wrong}");
        }
    }
}
