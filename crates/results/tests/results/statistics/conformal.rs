//! Conformal p-values, q-values, adjustments and intervals against `SciPy` and numpy.

use std::{collections::BTreeMap, sync::LazyLock};

use approx::assert_relative_eq;
use memscope_results::stats::{Calibration, Guarantee, benjamini_hochberg, proportion_interval};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    intervals: Vec<Proportion>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    calibration: Vec<f64>,
    scores: Vec<f64>,
    p: Vec<f64>,
    q: Vec<f64>,
    flagged: BTreeMap<String, usize>,
    adjusted: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
}

#[derive(Deserialize)]
struct Proportion {
    hits: usize,
    trials: usize,
    low: f64,
    high: f64,
}

static GOLDEN: LazyLock<Golden> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../fixtures/conformal.json")).expect("the fixture is whole")
});

#[test]
fn p_values_and_q_values_are_those_of_numpy_and_scipy_to_the_bit() {
    for case in &GOLDEN.cases {
        let calibration = Calibration::new(&case.calibration).expect("finite");
        let p: Vec<f64> = case.scores.iter().map(|score| calibration.p(*score, Guarantee::Marginal)).collect();
        assert_eq!(p, case.p, "{}", case.name);
        let q = benjamini_hochberg(&p);
        assert_eq!(q, case.q, "{}", case.name);
        for (level, flagged) in &case.flagged {
            let level: f64 = level.parse().expect("a level");
            assert_eq!(q.iter().filter(|q| **q <= level).count(), *flagged, "{} at {level}", case.name);
        }
    }
    assert!(benjamini_hochberg(&[]).is_empty());
}

#[test]
fn adjusted_p_values_are_those_of_the_definition() {
    for case in &GOLDEN.cases {
        let calibration = Calibration::new(&case.calibration).expect("finite");
        for (confidence, rules) in &case.adjusted {
            for (rule, expected) in rules {
                let guarantee: Guarantee = format!("{rule}:{confidence}").parse().expect("a guarantee");
                for ((score, expected), marginal) in case.scores.iter().zip(expected).zip(&case.p) {
                    let p = calibration.p(*score, guarantee);
                    // Sums of logarithms in place of exact products: some tens of roundings.
                    assert_relative_eq!(p, *expected, max_relative = 1e-11, epsilon = 1e-13);
                    assert!(p >= *marginal || *marginal > 0.5, "{}: {rule} is no more generous", case.name);
                }
            }
        }
    }
}

#[test]
fn intervals_are_those_of_clopper_and_pearson() {
    for case in &GOLDEN.intervals {
        let interval = proportion_interval(case.hits, case.trials).expect("trials");
        assert_relative_eq!(interval.low, case.low, max_relative = 1e-8, epsilon = 1e-10);
        assert_relative_eq!(interval.high, case.high, max_relative = 1e-8, epsilon = 1e-10);
    }
    assert_eq!(proportion_interval(0, 0), None);
    assert_eq!(proportion_interval(2, 1), None);
}
