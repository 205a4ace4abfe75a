//! Every refusal, with its message.

use memscope_results::stats::{
    Bootstrap, Class, Ddof, DeLong, Kde, Logistic, ScoreSet, Split, Statistic, StatsError, Summary, TprRule, grid,
    kl_divergence, tpr_at_fpr,
};

const SOME: [f64; 3] = [1.0, 2.0, 3.0];

fn some() -> ScoreSet<'static> {
    ScoreSet::new(&SOME, &SOME).expect("valid")
}

#[track_caller]
fn refused<T>(result: Result<T, StatsError>, message: &str) {
    match result {
        Ok(_) => panic!("not refused: {message}"),
        Err(error) => assert_eq!(error.to_string(), message),
    }
}

#[test]
fn scores_of_one_class_only() {
    refused(ScoreSet::new(&[], &SOME), "no positive (memorized) scores: both classes are needed");
    refused(ScoreSet::new(&SOME, &[]), "no negative (non-memorized) scores: both classes are needed");
    refused(Logistic::default().fit(&[], &[[1.0]]), "no positive (memorized) scores: both classes are needed");
}

#[test]
fn scores_that_are_not_finite() {
    refused(ScoreSet::new(&[1.0, f64::NAN], &SOME), "positive (memorized) score 1 is NaN; scores must be finite");
    refused(ScoreSet::new(&SOME, &[f64::INFINITY]), "negative (non-memorized) score 0 is inf; scores must be finite");
    refused(
        Logistic::default().fit(&[[1.0, f64::NAN]], &[[0.0, 0.0]]),
        "positive (memorized) score 0 is NaN; scores must be finite",
    );
    refused(Summary::of(&[f64::NAN], Ddof::Sample), "value 0 is NaN; values must be finite");
    refused(Kde::new(&[1.0, f64::NAN]), "value 1 is NaN; values must be finite");
}

#[test]
fn too_little_to_work_with() {
    refused(Summary::of(&[], Ddof::Sample), "no values");
    refused(Kde::new(&[]), "no values");
    refused(Kde::new(&[2.0]), "all 1 value(s) are equal: a density needs a spread");
    refused(Kde::new(&[2.0; 5]), "all 5 value(s) are equal: a density needs a spread");
    refused(
        DeLong::new(ScoreSet::new(&[1.0], &SOME).expect("valid")),
        "1 positive (memorized) score(s), at least 2 are needed for a variance",
    );
    refused(Bootstrap::default().estimate(&[], Statistic::Auc), "no runs: at least one seed is needed");
    refused(Bootstrap::default().difference(&[some()], &[], Statistic::Auc), "no runs: at least one seed is needed");
}

#[test]
fn sets_of_different_prompts() {
    let other = ScoreSet::new(&SOME, &[1.0]).expect("valid");
    let message = "score sets are not paired: one has 3 positives and 3 negatives, another 3 and 1";
    refused(Bootstrap::default().estimate(&[some(), other], Statistic::Auc), message);
    refused(Bootstrap::default().difference(&[some()], &[other], Statistic::Auc), message);
    let four = [1.0, 2.0, 3.0, 4.0];
    let longer = DeLong::new(ScoreSet::new(&SOME, &four).expect("valid")).expect("enough");
    refused(
        DeLong::new(some()).expect("enough").compare(&longer),
        "score sets are not paired: one has 3 positives and 3 negatives, another 3 and 4",
    );
}

#[test]
fn settings_out_of_range() {
    for rule in TprRule::ALL {
        refused(tpr_at_fpr(some(), 1.5, rule), "false positive rate 1.5 is outside 0..=1");
        refused(tpr_at_fpr(some(), f64::NAN, rule), "false positive rate NaN is outside 0..=1");
    }
    let none = Bootstrap { resamples: 0, ..Bootstrap::default() };
    refused(none.estimate(&[some()], Statistic::Auc), "a bootstrap needs at least one resample");
    let sure = Bootstrap { confidence: 1.0, ..Bootstrap::default() };
    refused(sure.estimate(&[some()], Statistic::Auc), "confidence level 1 is outside 0..1");
    refused(
        Logistic { c: 0.0 }.fit(&[[1.0]], &[[0.0]]),
        "inverse regularisation strength C = 0 must be positive and finite",
    );
    refused(Split::seeded(10, 11, Class::Positive, 0), "cannot take 11 of 10 items for fitting");
}

#[test]
fn grids_that_are_none() {
    let message = "grid of 10 points from 1 to 1 is not an increasing range of two or more points";
    refused(grid(1.0, 1.0, 10), message);
    refused(grid(0.0, 1.0, 1), "grid of 1 points from 0 to 1 is not an increasing range of two or more points");
    let kde = Kde::new(&SOME).expect("spread");
    refused(kl_divergence(&kde, &kde, &[], None), "no values");
    refused(
        kl_divergence(&kde, &kde, &[1e6, 2e6], None),
        "the density is zero on the whole grid from 1000000 to 2000000",
    );
    refused(kl_divergence(&kde, &kde, &[1.0, 2.0], Some(-1.0)), "epsilon -1 must be finite and not negative");
}

#[test]
fn names_that_are_none() {
    let error = "median".parse::<TprRule>().expect_err("no such rule");
    assert_eq!(
        error.to_string(),
        "unknown TPR rule \"median\"; expected nearest_fpr, max_tpr_fpr_le, wen_strict or interp"
    );
    for rule in TprRule::ALL {
        assert_eq!(rule.to_string().parse(), Ok(rule));
        let json = serde_json::to_string(&rule).expect("a name");
        assert_eq!(json, format!("\"{rule}\""));
    }
}

#[test]
fn hard_regressions_converge() {
    // Separable, of very different scales, and constant features.
    let fit = Logistic { c: 1e6 }.fit(&[[1e4, 1.0], [2e4, 1.0]], &[[-1e4, 1.0], [-3e4, 1.0]]).expect("converges");
    assert!(fit.coefficients[0] > 0.0 && fit.decision(&[1e4, 1.0]) > 0.0);
    let fit = Logistic { c: 1e8 }.fit(&[[1e-3, 5.0]; 10], &[[-1e-3, 5.0]; 3]).expect("converges");
    assert!(fit.decision(&[1e-3, 5.0]) > 0.0 && fit.decision(&[-1e-3, 5.0]) < 0.0);
    let same = Logistic::default().fit(&[[0.0]; 3], &[[0.0]; 1]).expect("converges");
    assert!((same.intercept - 3.0_f64.ln()).abs() < 1e-9, "log odds of the classes");
}
