//! The spectrum of a Jacobian, exactly and from probes.

use std::convert::Infallible;
use std::num::NonZeroUsize;

use memscope_metric::theory::spectrum::{Estimate, SpectrumError, Variances};
use memscope_metric::theory::{DMatrix, DVector, Jacobian, ProbeVectors, exact, stochastic};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::{assert_close, diagonal, fixture, matrix, number, numbers};

fn random_matrix(dim: usize, scale: f64, seed: u64) -> DMatrix<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    DMatrix::from_fn(dim, dim, |_, _| scale * rng.sample::<f64, _>(StandardNormal))
}

struct Dense {
    matrix: DMatrix<f64>,
    transposed: Option<DMatrix<f64>>,
}

impl Dense {
    fn forward(matrix: DMatrix<f64>) -> Self {
        Self { matrix, transposed: None }
    }

    fn both(matrix: DMatrix<f64>) -> Self {
        Self { transposed: Some(matrix.transpose()), matrix }
    }
}

impl Jacobian for Dense {
    type Error = Infallible;

    fn dim(&self) -> usize {
        self.matrix.nrows()
    }

    fn apply(&self, vectors: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Infallible> {
        Ok(vectors.iter().map(|v| (&self.matrix * DVector::from_row_slice(v)).data.into()).collect())
    }

    fn apply_transposed(&self, vectors: &[Vec<f64>]) -> Result<Option<Vec<Vec<f64>>>, Infallible> {
        Ok(self
            .transposed
            .as_ref()
            .map(|matrix| vectors.iter().map(|v| (matrix * DVector::from_row_slice(v)).data.into()).collect()))
    }
}

fn batch(size: usize) -> NonZeroUsize {
    NonZeroUsize::new(size).unwrap()
}

fn probes(count: usize, seed: u64) -> ProbeVectors {
    ProbeVectors { count, batch: batch(8), seed }
}

fn each<T: Copy>(variances: &Variances<T>) -> [T; 3] {
    [variances.symmetrized, variances.eigenvalues, variances.frobenius]
}

#[test]
fn numpy_agrees_on_spectra() {
    for case in fixture()["spectra"].as_array().unwrap() {
        let spectrum = exact(&Dense::forward(matrix(&case["matrix"])), batch(5)).unwrap();
        let theirs = numbers(&case["eigenvalues"]);
        let largest = theirs.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
        assert_eq!(spectrum.eigenvalues.len(), theirs.len());
        for (ours, theirs) in spectrum.eigenvalues.iter().zip(theirs) {
            assert!((ours - theirs).abs() <= 1e-12 * largest, "{ours} {theirs}");
        }
        assert_close(spectrum.mean, number(&case["mean"]), 1e-12);
        assert_close(spectrum.variances.symmetrized, number(&case["symmetrized"]), 1e-12);
        assert_close(spectrum.variances.eigenvalues, number(&case["of_eigenvalues"]), 1e-12);
        assert_close(spectrum.variances.frobenius, number(&case["frobenius"]), 1e-12);
        assert_close(spectrum.asymmetry, number(&case["asymmetry"]), 1e-12);
    }
}

/// QΛQᵀ, so that the spectrum is known but no axis is an eigenvector.
fn rotated(eigenvalues: &[f64], seed: u64) -> DMatrix<f64> {
    let q = random_matrix(eigenvalues.len(), 1.0, seed).qr().q();
    &q * diagonal(eigenvalues) * q.transpose()
}

fn log_uniform(dim: usize) -> Vec<f64> {
    (0..dim).map(|i| -(5.0 * i as f64 / dim as f64).exp()).collect()
}

fn variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64
}

/// s = −Ax has the Jacobian −A.
#[test]
fn a_linear_score_has_the_variance_of_its_matrix() {
    let eigenvalues = log_uniform(40);
    let spectrum = exact(&Dense::forward(rotated(&eigenvalues, 3)), batch(64)).unwrap();
    for (ours, theirs) in spectrum.eigenvalues.iter().zip(eigenvalues.iter().rev()) {
        assert!((ours - theirs).abs() < 1e-12 * 150.0, "{ours} {theirs}");
    }
    for ours in each(&spectrum.variances) {
        assert_close(ours, variance(&eigenvalues), 1e-12);
    }
    assert!(spectrum.asymmetry.abs() < 1e-28);
    // On a diagonal matrix every probe finds the exact traces.
    let spectrum = stochastic(&Dense::forward(diagonal(&eigenvalues)), probes(3, 1)).unwrap();
    for ours in each(&spectrum.variances) {
        assert_close(ours.value, variance(&eigenvalues), 1e-12);
        assert!(ours.standard_error < 1e-12 * ours.value);
    }
}

#[test]
fn an_isotropic_score_has_no_variance_and_no_error() {
    let isotropic = Dense::both(diagonal(&[-0.7; 48]));
    let forward = Dense::forward(diagonal(&[-0.7; 48]));
    for found in [stochastic(&isotropic, probes(5, 0)), stochastic(&forward, probes(5, 0))] {
        let found = found.unwrap();
        assert_close(found.mean.value, -0.7, 1e-14);
        for Estimate { value, standard_error, .. } in each(&found.variances) {
            assert!(value.abs() < 1e-29 && standard_error < 1e-29, "{value} {standard_error}");
        }
    }
    let spectrum = exact(&forward, batch(48)).unwrap();
    assert!(each(&spectrum.variances).iter().all(|v| v.abs() < 1e-29));
    assert!(spectrum.eigenvalues.iter().all(|v| (v + 0.7).abs() < 1e-15));
}

#[test]
fn the_interval_holds_the_exact_value() {
    let near_minus_one = |dim| {
        let noise = random_matrix(dim, 1e-3, 5);
        DMatrix::from_fn(dim, dim, |i, j| noise[(i, j)] - f64::from(u8::from(i == j)))
    };
    let thin = random_matrix(48, 0.2, 7);
    let narrow = DMatrix::from_fn(48, 48, |i, j| if j < 12 { thin[(i, j)] } else { 0.0 });
    let cases = [
        ("log-uniform", Dense::forward(rotated(&log_uniform(64), 4))),
        ("near -1", Dense::forward(near_minus_one(48))),
        ("near -1, with transposes", Dense::both(near_minus_one(48))),
        ("random", Dense::forward(random_matrix(48, 1.0 / 48f64.sqrt(), 6))),
        ("rank 12", Dense::both(&narrow * random_matrix(48, 0.2, 8))),
        // Every ‖J₀z‖² is d: all error comes from the trace's square.
        ("mirror", Dense::forward(rotated(&[[1.0; 24], [-1.0; 24]].concat(), 9))),
    ];
    for (name, jacobian) in cases {
        let truth = each(&exact(&jacobian, batch(64)).unwrap().variances);
        let mut held = [0; 3];
        for seed in 0..400 {
            let found = stochastic(&jacobian, probes(64, seed)).unwrap();
            for ((held, truth), found) in held.iter_mut().zip(truth).zip(each(&found.variances)) {
                *held += usize::from((found.low..=found.high).contains(&truth));
            }
        }
        println!("{name}: {held:?} of 400");
        assert!(held.iter().all(|held| *held >= 360), "{name}: {held:?} of 400");
    }
}

/// With four probes, the square of the mean would lower every variance by about 3 % here.
#[test]
fn the_estimates_are_unbiased() {
    let jacobian = Dense::forward(random_matrix(16, 0.25, 11));
    let truth = each(&exact(&jacobian, batch(16)).unwrap().variances);
    let found: Vec<_> =
        (0..4000).map(|seed| each(&stochastic(&jacobian, probes(4, seed)).unwrap().variances)).collect();
    for (k, truth) in truth.into_iter().enumerate() {
        let values: Vec<f64> = found.iter().map(|found| found[k].value).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let error = (variance(&values) / values.len() as f64).sqrt();
        println!("{mean} ± {error}, exactly {truth}");
        assert!((mean - truth).abs() < 3.0 * error, "{mean} ± {error}, not {truth}");
    }
}

#[test]
fn transposed_products_and_batches_change_no_estimate() {
    let matrix = random_matrix(20, 1.0, 12);
    let forward = stochastic(&Dense::forward(matrix.clone()), probes(32, 1)).unwrap();
    let both = stochastic(&Dense::both(matrix.clone()), probes(32, 1)).unwrap();
    assert_eq!(forward.mean, both.mean);
    assert_close(both.variances.eigenvalues.value, forward.variances.eigenvalues.value, 1e-11);
    let rebatched = ProbeVectors { batch: batch(5), ..probes(32, 1) };
    assert_eq!(stochastic(&Dense::forward(matrix), rebatched).unwrap(), forward);
    let t = number(&fixture()["intervals"]["31"]);
    for Estimate { value, standard_error, low, high } in each(&forward.variances) {
        assert_close(high - value, t * standard_error, 1e-9);
        assert_close(value - low, t * standard_error, 1e-9);
    }
}

struct Broken(Vec<Vec<f64>>);

impl Jacobian for Broken {
    type Error = std::fmt::Error;

    fn dim(&self) -> usize {
        2
    }

    fn apply(&self, _: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, std::fmt::Error> {
        if self.0.is_empty() { Err(std::fmt::Error) } else { Ok(self.0.clone()) }
    }
}

#[test]
fn a_bad_product_is_an_error() {
    let find = |products: &[&[f64]]| {
        let broken = Broken(products.iter().map(|p| p.to_vec()).collect());
        exact(&broken, batch(2)).unwrap_err()
    };
    assert!(matches!(find(&[]), SpectrumError::Product(_)));
    assert!(matches!(find(&[&[1.0, 0.0]]), SpectrumError::ProductCount { products: 1, vectors: 2 }));
    assert!(matches!(find(&[&[1.0], &[0.0, 1.0]]), SpectrumError::ProductLength { length: 1, dim: 2 }));
    assert!(matches!(find(&[&[1.0, f64::NAN], &[0.0, 1.0]]), SpectrumError::NotFinite));
    let few = stochastic(&Dense::forward(diagonal(&[1.0])), probes(2, 0));
    assert!(matches!(few, Err(SpectrumError::TooFewProbeVectors { count: 2, least: 3 })));
    assert!(matches!(exact(&Dense::forward(diagonal(&[])), batch(1)), Err(SpectrumError::Empty)));
}
