//! `x_T` against torch: published CUDA numbers and a fixture of the CPU generator.

use memscope_model::noise::{A6000_BLOCK_CAP, NoiseGenerator, NoisePrecision, ParseNoiseError, initial_latents};
use proptest::prelude::*;
use serde::Deserialize;

const SD1: (usize, usize, usize) = (4, 64, 64);
const SD2: (usize, usize, usize) = (4, 96, 96);
/// A cap that no call of these tests reaches.
const UNCAPPED: NoiseGenerator = NoiseGenerator::TorchCuda { block_cap: 1056 };

fn cuda(seed: u64, generations: usize, shape: (usize, usize, usize)) -> Vec<f32> {
    initial_latents(NoiseGenerator::A6000, NoisePrecision::F32, seed, generations, shape)
}

fn sum_of_squares(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(2)).sum()
}

/// `value` must round to `printed`, give or take two units in the last place.
///
/// Where the printed digits resolve single units, they also resolve the logarithm, sine and cosine of the
/// implementation that printed them, which are not those of a GPU either.
fn assert_digits(value: f32, printed: &str) {
    let decimals = printed.split_once('.').map_or(0, |(_, d)| d.len());
    let (up, down) = (value.next_up(), value.next_down());
    let near = [value, up, down, up.next_up(), down.next_down()];
    assert!(near.iter().any(|v| format!("{v:.decimals$}") == printed), "{value:?} is not {printed}");
}

/// `sum` must round to `printed` exactly.
fn assert_sum(sum: f64, printed: &str) {
    let decimals = printed.split_once('.').map_or(0, |(_, d)| d.len());
    assert_eq!(format!("{sum:.decimals$}"), printed);
}

fn assert_all_digits(values: &[f32], printed: &[&str]) {
    assert!(values.len() >= printed.len());
    for (&value, printed) in values.iter().zip(printed) {
        assert_digits(value, printed);
    }
}

/// Golden values of docs/spec/protocol.md §2.1, seed 42.
#[test]
fn torch_cuda_seed_42() {
    let x = cuda(42, 1, SD1);
    assert_all_digits(
        &x,
        &["0.1940189", "2.161374", "-0.1720506", "0.8490601", "-1.924399", "0.6529855", "-0.6494411", "-0.8175247"],
    );
    assert_digits(x[16383], "0.08298859");
    assert_sum(sum_of_squares(&x), "16282.63");
}

/// Golden values of docs/spec/protocol.md §2.1, seed 42 rounded to bfloat16: exact.
#[test]
fn torch_cuda_bf16() {
    let x = initial_latents(NoiseGenerator::A6000, NoisePrecision::Bf16, 42, 1, SD1);
    let first: Vec<f64> = x[..8].iter().copied().map(f64::from).collect();
    assert_eq!(first, [0.1943359375, 2.15625, -0.171875, 0.84765625, -1.921875, 0.65234375, -0.6484375, -0.81640625]);
    assert_sum(sum_of_squares(&x).sqrt(), "127.5972");
}

/// Golden values of docs/spec/protocol.md §2.1, seeds 51 and 53.
#[test]
fn torch_cuda_other_seeds() {
    let x = cuda(51, 1, SD1);
    assert_all_digits(
        &x,
        &["-0.2841306", "1.017861", "-0.620232", "-0.7325477", "-0.5495948", "0.5389627", "1.554353", "0.07151938"],
    );
    assert_sum(sum_of_squares(&x), "16463.34");
    let x = cuda(53, 1, SD1);
    assert_all_digits(
        &x,
        &["-0.7512455", "0.4740724", "0.4991866", "1.643486", "1.004832", "0.2182828", "0.5452521", "0.7537542"],
    );
    assert_sum(sum_of_squares(&x), "16306.11");
}

/// Golden values of docs/spec/protocol.md §2.1, Stable Diffusion 2: one latent, and the wrapped end of four.
#[test]
fn torch_cuda_sd2_and_block_cap() {
    let one = cuda(42, 1, SD2);
    assert_digits(one[16384], "-0.3866982");
    assert_digits(one[36863], "-1.446909");
    assert_sum(sum_of_squares(&one), "36514.53");

    let capped = cuda(42, 4, SD2);
    assert_all_digits(&capped[129_024..], &["-0.9701898", "2.1276908", "-1.345707", "-2.3877788"]);
    let free = initial_latents(UNCAPPED, NoisePrecision::F32, 42, 4, SD2);
    assert_all_digits(&free[129_024..], &["-1.0003303", "1.1507584", "-0.635061", "-0.5469322"]);
    assert_eq!(capped[..129_024], free[..129_024]);
    assert_eq!(capped[..one.len()], one);
}

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    seed: u64,
    shape: (usize, usize, usize, usize),
    first: Vec<f32>,
    last: Vec<f32>,
    sum: f64,
    sum_of_squares: f64,
    all: Option<Vec<f32>>,
}

/// Made by `scripts/fixtures/make_noise.py`; versions in the file.
#[test]
fn torch_cpu_matches_torch() {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/noise_torch_cpu.json")).unwrap();
    assert_eq!(fixture.cases.len(), 20);
    let mut worst: f32 = 0.0;
    for case in fixture.cases {
        let (n, c, h, w) = case.shape;
        let x = initial_latents(NoiseGenerator::TorchCpu, NoisePrecision::F32, case.seed, n, (c, h, w));
        assert_eq!(x.len(), n * c * h * w);
        let mut compare = |ours: &[f32], theirs: &[f32]| {
            assert_eq!(ours.len(), theirs.len());
            for (a, b) in ours.iter().zip(theirs) {
                worst = worst.max((a - b).abs());
            }
        };
        compare(&x[..case.first.len()], &case.first);
        compare(&x[x.len() - case.last.len()..], &case.last);
        if let Some(all) = &case.all {
            compare(&x, all);
        }
        let sum: f64 = x.iter().copied().map(f64::from).sum();
        approx::assert_abs_diff_eq!(sum, case.sum, epsilon = 1e-6 * x.len() as f64);
        approx::assert_relative_eq!(sum_of_squares(&x), case.sum_of_squares, max_relative = 1e-6);
    }
    println!("largest difference from torch: {worst:e}");
    assert!(worst <= 1e-6, "largest difference {worst:e}");
}

/// The stream is part of what results are stored under: a new version of a dependency must not move it.
#[test]
fn native_stream_is_pinned() {
    let x = initial_latents(NoiseGenerator::Native, NoisePrecision::F32, 42, 2, SD1);
    assert_eq!(x[..4], [0.069427915, 0.13293812, 0.26257637, -0.22530088]);
    assert_eq!(x[16384..16388], [-0.75470597, -0.10641773, -1.7897254, 0.78732556]);
    let mean = x.iter().copied().map(f64::from).sum::<f64>() / x.len() as f64;
    let square = sum_of_squares(&x) / x.len() as f64;
    assert!(mean.abs() < 0.02 && (square - 1.0).abs() < 0.03);
}

#[test]
fn empty_calls() {
    for generator in [NoiseGenerator::A6000, NoiseGenerator::TorchCpu, NoiseGenerator::Native] {
        assert!(initial_latents(generator, NoisePrecision::Bf16, 1, 0, SD1).is_empty());
        assert!(initial_latents(generator, NoisePrecision::F32, 1, 3, (4, 0, 8)).is_empty());
    }
}

#[test]
fn names() {
    for (name, generator) in [
        ("torch-cuda", NoiseGenerator::A6000),
        ("torch-cuda/864", NoiseGenerator::TorchCuda { block_cap: 864 }),
        ("torch-cpu", NoiseGenerator::TorchCpu),
        ("native", NoiseGenerator::Native),
    ] {
        assert_eq!(generator.to_string(), name);
        assert_eq!(name.parse(), Ok(generator));
        let json = serde_json::to_string(&generator).unwrap();
        assert_eq!(json, format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<NoiseGenerator>(&json).unwrap(), generator);
    }
    assert_eq!("torch-cuda/504".parse(), Ok(NoiseGenerator::A6000));
    assert_eq!(A6000_BLOCK_CAP, 504);
    for cap in ["", "0", "-1", "many", "4294967296"] {
        assert_eq!(
            format!("torch-cuda/{cap}").parse::<NoiseGenerator>(),
            Err(ParseNoiseError::BlockCap(cap.to_owned()))
        );
    }
    for name in ["", "cuda", "torch-cuda864", "Native"] {
        assert_eq!(name.parse::<NoiseGenerator>(), Err(ParseNoiseError::Generator(name.to_owned())));
    }
    for precision in [NoisePrecision::F32, NoisePrecision::Bf16] {
        assert_eq!(precision.to_string().parse(), Ok(precision));
        assert_eq!(serde_json::to_string(&precision).unwrap(), format!("\"{precision}\""));
    }
    assert!("fp16".parse::<NoisePrecision>().is_err());
}

fn generators() -> impl Strategy<Value = NoiseGenerator> {
    prop_oneof![
        (1_u32..6).prop_map(|block_cap| NoiseGenerator::TorchCuda { block_cap }),
        Just(NoiseGenerator::TorchCpu),
        Just(NoiseGenerator::Native),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What a store key may leave out: the first generations do not change when more are drawn, unless the generator
    /// says so. Small block caps make the CUDA grid wrap several times.
    #[test]
    fn independent_of_the_number_of_generations(
        generator in generators(),
        seed: u64,
        few in 1_usize..4,
        more in 1_usize..20,
        shape in (1_usize..5, 1_usize..12, 1_usize..12),
    ) {
        prop_assume!(!generator.depends_on_generations(shape));
        let short = initial_latents(generator, NoisePrecision::F32, seed, few, shape);
        let long = initial_latents(generator, NoisePrecision::F32, seed, few + more, shape);
        prop_assert_eq!(&long[..short.len()], &short[..]);
    }
}

/// The one case that `depends_on_generations` reports is real.
#[test]
fn torch_cpu_depends_on_generations() {
    for shape in [(4, 1, 2), (3, 5, 3)] {
        let draw = |n| initial_latents(NoiseGenerator::TorchCpu, NoisePrecision::F32, 42, n, shape);
        let (one, two) = (draw(1), draw(2));
        assert!(NoiseGenerator::TorchCpu.depends_on_generations(shape));
        assert_ne!(two[..one.len()], one);
    }
    assert!(!NoiseGenerator::TorchCpu.depends_on_generations(SD1));
}
