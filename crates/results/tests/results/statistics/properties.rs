//! What holds for all scores.

use memscope_results::stats::{
    Class, CollinearPoints, DeLong, Logistic, Roc, ScoreSet, Split, TprRule, auc, best_accuracy, tpr_at_fpr,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Scores on a coarse grid, so that ties are frequent.
fn tied(sizes: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
    vec((-20_i32..20).prop_map(|value| f64::from(value) / 8.0), sizes)
}

fn naive_auc(positives: &[f64], negatives: &[f64]) -> f64 {
    let mut won = 0.0;
    for p in positives {
        for n in negatives {
            won += if p > n { 1.0 } else { 0.0 } + if (p - n).abs() < f64::EPSILON { 0.5 } else { 0.0 };
        }
    }
    won / (positives.len() * negatives.len()) as f64
}

fn trapezoid(roc: &Roc) -> f64 {
    let (xs, ys) = (roc.fpr(), roc.tpr());
    let pieces = xs.windows(2).zip(ys.windows(2)).map(|(x, y)| (x[1] - x[0]) * (y[0] + y[1]) / 2.0);
    pieces.sum()
}

fn mapped(scores: &[f64], map: impl Fn(f64) -> f64) -> Vec<f64> {
    scores.iter().map(|&score| map(score)).collect()
}

proptest! {
    #[test]
    fn auc_counts_pairs(p in tied(1..40), n in tied(1..40)) {
        let scores = ScoreSet::new(&p, &n).expect("valid");
        prop_assert!((auc(scores) - naive_auc(&p, &n)).abs() < 1e-12);
        for collinear in [CollinearPoints::Keep, CollinearPoints::Drop] {
            prop_assert!((auc(scores) - trapezoid(&Roc::new(scores, collinear))).abs() < 1e-12);
        }
    }

    #[test]
    fn swapping_or_negating_mirrors_the_auc(p in tied(1..40), n in tied(1..40)) {
        let value = auc(ScoreSet::new(&p, &n).expect("valid"));
        let swapped = auc(ScoreSet::new(&n, &p).expect("valid"));
        let (down_p, down_n) = (mapped(&p, |s| -s), mapped(&n, |s| -s));
        let negated = auc(ScoreSet::new(&down_p, &down_n).expect("valid"));
        prop_assert!((value + swapped - 1.0).abs() < 1e-12);
        prop_assert!((value + negated - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_rising_map_changes_nothing(p in tied(2..40), n in tied(2..40), fpr in 0.0..1.0_f64) {
        let map = |s: f64| (s / 2.0).exp() * 3.0 - 7.0;
        let (up_p, up_n) = (mapped(&p, map), mapped(&n, map));
        let (before, after) = (ScoreSet::new(&p, &n).expect("valid"), ScoreSet::new(&up_p, &up_n).expect("valid"));
        prop_assert_eq!(auc(before).to_bits(), auc(after).to_bits());
        prop_assert_eq!(best_accuracy(before).to_bits(), best_accuracy(after).to_bits());
        for rule in TprRule::ALL {
            prop_assert_eq!(tpr_at_fpr(before, fpr, rule), tpr_at_fpr(after, fpr, rule));
        }
        let (a, b) = (DeLong::new(before).expect("valid"), DeLong::new(after).expect("valid"));
        prop_assert_eq!(a, b);
    }

    #[test]
    fn the_curve_rises_from_the_origin_to_all(p in tied(1..40), n in tied(1..40)) {
        let scores = ScoreSet::new(&p, &n).expect("valid");
        for collinear in [CollinearPoints::Keep, CollinearPoints::Drop] {
            let roc = Roc::new(scores, collinear);
            prop_assert_eq!((roc.false_positives[0], roc.true_positives[0]), (0, 0));
            prop_assert_eq!(roc.false_positives.last(), Some(&n.len()));
            prop_assert_eq!(roc.true_positives.last(), Some(&p.len()));
            prop_assert!(roc.thresholds.windows(2).all(|pair| pair[0] > pair[1]));
            prop_assert!(roc.false_positives.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert!(roc.true_positives.windows(2).all(|pair| pair[0] <= pair[1]));
        }
    }

    #[test]
    fn rules_are_ordered(p in tied(1..40), n in tied(1..40), fpr in 0.0..1.0_f64) {
        let scores = ScoreSet::new(&p, &n).expect("valid");
        let at = |rule| tpr_at_fpr(scores, fpr, rule).expect("valid rate");
        prop_assert!(at(TprRule::WenStrict) <= at(TprRule::MaxTprFprLe) + 1e-12);
        prop_assert!(at(TprRule::MaxTprFprLe) <= at(TprRule::Interpolated) + 1e-12);
    }

    #[test]
    fn rules_agree_without_ties(
        order in Just((0..24).map(f64::from).collect::<Vec<f64>>()).prop_shuffle(),
        reachable in 0..12_usize,
    ) {
        let (p, n) = order.split_at(12);
        let scores = ScoreSet::new(p, n).expect("valid");
        // Between two reachable rates, nearer the lower one: all steps are horizontal or vertical, so interpolation
        // gains nothing, and "below" and "at or below" are the same.
        let fpr = (reachable as f64 + 0.25) / 12.0;
        let at = |rule| tpr_at_fpr(scores, fpr, rule).expect("valid rate");
        let roc = Roc::new(scores, CollinearPoints::Keep);
        let last = roc.fpr().iter().rposition(|&rate| rate < fpr).expect("the origin");
        prop_assert!((at(TprRule::MaxTprFprLe) - roc.tpr()[last]).abs() < 1e-12);
        prop_assert!((at(TprRule::MaxTprFprLe) - at(TprRule::Interpolated)).abs() < 1e-12);
        // Dropping may take a rate's only point away; of several it keeps the first and the last.
        let dropped = Roc::new(scores, CollinearPoints::Drop);
        if dropped.fpr().iter().any(|&rate| (rate - reachable as f64 / 12.0).abs() < 1e-12) {
            prop_assert!((at(TprRule::WenStrict) - at(TprRule::MaxTprFprLe)).abs() < 1e-12);
            prop_assert!(at(TprRule::NearestFpr) <= at(TprRule::MaxTprFprLe) + 1e-12);
        }
    }

    /// The objective is strictly convex, so a vanishing gradient is the optimum.
    #[test]
    fn logistic_regression_ends_where_the_gradient_vanishes(
        p in vec((-5.0..5.0_f64, -5e3..5e3_f64).prop_map(|(a, b)| [a, b]), 1..15),
        n in vec((-5.0..5.0_f64, -5e3..5e3_f64).prop_map(|(a, b)| [a, b]), 1..15),
        power in -3_i32..4,
    ) {
        let c = 10.0_f64.powi(power);
        let fit = Logistic { c }.fit(&p, &n).expect("converges");
        let mut gradient = [fit.coefficients[0], fit.coefficients[1], 0.0];
        let mut scale = [1.0, 1.0, 1.0];
        let labelled = p.iter().map(|row| (row, 1.0)).chain(n.iter().map(|row| (row, 0.0)));
        for (row, label) in labelled {
            let residual = c * (1.0 / (1.0 + (-fit.decision(row)).exp()) - label);
            for (index, x) in [row[0], row[1], 1.0].into_iter().enumerate() {
                gradient[index] += residual * x;
                scale[index] += (c * x).abs();
            }
        }
        for (entry, scale) in gradient.into_iter().zip(scale) {
            prop_assert!(entry.abs() < 1e-8 * scale, "{gradient:?}");
        }
    }

    #[test]
    fn a_split_is_a_partition(total in 1..60_usize, share in 0.0..=1.0_f64, seed in any::<u64>()) {
        let fitted = (share * total as f64) as usize;
        let split = Split::seeded(total, fitted, Class::Positive, seed).expect("fits");
        prop_assert_eq!(split.fitted.len(), fitted);
        let mut all = [split.fitted.clone(), split.held_out.clone()].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..total).collect::<Vec<_>>());
        prop_assert_eq!(Split::seeded(total, fitted, Class::Positive, seed).expect("fits"), split);
    }
}

#[test]
fn the_classes_are_split_differently() {
    let split = |class| Split::seeded(500, 20, class, 3).expect("fits").fitted;
    assert_ne!(split(Class::Positive), split(Class::Negative));
}
