//! True positive rate at a fixed false positive rate.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::StatsError;
use super::roc::{CollinearPoints, Roc};
use super::scores::ScoreSet;
use super::ties::{Ranking, TieGroup};

/// How the true positive rate at a false positive rate is read off an ROC curve (docs/spec/evaluation.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TprRule {
    /// As the released code: the first point whose FPR is nearest to the target, collinear points dropped
    /// (docs/spec/evaluation.md §3.1). May answer with a neighbouring FPR, and with 0 where the origin is the
    /// nearest point kept: a detector that separates the classes perfectly gets 0 at 1 %.
    NearestFpr,
    /// The standard definition: the highest TPR of any threshold with FPR at or below the target.
    MaxTprFprLe,
    /// As Wen's notebook: the last point with FPR strictly below the target, collinear points dropped; 0 if none.
    WenStrict,
    /// Linear interpolation of the curve at the target; the upper end of a vertical stretch.
    #[serde(rename = "interp")]
    Interpolated,
}

impl TprRule {
    /// Every rule.
    pub const ALL: [Self; 4] = [Self::NearestFpr, Self::MaxTprFprLe, Self::WenStrict, Self::Interpolated];

    /// The rule's name in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            Self::NearestFpr => "nearest_fpr",
            Self::MaxTprFprLe => "max_tpr_fpr_le",
            Self::WenStrict => "wen_strict",
            Self::Interpolated => "interp",
        }
    }
}

impl fmt::Display for TprRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no [`TprRule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown TPR rule {found:?}; expected nearest_fpr, max_tpr_fpr_le, wen_strict or interp")]
pub struct UnknownTprRule {
    found: String,
}

impl FromStr for TprRule {
    type Err = UnknownTprRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|rule| rule.name() == text).ok_or_else(|| UnknownTprRule { found: text.to_owned() })
    }
}

/// TPR (0..=1) at the false positive rate `fpr` (0..=1) by one of the rules.
///
/// # Errors
/// `fpr` is outside 0..=1.
pub fn tpr_at_fpr(scores: ScoreSet<'_>, fpr: f64, rule: TprRule) -> Result<f64, StatsError> {
    check_rate(fpr)?;
    Ok(tpr_of_groups(&Ranking::new(scores).groups(), fpr, rule))
}

/// Wen's accuracy: the highest 1 - (FPR + 1 - TPR) / 2 of any threshold, 0.5..=1 (docs/spec/evaluation.md §3.2).
pub fn best_accuracy(scores: ScoreSet<'_>) -> f64 {
    accuracy_of_groups(&Ranking::new(scores).groups())
}

/// Fails unless `fpr` is within 0..=1.
pub(super) fn check_rate(fpr: f64) -> Result<(), StatsError> {
    if (0.0..=1.0).contains(&fpr) { Ok(()) } else { Err(StatsError::InvalidRate { value: fpr }) }
}

/// [`tpr_at_fpr`] from groups, highest score first; `fpr` is within 0..=1.
pub(super) fn tpr_of_groups(groups: &[TieGroup], fpr: f64, rule: TprRule) -> f64 {
    let collinear = match rule {
        TprRule::NearestFpr | TprRule::WenStrict => CollinearPoints::Drop,
        TprRule::MaxTprFprLe | TprRule::Interpolated => CollinearPoints::Keep,
    };
    let roc = Roc::from_groups(groups, collinear);
    let (rates, hits) = (roc.fpr(), roc.tpr());
    match rule {
        TprRule::NearestFpr => hits[first_nearest(&rates, fpr)],
        // Both rates never fall along the curve, so the last point within the bound has the highest TPR.
        TprRule::MaxTprFprLe => last_where(&rates, |rate| rate <= fpr).map_or(0.0, |index| hits[index]),
        TprRule::WenStrict => last_where(&rates, |rate| rate < fpr).map_or(0.0, |index| hits[index]),
        TprRule::Interpolated => interpolate(&rates, &hits, fpr),
    }
}

/// [`best_accuracy`] from groups, highest score first.
pub(super) fn accuracy_of_groups(groups: &[TieGroup]) -> f64 {
    let roc = Roc::from_groups(groups, CollinearPoints::Keep);
    let accuracies = roc.fpr().into_iter().zip(roc.tpr()).map(|(fpr, tpr)| 1.0 - f64::midpoint(fpr, 1.0 - tpr));
    accuracies.fold(f64::NEG_INFINITY, f64::max)
}

/// First index of the smallest distance to `target`.
fn first_nearest(rates: &[f64], target: f64) -> usize {
    let mut nearest = 0;
    for (index, rate) in rates.iter().enumerate() {
        if (rate - target).abs() < (rates[nearest] - target).abs() {
            nearest = index;
        }
    }
    nearest
}

fn last_where(rates: &[f64], keep: impl Fn(f64) -> bool) -> Option<usize> {
    rates.iter().rposition(|&rate| keep(rate))
}

/// Value at `x` of the line through the points; of several points at `x` the last.
fn interpolate(xs: &[f64], ys: &[f64], x: f64) -> f64 {
    let left = last_where(xs, |rate| rate <= x).unwrap_or(0);
    match xs.get(left + 1) {
        Some(&right) if xs[left] < x => ys[left] + (ys[left + 1] - ys[left]) * (x - xs[left]) / (right - xs[left]),
        _ => ys[left],
    }
}
