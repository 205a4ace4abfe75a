//! The Hessian's spectrum on the embedded networks against torch.func.jacrev in float64
//! (`scripts/fixtures/make_parity.py`, case `spectrum`).

use std::{collections::HashMap, convert::Infallible, num::NonZeroUsize, path::PathBuf};

use candle_core::{DType, Device, Tensor, safetensors};
use memscope_metric::{
    InitialNoise, NetworkCalls, ScoreKind, ScoreProducts,
    theory::{Jacobian, ProbeVectors, exact, stochastic},
};
use memscope_model::{LatentDiffusion, ModelSource, PromptEmbedding, Tokens};

const BATCH: NonZeroUsize = NonZeroUsize::new(64).unwrap();
const TIMESTEPS: [usize; 3] = [981, 481, 41];

fn fixture(name: &str) -> HashMap<String, Tensor> {
    let parity = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/parity");
    safetensors::load(parity.join(name).join("spectrum.safetensors"), &Device::Cpu).unwrap()
}

fn flat(tensors: &HashMap<String, Tensor>, name: &str) -> Vec<f64> {
    tensors[name].to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn embedding(tensors: &HashMap<String, Tensor>, name: &str) -> PromptEmbedding {
    let tokens = Tokens { ids: vec![], length: 0, cut: None };
    PromptEmbedding { embedding: tensors[name].get(0).unwrap(), added: None, tokens }
}

/// A matrix by its columns.
struct Columns(Vec<Vec<f64>>);

impl Jacobian for Columns {
    type Error = Infallible;

    fn dim(&self) -> usize {
        self.0.len()
    }

    fn apply(&self, vectors: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Infallible> {
        let product = |v: &Vec<f64>| {
            let mut sum = vec![0.0; v.len()];
            for (column, factor) in self.0.iter().zip(v) {
                sum.iter_mut().zip(column).for_each(|(sum, entry)| *sum += factor * entry);
            }
            sum
        };
        Ok(vectors.iter().map(product).collect())
    }
}

#[track_caller]
fn assert_relative(what: &str, got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() <= tolerance * expected.abs(), "{what}: {got} {expected}");
}

#[test]
fn spectra_of_the_embedded_networks() {
    for name in ["emoji-eps", "emoji-v"] {
        let model = LatentDiffusion::load(&ModelSource::Embedded(name.into())).unwrap();
        let tensors = fixture(name);
        let (empty, prompt) = (embedding(&tensors, "empty"), embedding(&tensors, "context"));
        let calls = NetworkCalls::default();
        let noise = InitialNoise::new(&model, &empty, vec![], &calls);
        let generation = noise.generation(&prompt);
        for t in TIMESTEPS {
            let what = |field: &str| format!("{name} t = {t} {field}");
            let x: Vec<f32> = flat(&tensors, &format!("t{t}.x")).into_iter().map(|x| x as f32).collect();
            let products = ScoreProducts::new(&generation, &x, t).unwrap();
            let jacobian = products.jacobian(ScoreKind::Conditional);
            let spectrum = exact(&jacobian, BATCH).unwrap();
            let expected = |field: &str| flat(&tensors, &format!("t{t}.{field}"))[0];
            let v = spectrum.variances;
            for (field, got) in
                [("symmetrized", v.symmetrized), ("eigenvalues", v.eigenvalues), ("frobenius", v.frobenius)]
            {
                assert_relative(&what(field), got, expected(&format!("variance.{field}")), 1e-3);
            }
            assert_relative(&what("trace"), spectrum.mean * x.len() as f64, expected("trace"), 1e-3);
            let largest =
                flat(&tensors, &format!("t{t}.eigenvalues")).into_iter().fold(0.0, |a: f64, b| a.max(b.abs()));
            for (got, expected) in spectrum.eigenvalues.iter().zip(flat(&tensors, &format!("t{t}.eigenvalues"))) {
                assert!((got - expected).abs() <= 1e-3 * largest, "{}: {got} {expected}", what("eigenvalue"));
            }

            // Reverse mode is the transpose of forward mode.
            let (a, b): (Vec<f64>, Vec<f64>) =
                (0..x.len()).map(|i| ((i % 7) as f64 - 3.0, (i % 5) as f64 - 2.0)).unzip();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let forward = jacobian.apply(std::slice::from_ref(&a)).unwrap().remove(0);
            let reverse = jacobian.apply_transposed(std::slice::from_ref(&b)).unwrap().unwrap().remove(0);
            let size = dot(&forward, &forward).sqrt() * dot(&b, &b).sqrt();
            assert!((dot(&forward, &b) - dot(&reverse, &a)).abs() <= 1e-4 * size, "{}", what("transpose"));
        }
    }
}

/// The network's own Jacobian, not only matrices with a pleasant spectrum, is covered by the interval.
#[test]
fn the_stochastic_estimate_covers_the_exact_variance() {
    let model = LatentDiffusion::load(&ModelSource::Embedded("emoji-eps".into())).unwrap();
    let tensors = fixture("emoji-eps");
    let (empty, prompt) = (embedding(&tensors, "empty"), embedding(&tensors, "context"));
    let calls = NetworkCalls::default();
    let noise = InitialNoise::new(&model, &empty, vec![], &calls);
    let generation = noise.generation(&prompt);
    for t in TIMESTEPS {
        let x: Vec<f32> = flat(&tensors, &format!("t{t}.x")).into_iter().map(|x| x as f32).collect();
        let products = ScoreProducts::new(&generation, &x, t).unwrap();
        let unit = |i: usize| (0..x.len()).map(|j| f64::from(u8::from(i == j))).collect::<Vec<_>>();
        let units: Vec<Vec<f64>> = (0..x.len()).map(unit).collect();
        let columns = Columns(products.jacobian(ScoreKind::Conditional).apply(&units).unwrap());
        let variance = exact(&columns, BATCH).unwrap().variances.symmetrized;
        let covers = |seed: &u64| {
            let vectors = ProbeVectors { count: 128, batch: BATCH, seed: *seed };
            let estimate = stochastic(&columns, vectors).unwrap().variances.symmetrized;
            (estimate.low..=estimate.high).contains(&variance)
        };
        let covered = (0..100).filter(covers).count();
        assert!(covered >= 90, "t = {t}: {covered} of 100");
    }
}
