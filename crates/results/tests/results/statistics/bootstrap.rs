//! The bootstrap against numpy's, its seeding, and its pairing.

use memscope_results::stats::{Bootstrap, DeLong, Interval, ScoreSet, Statistic, TprRule};

use super::golden::{GOLDEN, Scores};
use super::reference::set;

const TPR: Statistic = Statistic::TprAtFpr { fpr: 0.05, rule: TprRule::MaxTprFprLe };

fn runs(scores: &[Scores]) -> Vec<ScoreSet<'_>> {
    scores.iter().map(set).collect()
}

fn near(found: Interval, expected: [f64; 2], std: f64) {
    // Monte Carlo error of a 2.5 % percentile of 20,000 draws: 0.019 standard deviations; both sides have it.
    for (found, expected) in [(found.low, expected[0]), (found.high, expected[1])] {
        assert!((found - expected).abs() < 0.1 * std, "{found} against {expected}");
    }
}

#[test]
fn intervals_agree_with_numpy() {
    let golden = &GOLDEN.bootstrap;
    let bootstrap = Bootstrap { resamples: 20_000, ..Bootstrap::default() };
    let (first, second) = (runs(&golden.first), runs(&golden.second));
    let estimate = bootstrap.estimate(&first, Statistic::Auc).expect("valid");
    assert!((estimate.value - golden.auc_first).abs() < 1e-12);
    near(estimate.interval, golden.interval_first, golden.std_first);
    let difference = bootstrap.difference(&first, &second, Statistic::Auc).expect("valid");
    assert!((difference.value - golden.difference).abs() < 1e-12);
    near(difference.interval, golden.interval_difference, golden.std_difference);
    // numpy found no draw on the other side of zero.
    assert!(difference.p <= 4.0 / 20_001.0);
}

#[test]
fn interval_of_one_run_agrees_with_delong() {
    let scores = set(&GOLDEN.delong[3].first);
    let estimate = Bootstrap::default().estimate(&[scores], Statistic::Auc).expect("valid");
    let normal = DeLong::new(scores).expect("valid").interval(0.95).expect("valid");
    let width = normal.high - normal.low;
    assert!((estimate.interval.low - normal.low).abs() < 0.1 * width);
    assert!((estimate.interval.high - normal.high).abs() < 0.1 * width);
    assert!(estimate.interval.contains(estimate.value));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let golden = &GOLDEN.bootstrap;
    let (first, second) = (runs(&golden.first), runs(&golden.second));
    let with_threads = |count| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().expect("threads");
        pool.install(|| Bootstrap::default().difference(&first, &second, TPR).expect("valid"))
    };
    assert_eq!(with_threads(1), with_threads(4));
}

#[test]
fn seeds_change_the_draws_and_repeat_them() {
    let first = runs(&GOLDEN.bootstrap.first);
    let with_seed = |seed| {
        let bootstrap = Bootstrap { seed, ..Bootstrap::default() };
        bootstrap.estimate(&first, Statistic::Auc).expect("valid").interval
    };
    assert_eq!(with_seed(1), with_seed(1));
    assert_ne!(with_seed(1), with_seed(2));
}

#[test]
fn draws_are_fixed_for_good() {
    // Guards stored results: these change only if the draws do.
    let (positives, negatives) = ([3.0, 4.0, 5.0, 6.0, 7.0], [1.0, 2.0, 3.5, 4.5, 5.5, 2.5]);
    let scores = ScoreSet::new(&positives, &negatives).expect("valid");
    let bootstrap = Bootstrap { resamples: 7, seed: 42, confidence: 0.5 };
    let estimate = bootstrap.estimate(&[scores], Statistic::Auc).expect("valid");
    insta::assert_debug_snapshot!(estimate);
}

#[test]
fn a_detector_does_not_differ_from_itself() {
    let first = runs(&GOLDEN.bootstrap.first);
    for statistic in [Statistic::Auc, TPR, Statistic::BestAccuracy] {
        let difference = Bootstrap::default().difference(&first, &first, statistic).expect("valid");
        assert_eq!((difference.value, difference.interval.low, difference.interval.high), (0.0, 0.0, 0.0));
        assert!((difference.p - 1.0).abs() < 1e-12);
    }
}

#[test]
fn pairing_narrows_the_interval_of_a_difference() {
    let golden = &GOLDEN.bootstrap;
    let (first, second) = (runs(&golden.first), runs(&golden.second));
    let bootstrap = Bootstrap::default();
    let width = |interval: Interval| interval.high - interval.low;
    let alone = width(bootstrap.estimate(&first, Statistic::Auc).expect("valid").interval);
    let paired = width(bootstrap.difference(&first, &second, Statistic::Auc).expect("valid").interval);
    assert!(paired < 0.6 * alone, "{paired} against {alone}");
}

#[test]
fn one_mean_run_stands_for_equal_runs() {
    let golden = &GOLDEN.bootstrap;
    let once = set(&golden.first[0]);
    let bootstrap = Bootstrap::default();
    let single = bootstrap.estimate(&[once], TPR).expect("valid");
    let repeated = bootstrap.estimate(&[once, once], TPR).expect("valid");
    assert_eq!(single, repeated);
}
