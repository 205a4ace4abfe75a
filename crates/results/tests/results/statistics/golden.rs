//! `tests/fixtures/stats.json`: scikit-learn, `SciPy` and numpy, by `scripts/fixtures/make_stats.py` (versions inside).

use std::sync::LazyLock;

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Fixture {
    pub(crate) detection: Vec<Detection>,
    pub(crate) delong: Vec<DeLongPair>,
    pub(crate) logistic: Vec<Regression>,
    pub(crate) density: Vec<Densities>,
    pub(crate) bootstrap: Resampling,
}

#[derive(Deserialize)]
pub(crate) struct Scores {
    pub(crate) positives: Vec<f64>,
    pub(crate) negatives: Vec<f64>,
}

#[derive(Deserialize)]
pub(crate) struct Detection {
    pub(crate) name: String,
    pub(crate) positives: Vec<f64>,
    pub(crate) negatives: Vec<f64>,
    pub(crate) auc: f64,
    pub(crate) keep: Curve,
    pub(crate) drop: Curve,
    pub(crate) tpr: Vec<Rates>,
    pub(crate) best_accuracy: f64,
}

#[derive(Deserialize)]
pub(crate) struct Curve {
    /// Without the infinite one of the origin.
    pub(crate) thresholds: Vec<f64>,
    pub(crate) false_positives: Vec<usize>,
    pub(crate) true_positives: Vec<usize>,
}

#[derive(Deserialize)]
pub(crate) struct Rates {
    pub(crate) fpr: f64,
    pub(crate) nearest_fpr: f64,
    pub(crate) max_tpr_fpr_le: f64,
    pub(crate) wen_strict: f64,
    pub(crate) interp: f64,
}

#[derive(Deserialize)]
pub(crate) struct DeLongPair {
    pub(crate) first: Scores,
    pub(crate) second: Scores,
    pub(crate) aucs: [f64; 2],
    pub(crate) variances: [f64; 2],
    pub(crate) covariance: f64,
    pub(crate) difference_variance: f64,
    pub(crate) z: f64,
    pub(crate) p: f64,
    pub(crate) interval_of_first: [f64; 2],
}

#[derive(Deserialize)]
pub(crate) struct Regression {
    pub(crate) c: f64,
    pub(crate) positives: Vec<[f64; 2]>,
    pub(crate) negatives: Vec<[f64; 2]>,
    /// With scikit-learn's `newton-cholesky` and a tolerance of 1e-13.
    pub(crate) coefficients: [f64; 2],
    pub(crate) intercept: f64,
    /// With its default solver and tolerance.
    pub(crate) default_coefficients: [f64; 2],
    pub(crate) default_intercept: f64,
}

#[derive(Deserialize)]
pub(crate) struct Densities {
    pub(crate) a: Vec<f64>,
    pub(crate) b: Vec<f64>,
    pub(crate) factor: f64,
    pub(crate) kernel_variance: f64,
    pub(crate) at: Vec<f64>,
    pub(crate) pdf_a: Vec<f64>,
    pub(crate) pdf_b: Vec<f64>,
    pub(crate) kl_ab: f64,
    pub(crate) kl_ba: f64,
    pub(crate) kl_ab_epsilon: f64,
}

#[derive(Deserialize)]
pub(crate) struct Resampling {
    pub(crate) first: Vec<Scores>,
    pub(crate) second: Vec<Scores>,
    pub(crate) auc_first: f64,
    pub(crate) interval_first: [f64; 2],
    pub(crate) std_first: f64,
    pub(crate) difference: f64,
    pub(crate) interval_difference: [f64; 2],
    pub(crate) std_difference: f64,
}

pub(crate) static GOLDEN: LazyLock<Fixture> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../fixtures/stats.json")).expect("the fixture is well-formed"));
