//! Theorem 1 over many random instances.

use rayon::prelude::*;

use super::theorem1::{Instance, InstanceError, Precision, Verdict, check};

/// Shortfalls that rounding may explain; the square root makes the sharper bound the less exact one.
const PAPER_TOLERANCE: f64 = 1e-12;
const SHARP_TOLERANCE: f64 = 1e-9;

/// What a survey of random instances found.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Instances left out because P_c is not positive definite.
    pub rejected: usize,
    /// Instances whose cosine is below the paper's bound by more than 1e-12.
    pub paper_violations: usize,
    /// Instances whose cosine is below the sharper bound by more than 1e-9.
    pub sharp_violations: usize,
    /// The cosine minus the paper's bound; `None` if no instance was accepted.
    pub paper_slack: Option<Slack>,
    /// The cosine minus the sharper bound; `None` if no instance was accepted.
    pub sharp_slack: Option<Slack>,
    /// Of the accepted instances, in the order of their numbers.
    pub verdicts: Vec<Verdict>,
}

/// Quantiles of a slack, linear between order statistics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slack {
    /// Smallest.
    pub min: f64,
    /// 5 % are smaller.
    pub q05: f64,
    /// 25 % are smaller.
    pub q25: f64,
    /// Half are smaller.
    pub median: f64,
    /// 75 % are smaller.
    pub q75: f64,
    /// 95 % are smaller.
    pub q95: f64,
    /// Largest.
    pub max: f64,
}

/// Checks instances 0 to `count` − 1 of the random family `seed`, on all threads; the result does not depend on them.
///
/// # Errors
///
/// An assumption that a sampled instance does not meet, other than a positive definite P_c.
pub fn survey(count: usize, seed: u64) -> Result<Survey, InstanceError> {
    let outcomes: Vec<_> = (0..count as u64)
        .into_par_iter()
        .map(|number| Instance::sample(seed, number).and_then(|instance| check(&instance)))
        .collect();
    let mut verdicts = Vec::with_capacity(count);
    for outcome in outcomes {
        match outcome {
            Ok(verdict) => verdicts.push(verdict),
            Err(InstanceError::NotPositiveDefinite { precision: Precision::Conditional, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Survey {
        rejected: count - verdicts.len(),
        paper_violations: verdicts.iter().filter(|v| v.paper_slack() < -PAPER_TOLERANCE).count(),
        sharp_violations: verdicts.iter().filter(|v| v.sharp_slack() < -SHARP_TOLERANCE).count(),
        paper_slack: Slack::of(verdicts.iter().map(Verdict::paper_slack).collect()),
        sharp_slack: Slack::of(verdicts.iter().map(Verdict::sharp_slack).collect()),
        verdicts,
    })
}

impl Slack {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |level: f64| {
            let place = level * last as f64;
            let below = values[place as usize];
            let above = values[(place as usize + 1).min(last)];
            below + place.fract() * (above - below)
        };
        Some(Self {
            min: at(0.0),
            q05: at(0.05),
            q25: at(0.25),
            median: at(0.5),
            q75: at(0.75),
            q95: at(0.95),
            max: at(1.0),
        })
    }
}
