//! What an experiment reports.

use memscope_results::stats::Bootstrap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limits;

/// What is reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportSettings {
    /// Numbers of generations, each at most `noise.generations`; n generations are the first n.
    #[serde(default = "default_report_generations", deserialize_with = "limits::reported")]
    pub generations: Vec<usize>,
    /// False-positive rate at which the true-positive rate is read.
    #[serde(default = "default_target_fpr", deserialize_with = "limits::target_fpr")]
    pub target_fpr: f64,
    /// Bootstrap resamples behind the intervals.
    #[serde(default = "default_resamples", deserialize_with = "limits::resamples")]
    pub resamples: usize,
    /// Seed of the bootstrap.
    #[serde(default)]
    pub bootstrap_seed: u64,
    /// How the weights of `gamma_fit` are fitted.
    #[serde(default)]
    pub fit: FitSettings,
    /// Whether the time of every detector is measured, on ten prompts.
    #[serde(default)]
    pub timing: bool,
    /// Heading of the column that names the detectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
}

impl ReportSettings {
    /// The bootstrap behind the 95 % intervals.
    pub fn bootstrap(&self) -> Bootstrap {
        Bootstrap { resamples: self.resamples, seed: self.bootstrap_seed, confidence: 0.95 }
    }
}

/// How the weights of the metric are fitted: logistic regression on (N, C), unscaled, C = 1 (docs/spec/evaluation.md §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FitSettings {
    /// Prompts of each class to fit on; the others evaluate.
    #[serde(default = "default_fit_prompts", deserialize_with = "limits::fit_prompts")]
    pub prompts: usize,
    /// Random splits.
    #[serde(default = "default_splits", deserialize_with = "limits::splits")]
    pub splits: usize,
    /// Seed of the splits.
    #[serde(default)]
    pub seed: u64,
}

fn default_fit_prompts() -> usize {
    20
}

fn default_splits() -> usize {
    20
}

impl Default for FitSettings {
    fn default() -> Self {
        Self { prompts: default_fit_prompts(), splits: default_splits(), seed: 0 }
    }
}

fn default_report_generations() -> Vec<usize> {
    vec![1, 4]
}

fn default_target_fpr() -> f64 {
    0.01
}

fn default_resamples() -> usize {
    2000
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self {
            generations: default_report_generations(),
            target_fpr: default_target_fpr(),
            resamples: default_resamples(),
            bootstrap_seed: 0,
            fit: FitSettings::default(),
            timing: false,
            rows: None,
        }
    }
}
