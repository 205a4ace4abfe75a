//! Rank correlations and concordance against SciPy and scikit-learn (`scripts/fixtures/make_correlation.py`).

use memscope_results::stats::{Concordance, StatsError, kendall, spearman};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    pairs: Vec<Pair>,
    binary: Vec<Binary>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    first: Vec<f64>,
    second: Vec<f64>,
    spearman: f64,
    kendall: f64,
}

#[derive(Deserialize)]
struct Binary {
    name: String,
    scores: Vec<f64>,
    outcomes: Vec<f64>,
    auc: f64,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../fixtures/correlation.json")).expect("the fixture is well-formed")
}

#[test]
fn correlations_are_scipys() {
    for Pair { name, first, second, spearman: rho, kendall: tau } in fixture().pairs {
        let found = spearman(&first, &second).unwrap().unwrap();
        assert!((found - rho).abs() < 1e-12, "{name}: Spearman {found}, SciPy {rho}");
        let found = kendall(&first, &second).unwrap().unwrap();
        assert!((found - tau).abs() < 1e-12, "{name}: Kendall {found}, SciPy {tau}");
    }
}

#[test]
fn concordance_of_binary_outcomes_is_the_auc() {
    for Binary { name, scores, outcomes, auc } in fixture().binary {
        let observations: Vec<(f64, f64)> = scores.into_iter().zip(outcomes).collect();
        let found = Concordance::of(&observations).index().unwrap();
        assert!((found - auc).abs() < 1e-12, "{name}: {found}, scikit-learn {auc}");
        // Counted in two halves, within and between, it is the same.
        let (first, second) = observations.split_at(20);
        let mut sum = Concordance::of(first);
        sum += Concordance::of(second);
        sum += Concordance::between(first, second);
        assert_eq!(sum.index(), Some(found), "{name}");
    }
}

#[test]
fn graded_outcomes_count_by_their_order() {
    // Of three pairs, the scores order two as the outcomes do and tie one.
    let found = Concordance::of(&[(1.0, 0.0), (2.0, 0.25), (2.0, 1.0)]);
    assert_eq!((found.concordant, found.pairs), (2.5, 3.0));
    assert_eq!(Concordance::of(&[(1.0, 0.5), (2.0, 0.5)]).index(), None);
}

#[test]
fn what_does_not_vary_has_no_correlation() {
    assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]).unwrap(), None);
    assert_eq!(kendall(&[1.0, 2.0], &[0.0, -0.0]).unwrap(), None);
    assert_eq!(kendall(&[], &[]).unwrap(), None);
    assert!(matches!(spearman(&[1.0], &[]), Err(StatsError::LengthsDiffer { first: 1, second: 0 })));
    assert!(matches!(kendall(&[f64::NAN], &[1.0]), Err(StatsError::NonFiniteValue { index: 0, .. })));
}
