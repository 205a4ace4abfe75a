//! Worked examples of docs/spec/evaluation.md.

use approx::assert_abs_diff_eq;
use memscope_results::stats::{
    CollinearPoints, Ddof, DeLong, Kde, Roc, ScoreSet, Summary, Tail, TprRule, auc, grid, kl_divergence, kl_on_grid,
    tpr_at_fpr,
};

// Rule 3.1, first example: labels 1,1,1,0,1,0,1,0,1,0,0,0 with scores 9,8,7,7,6,6,5,5,4,3,2,1.
const POSITIVES: [f64; 6] = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0];
const NEGATIVES: [f64; 6] = [7.0, 6.0, 5.0, 3.0, 2.0, 1.0];

fn example() -> ScoreSet<'static> {
    ScoreSet::new(&POSITIVES, &NEGATIVES).expect("valid")
}

#[test]
fn collinear_points_are_dropped_before_the_origin_is_added() {
    let roc = Roc::new(example(), CollinearPoints::Drop);
    assert_eq!(roc.false_positives, [0, 0, 0, 3, 3, 6]);
    assert_eq!(roc.true_positives, [0, 1, 2, 5, 6, 6]);
    assert_eq!(roc.thresholds, [f64::INFINITY, 9.0, 8.0, 5.0, 4.0, 1.0]);
}

#[test]
fn every_distinct_score_is_a_point_without_dropping() {
    let roc = Roc::new(example(), CollinearPoints::Keep);
    assert_eq!(roc.false_positives, [0, 0, 0, 1, 2, 3, 3, 4, 5, 6]);
    assert_eq!(roc.true_positives, [0, 1, 2, 3, 4, 5, 6, 6, 6, 6]);
    assert_abs_diff_eq!(auc(example()), 0.7916667, epsilon = 5e-8);
}

#[test]
fn the_nearest_rule_depends_on_dropping() {
    let dropped = tpr_at_fpr(example(), 0.2, TprRule::NearestFpr).expect("valid rate");
    assert_abs_diff_eq!(dropped, 0.0);
    // Without dropping the nearest point to 0.2 is 1/6, whose TPR is 3/6.
    let roc = Roc::new(example(), CollinearPoints::Keep);
    let distances = roc.fpr().into_iter().map(|rate| (rate - 0.2).abs());
    let (nearest, _) = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).expect("points");
    assert_abs_diff_eq!(roc.tpr()[nearest], 0.5);
}

#[test]
fn second_example_with_ties_across_classes() {
    let (positives, negatives) = ([0.9, 0.8, 0.7, 0.5], [0.8, 0.6, 0.5, 0.1]);
    let scores = ScoreSet::new(&positives, &negatives).expect("valid");
    let roc = Roc::new(scores, CollinearPoints::Drop);
    assert_eq!(roc.fpr(), [0.0, 0.0, 0.25, 0.25, 0.5, 0.75, 1.0]);
    assert_eq!(roc.tpr(), [0.0, 0.25, 0.5, 0.75, 0.75, 1.0, 1.0]);
    assert_abs_diff_eq!(auc(scores), 0.75);
}

#[test]
fn of_several_points_at_one_percent_the_first_counts() {
    // 100 negatives: 1 % is one false positive, reached at TPR 1/4 and kept until TPR 3/4.
    let positives = [9.0, 7.0, 6.0, 0.5];
    let negatives: Vec<f64> = std::iter::once(8.0).chain((0..99).map(|i| f64::from(i) / -100.0)).collect();
    let scores = ScoreSet::new(&positives, &negatives).expect("valid");
    let at = |rule| tpr_at_fpr(scores, 0.01, rule).expect("valid rate");
    assert_abs_diff_eq!(at(TprRule::NearestFpr), 0.25);
    assert_abs_diff_eq!(at(TprRule::MaxTprFprLe), 1.0);
}

#[test]
fn a_perfect_detector_gets_zero_by_the_released_rule() {
    let positives: Vec<f64> = (0..50).map(|i| 10.0 + f64::from(i)).collect();
    let negatives: Vec<f64> = (0..500).map(|i| -f64::from(i)).collect();
    let scores = ScoreSet::new(&positives, &negatives).expect("valid");
    assert_abs_diff_eq!(tpr_at_fpr(scores, 0.01, TprRule::NearestFpr).expect("valid rate"), 0.0);
    for rule in [TprRule::MaxTprFprLe, TprRule::WenStrict, TprRule::Interpolated] {
        assert_abs_diff_eq!(tpr_at_fpr(scores, 0.01, rule).expect("valid rate"), 1.0);
    }
}

/// Whether `mean` and `std` as printed (three decimals) follow from three counts out of `total`.
fn reachable(mean: f64, std: f64, total: i32, ddof: Ddof) -> Vec<[i32; 3]> {
    let centre = (mean * f64::from(total)).round() as i32;
    let reach = (8.0 * std * f64::from(total)).ceil() as i32 + 2;
    let range = (centre - reach).max(0)..=(centre + reach).min(total);
    let printed = |value: f64| (value * 1000.0).round() as i32;
    let mut found = Vec::new();
    for a in range.clone() {
        for b in a..=*range.end() {
            for c in b..=*range.end() {
                let rates = [a, b, c].map(|count| f64::from(count) / f64::from(total));
                let summary = Summary::of(&rates, ddof).expect("finite");
                if printed(summary.mean) == printed(mean)
                    && summary.std.is_some_and(|value| printed(value) == printed(std))
                {
                    found.push([a, b, c]);
                }
            }
        }
    }
    found
}

#[test]
fn only_the_sample_deviation_explains_every_spread_of_table_1() {
    // Rule 4.
    let sample = |mean, std, total| reachable(mean, std, total, Ddof::Sample);
    let population = |mean, std, total| reachable(mean, std, total, Ddof::Population);
    assert_eq!(sample(0.935, 0.002, 500), [[466, 468, 468], [467, 467, 469]]);
    assert_eq!(sample(0.791, 0.015, 219), [[171, 172, 177]]);
    assert_eq!(sample(0.984, 0.002, 500), [[491, 492, 493]]);
    assert_eq!(sample(0.890, 0.009, 219), [[193, 195, 197]]);
    let four = [[466, 467, 469], [466, 468, 468], [466, 468, 469], [467, 467, 469]];
    assert_eq!(population(0.935, 0.002, 500), four);
    assert_eq!(population(0.791, 0.015, 219), [[169, 174, 177], [171, 171, 178]]);
    assert_eq!(population(0.984, 0.002, 500), [[491, 492, 493]]);
    assert!(population(0.890, 0.009, 219).is_empty());
}

#[test]
fn the_spreads_of_table_8_need_more_than_90_prompts() {
    for (mean, std) in [(0.778, 0.002), (0.756, 0.004)] {
        for ddof in [Ddof::Sample, Ddof::Population] {
            assert!(reachable(mean, std, 90, ddof).is_empty());
            assert!(!reachable(mean, std, 500, ddof).is_empty());
        }
    }
}

#[test]
fn without_variance_there_is_no_test() {
    let delong = DeLong::new(example()).expect("enough scores");
    let test = delong.compare(&delong).expect("paired");
    assert_eq!((test.difference, test.variance, test.z, test.p), (0.0, 0.0, None, None));
}

#[test]
fn one_value_has_no_deviation() {
    for ddof in [Ddof::Sample, Ddof::Population] {
        assert_eq!(Summary::of(&[0.5], ddof).expect("finite").std, None);
    }
    let summary = Summary::of(&[1.0, 2.0, 3.0, 4.0], Ddof::Sample).expect("finite");
    assert_eq!((summary.count, summary.mean), (4, 2.5));
    assert_abs_diff_eq!(summary.std.expect("four values"), (5.0_f64 / 3.0).sqrt(), epsilon = 1e-15);
}

#[test]
fn density_and_divergence_of_rule_7() {
    let a = Kde::new(&[1.0, 2.0, 3.0, 4.5, 5.0, 7.0]).expect("spread");
    let b = Kde::new(&[0.5, 0.7, 1.1, 1.3, 2.0, 2.4]).expect("spread");
    assert_abs_diff_eq!(a.factor(), 0.69882712, epsilon = 5e-9);
    assert_abs_diff_eq!(a.kernel_variance(), 2.33191586, epsilon = 5e-9);
    assert_abs_diff_eq!(a.pdf(3.0), 0.14390257, epsilon = 5e-9);
    assert_abs_diff_eq!(b.pdf(3.0), 0.08607796, epsilon = 5e-9);
    let wide = grid(0.0, 8.0, 1000).expect("grid");
    let kl = |p, q, epsilon| kl_divergence(p, q, &wide, epsilon).expect("on the sample");
    assert_abs_diff_eq!(kl(&a, &b, None), 10.114482, epsilon = 5e-7);
    assert_abs_diff_eq!(kl(&b, &a, None), 0.97943791, epsilon = 5e-9);
    assert_abs_diff_eq!(kl(&a, &b, Some(1e-10)), 7.179984, epsilon = 5e-7);
    assert_abs_diff_eq!(kl_on_grid(&a, &b, 1000).expect("grid"), 7.785022, epsilon = 5e-7);
}

#[test]
fn the_divergence_is_infinite_where_the_second_density_ends() {
    let a = Kde::new(&[0.0, 1.0, 2.0]).expect("spread");
    let b = Kde::new(&[1000.0, 1001.0, 1002.0]).expect("spread");
    let points = grid(0.0, 1002.0, 1000).expect("grid");
    let kl = |epsilon| kl_divergence(&a, &b, &points, epsilon).expect("on both samples");
    assert!(kl(None).is_infinite());
    assert!(kl(Some(1e-10)).is_finite());
}

#[test]
fn a_tail_is_clipped_or_dropped() {
    let values = [0.5, 2.0, 2.5, 9.0];
    assert_eq!(Tail::Keep.apply(&values), values);
    assert_eq!(Tail::Clip { bound: 2.0 }.apply(&values), [0.5, 2.0, 2.0, 2.0]);
    assert_eq!(Tail::Drop { bound: 2.0 }.apply(&values), [0.5, 2.0]);
    for tail in [Tail::Clip { bound: 2.0 }, Tail::Drop { bound: 2.0 }] {
        assert!(tail.apply(&[f64::NAN])[0].is_nan(), "a NaN must reach the checks");
    }
}
