//! Colour maps and the Pareto front.

use memscope_plots::figures::pareto_front;
use memscope_plots::{diverging, luminance, sequential};

#[test]
fn sequential_map_grows_lighter() {
    let levels: Vec<f64> = (0..=100).map(|step| luminance(sequential(f64::from(step) / 100.0))).collect();
    assert!(levels.windows(2).all(|pair| pair[1] > pair[0]), "{levels:?}");
    assert_eq!((sequential(-5.0), sequential(7.0)), (sequential(0.0), sequential(1.0)));
}

#[test]
fn diverging_map_is_lightest_in_the_middle() {
    let level = |step: i32| luminance(diverging(f64::from(step) / 50.0));
    for step in 0..50 {
        assert!(level(step + 1) < level(step), "right side at {step}");
        assert!(level(-step - 1) < level(-step), "left side at {step}");
    }
    let (red, _, blue) = diverging(1.0);
    assert!(red > blue, "positive must be red");
    let (red, _, blue) = diverging(-1.0);
    assert!(blue > red, "negative must be blue");
}

#[test]
fn luminance_agrees_with_wcag() {
    assert!((luminance((255, 255, 255)) - 1.0).abs() < 1e-12);
    assert_eq!(luminance((0, 0, 0)), 0.0);
    // WCAG's own example of a grey that just passes 4.5:1 on white is #767676.
    let contrast = 1.05 / (luminance((0x76, 0x76, 0x76)) + 0.05);
    assert!((contrast - 4.54).abs() < 0.005, "{contrast}");
}

#[test]
fn pareto_front_keeps_what_nothing_beats() {
    // Dear and good, cheap and bad, beaten by the first, between, as good as the first but dearer, a duplicate.
    let points = [(10.0, 0.9), (1.0, 0.5), (12.0, 0.8), (3.0, 0.7), (20.0, 0.9), (3.0, 0.7)];
    assert_eq!(pareto_front(&points), [1, 3, 0]);
    assert_eq!(pareto_front(&[(1.0, 0.2), (1.0, 0.4)]), [1]);
    assert!(pareto_front(&[]).is_empty());
}

#[test]
fn pareto_front_agrees_with_the_definition() {
    let mut state = 1_u64;
    let mut random = || {
        state = state * 48271 % 2_147_483_647;
        (state % 12) as f64
    };
    for _ in 0..200 {
        let points: Vec<(f64, f64)> = (0..15).map(|_| (random(), random())).collect();
        let beaten = |a: (f64, f64)| points.iter().any(|b| b.0 <= a.0 && b.1 >= a.1 && *b != a);
        let mut expected: Vec<(f64, f64)> = points.iter().copied().filter(|point| !beaten(*point)).collect();
        expected.sort_by(|a, b| a.0.total_cmp(&b.0));
        expected.dedup();
        let front: Vec<(f64, f64)> = pareto_front(&points).into_iter().map(|index| points[index]).collect();
        assert_eq!(front, expected);
    }
}
