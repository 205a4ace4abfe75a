//! Parity with scikit-learn, `SciPy` and a numpy `DeLong` written from the definition.

use approx::assert_relative_eq;
use memscope_results::stats::{
    CollinearPoints, DeLong, Kde, Logistic, Roc, ScoreSet, TprRule, auc, best_accuracy, grid, kl_divergence,
    kl_on_grid, tpr_at_fpr,
};

use super::golden::{Curve, GOLDEN, Scores};

pub(crate) fn set(scores: &Scores) -> ScoreSet<'_> {
    ScoreSet::new(&scores.positives, &scores.negatives).expect("fixture scores are valid")
}

fn close(found: f64, expected: f64) {
    assert_relative_eq!(found, expected, max_relative = 1e-12, epsilon = 1e-13);
}

#[test]
fn roc_points_are_those_of_scikit_learn() {
    for case in &GOLDEN.detection {
        let scores = ScoreSet::new(&case.positives, &case.negatives).expect("valid");
        let check = |collinear, expected: &Curve| {
            let roc = Roc::new(scores, collinear);
            assert_eq!(roc.false_positives, expected.false_positives, "{}", case.name);
            assert_eq!(roc.true_positives, expected.true_positives, "{}", case.name);
            assert!(roc.thresholds[0].is_infinite());
            assert_eq!(roc.thresholds[1..], expected.thresholds, "{}", case.name);
        };
        check(CollinearPoints::Keep, &case.keep);
        check(CollinearPoints::Drop, &case.drop);
    }
}

#[test]
fn dropping_makes_a_difference_in_the_fixture() {
    let shortened = |case: &&super::golden::Detection| case.keep.thresholds.len() > case.drop.thresholds.len();
    assert!(GOLDEN.detection.iter().filter(shortened).count() >= 8);
}

#[test]
fn auc_is_that_of_scikit_learn() {
    for case in &GOLDEN.detection {
        close(auc(ScoreSet::new(&case.positives, &case.negatives).expect("valid")), case.auc);
    }
}

#[test]
fn tpr_by_every_rule() {
    for case in &GOLDEN.detection {
        let scores = ScoreSet::new(&case.positives, &case.negatives).expect("valid");
        for rates in &case.tpr {
            for (rule, expected) in [
                (TprRule::NearestFpr, rates.nearest_fpr),
                (TprRule::MaxTprFprLe, rates.max_tpr_fpr_le),
                (TprRule::WenStrict, rates.wen_strict),
                (TprRule::Interpolated, rates.interp),
            ] {
                let found = tpr_at_fpr(scores, rates.fpr, rule).expect("valid rate");
                assert!((found - expected).abs() < 1e-12, "{} {rule} at {}: {found}", case.name, rates.fpr);
            }
        }
        close(best_accuracy(scores), case.best_accuracy);
    }
}

#[test]
fn delong_is_that_of_the_definition() {
    for case in &GOLDEN.delong {
        let first = DeLong::new(set(&case.first)).expect("enough scores");
        let second = DeLong::new(set(&case.second)).expect("enough scores");
        close(first.auc(), case.aucs[0]);
        close(second.auc(), case.aucs[1]);
        close(first.variance(), case.variances[0]);
        close(second.variance(), case.variances[1]);
        close(first.covariance(&second).expect("paired"), case.covariance);
        let test = first.compare(&second).expect("paired");
        assert_relative_eq!(test.variance, case.difference_variance, max_relative = 1e-9);
        assert_relative_eq!(test.z.expect("a variance"), case.z, max_relative = 1e-9);
        assert_relative_eq!(test.p.expect("a variance"), case.p, max_relative = 1e-8);
        let interval = first.interval(0.95).expect("valid level");
        assert_relative_eq!(interval.low, case.interval_of_first[0], max_relative = 1e-9);
        assert_relative_eq!(interval.high, case.interval_of_first[1], max_relative = 1e-9);
    }
}

#[test]
fn logistic_regression_reaches_the_optimum_of_scikit_learn() {
    for case in &GOLDEN.logistic {
        let fit = Logistic { c: case.c }.fit(&case.positives, &case.negatives).expect("converges");
        let pairs = [
            (fit.coefficients[0], case.coefficients[0], case.default_coefficients[0]),
            (fit.coefficients[1], case.coefficients[1], case.default_coefficients[1]),
            (fit.intercept, case.intercept, case.default_intercept),
        ];
        for (found, exact, default) in pairs {
            assert_relative_eq!(found, exact, max_relative = 1e-8);
            // Its default solver stops early.
            assert_relative_eq!(found, default, max_relative = 2e-3);
        }
    }
}

#[test]
fn density_and_divergence_are_those_of_scipy() {
    for case in &GOLDEN.density {
        let (a, b) = (Kde::new(&case.a).expect("spread"), Kde::new(&case.b).expect("spread"));
        close(a.factor(), case.factor);
        close(a.kernel_variance(), case.kernel_variance);
        for (x, (pdf_a, pdf_b)) in case.at.iter().zip(case.pdf_a.iter().zip(&case.pdf_b)) {
            assert_relative_eq!(a.pdf(*x), *pdf_a, max_relative = 1e-11);
            assert_relative_eq!(b.pdf(*x), *pdf_b, max_relative = 1e-11);
        }
        assert_relative_eq!(kl_on_grid(&a, &b, 1000).expect("grid"), case.kl_ab, max_relative = 1e-10);
        assert_relative_eq!(kl_on_grid(&b, &a, 1000).expect("grid"), case.kl_ba, max_relative = 1e-10);
        let (low, high) = (a.range().0.min(b.range().0), a.range().1.max(b.range().1));
        let points = grid(low, high, 1000).expect("grid");
        let softened = kl_divergence(&a, &b, &points, Some(1e-10)).expect("grid");
        assert_relative_eq!(softened, case.kl_ab_epsilon, max_relative = 1e-10);
    }
}
