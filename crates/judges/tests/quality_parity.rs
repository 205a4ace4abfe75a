//! The quality head against torch, and the published one against golden values.

mod common;

use std::path::PathBuf;

use common::{expected, fixture, numbers};
use memscope_judges::{AestheticHead, Error, Files};

#[test]
fn a_chain_of_layers_is_multiplied_out() {
    let folder = fixture("aesthetic");
    let head = AestheticHead::open(&Files::from(folder.as_path())).unwrap().unwrap();
    assert_eq!(head.dims(), 20);
    let inputs = expected(&folder, "inputs").to_vec2::<f32>().unwrap();
    for (input, rating) in inputs.iter().zip(numbers(&folder, "ratings")) {
        let got = head.rate(input).unwrap();
        assert!((got - rating).abs() <= 1e-6 * rating.abs().max(1.0), "{got} instead of {rating}");
    }
    assert!(matches!(head.rate(&[0.0; 19]), Err(Error::Incomparable { first: 20, second: 19 })));
}

/// Golden values of the published head, computed with torch from
/// `sac+logos+ava1-l14-linearMSE.pth` (SHA-256 21dd590f…); docs/spec/mitigation.md §6.
#[test]
#[ignore = "needs the published file: MEMSCOPE_AESTHETIC_WEIGHTS names the folder it lies in"]
fn the_published_head_has_its_golden_values() {
    let folder = PathBuf::from(std::env::var_os("MEMSCOPE_AESTHETIC_WEIGHTS").expect("MEMSCOPE_AESTHETIC_WEIGHTS"));
    let head = AestheticHead::open(&Files::from(folder.as_path())).unwrap().unwrap();
    assert_eq!(head.dims(), 768);
    let norm = head.direction().iter().map(|x| x * x).sum::<f64>().sqrt();
    // torch 2.15 in float64.
    assert!((norm - 17.99562477643365).abs() < 1e-12, "{norm}");
    let normalised = |values: Vec<f64>| -> Vec<f32> {
        let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
        values.iter().map(|x| (x / norm) as f32).collect()
    };
    let unit = |i: usize| if i == 0 { 1.0 } else { 0.0 };
    let golden = [
        (vec![0.0; 768], 5.2366457),
        ((0..768).map(unit).collect(), 4.5450521),
        (normalised(vec![1.0; 768]), 4.8832846),
        (normalised((0..768).map(|i| f64::from(i + 1).sin()).collect()), 5.4838796),
    ];
    for (input, rating) in golden {
        let got = head.rate(&input).unwrap();
        assert!((got - rating).abs() < 2e-6, "{got} instead of {rating}");
    }
}
