//! Every procedure against plain PyTorch on the tiny models (`scripts/fixtures/make_parity.py`, case `mitigation`): the same
//! prompt and noise, the same loss at every step, the same embedding, latent or trajectory at the end.

use std::{collections::HashMap, path::PathBuf};

use candle_core::{DType, Device, Tensor, safetensors};
use memscope_metric::{Gammas, Protocol};
use memscope_mitigation::{
    BatchWise, Changed, EmbeddingSettings, Ending, Han, Jain, Mitigation, Padding, PaddingMode, PerSample, Release,
    Ren, Rows, Sail, Subject, Tokens as KeptTokens, Unmitigated, anisotropy, sample, wen,
};
use memscope_model::{LatentDiffusion, ModelSource, PredictionInput, PromptEmbedding, Sampling, Tokens};

const MODELS: [&str; 2] = ["tiny-sd1", "tiny-sd2"];

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/parity")
}

struct Case {
    model: LatentDiffusion,
    tensors: HashMap<String, Tensor>,
    prompt: PromptEmbedding,
    empty: PromptEmbedding,
}

impl Case {
    fn open(name: &str) -> Self {
        let model = LatentDiffusion::load(&ModelSource::folder(fixtures().join("models").join(name))).unwrap();
        let path = fixtures().join(name).join("mitigation.safetensors");
        let tensors = safetensors::load(path, &Device::Cpu).unwrap();
        let length = tensors["length"].get(0).unwrap().to_scalar::<i64>().unwrap() as usize;
        let tokens = Tokens { ids: vec![], length, cut: None };
        let prompt = |name: &str| PromptEmbedding {
            embedding: tensors[name].get(0).unwrap(),
            added: None,
            tokens: tokens.clone(),
        };
        let (context, empty) = (prompt("context"), prompt("empty"));
        Self { model, prompt: context, empty, tensors }
    }

    fn flat(&self, name: &str) -> Vec<f64> {
        self.tensors[name].to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    fn latents(&self, name: &str) -> Vec<Vec<f32>> {
        self.tensors[name].flatten_from(1).unwrap().to_vec2().unwrap()
    }

    fn apply(&self, method: &dyn Mitigation, images: usize) -> Changed {
        // Seed 42 is the noise of the fixture, every other one its second noise.
        let noise = |seed, count: usize| {
            let all = self.latents(if seed == 42 { "x_T" } else { "second_noise" });
            all[..count].to_vec()
        };
        let subject = Subject {
            model: &self.model,
            prompt: "",
            embedding: &self.prompt,
            empty: &self.empty,
            seed: 42,
            images,
            noise: &noise,
            sampling: Sampling::default(),
            stop: &|| false,
        };
        let asked = self.model.predicted_samples();
        let changed = method.apply(&subject).unwrap();
        let (asked, cost) = (self.model.predicted_samples() - asked, method.cost(images, subject.sampling));
        let price: usize = cost.iter().map(|calls| calls.calls).sum();
        assert!(if method.is_exact() { asked == price } else { asked <= price }, "{method:?}: {asked} of {price}");
        changed
    }
}

/// ‖got − expected‖ / ‖expected‖.
#[track_caller]
fn assert_close(what: &str, got: impl IntoIterator<Item = f64>, expected: &[f64], tolerance: f64) {
    let got: Vec<f64> = got.into_iter().collect();
    assert_eq!(got.len(), expected.len(), "{what}");
    let distance: f64 = got.iter().zip(expected).map(|(a, b)| (a - b) * (a - b)).sum();
    let size: f64 = expected.iter().map(|b| b * b).sum();
    let error = (distance / size.max(f64::MIN_POSITIVE)).sqrt();
    assert!(error <= tolerance, "{what}: {error}");
}

fn wide(latents: &[Vec<f32>]) -> Vec<f64> {
    latents.iter().flatten().map(|x| f64::from(*x)).collect()
}

/// Wen's norm over a batch of three and the paper's M over two, five iterations each.
#[test]
fn optimisations_of_the_embedding() {
    for name in MODELS {
        let case = Case::open(name);
        let settings = EmbeddingSettings { iterations: 5, ..EmbeddingSettings::default() };
        let kind = case.model.schedule().parameterization();
        let m = EmbeddingSettings { batch: Some(2), ..settings };
        let m = anisotropy(Protocol::default().resolve(kind).unwrap(), Gammas::of_table5(kind), m).unwrap();
        for (what, method) in [("wen", &wen(settings).unwrap()), ("anisotropy", &m)] {
            let changed = case.apply(method, 3);
            assert_eq!(changed.ending, Ending::Done);
            let losses = case.flat(&format!("{what}.losses"));
            for (step, (got, expected)) in changed.losses.iter().zip(&losses).enumerate() {
                assert!((got / expected - 1.0).abs() <= 1e-4, "{name} {what} step {step}: {got} {expected}");
            }
            assert_eq!(changed.losses.len(), losses.len());
            let embedding = changed.embedding.embedding.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let embedding = embedding.into_iter().map(f64::from);
            assert_close(&format!("{name} {what}"), embedding, &case.flat(&format!("{what}.embedding")), 1e-4);
        }
    }
}

#[test]
fn an_optimisation_stops_at_its_target_before_the_step() {
    let case = Case::open("tiny-sd1");
    let losses = case.flat("wen.losses");
    let target = f64::midpoint(losses[2], losses[3]);
    let settings = EmbeddingSettings { target: Some(target), ..EmbeddingSettings::default() };
    let changed = case.apply(&wen(settings).unwrap(), 3);
    assert_eq!((changed.ending, changed.losses.len()), (Ending::Reached, 4));
    let never = EmbeddingSettings { target: Some(0.0), iterations: 2, ..settings };
    assert_eq!(case.apply(&wen(never).unwrap(), 3).ending, Ending::NotReached);
}

/// A step so large that the network overflows: the embedding before it is kept, and said so.
#[test]
fn nan_ends_an_optimisation_with_the_last_good_embedding() {
    let case = Case::open("tiny-sd1");
    let mut broken = case.prompt.clone();
    broken.embedding = (&broken.embedding * f64::INFINITY).unwrap();
    let case = Case { prompt: broken, ..case };
    let changed = case_without_price(&case, &wen(EmbeddingSettings::default()).unwrap());
    assert_eq!((changed.ending, changed.losses.len()), (Ending::NonFinite, 0));
    let case = Case::open("tiny-sd1");
    // c = u: the norm is 0 and has no gradient.
    let same = Case { prompt: case.empty.clone(), ..case };
    let changed = case_without_price(&same, &wen(EmbeddingSettings::default()).unwrap());
    assert_eq!(changed.ending, Ending::NonFinite);
    let kept = changed.embedding.embedding.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(kept.iter().all(|x| x.is_finite()));
}

fn case_without_price(case: &Case, method: &dyn Mitigation) -> Changed {
    let noise = |_, count: usize| case.latents("x_T")[..count].to_vec();
    let subject = Subject {
        model: &case.model,
        prompt: "",
        embedding: &case.prompt,
        empty: &case.empty,
        seed: 42,
        images: 2,
        noise: &noise,
        sampling: Sampling::default(),
        stop: &|| false,
    };
    method.apply(&subject).unwrap()
}

#[test]
fn first_rounds_of_sail() {
    for name in MODELS {
        let case = Case::open(name);
        for (what, release) in [("exact", Release::Exact), ("cleaned", Release::Cleaned)] {
            let sail = Sail {
                budget: 3,
                steps: 4,
                rounds: 2,
                threshold: case.flat("sail.threshold")[0],
                release,
                ..Sail::default()
            };
            let changed = case.apply(&sail, 3);
            let label = format!("{name} sail {what}");
            assert_close(&label, changed.losses, &case.flat(&format!("sail.{what}.losses")), 1e-4);
            let kept = case.latents(&format!("sail.{what}.kept"));
            assert!(!kept.is_empty());
            assert_close(&label, wide(&changed.latents[..kept.len()]), &wide(&kept), 1e-4);
            assert_eq!(changed.latents.len(), 3);
            assert_eq!(changed.ending == Ending::Reached, kept.len() == 3);
        }
    }
}

#[test]
fn adjusted_noise_of_han() {
    for name in MODELS {
        let case = Case::open(name);
        let changed = case.apply(&Han::BatchWise(BatchWise::default()), 3);
        assert_close(name, wide(&changed.latents), &case.flat("han.batch_wise"), 1e-4);
        let per_sample = PerSample { iterations: 5, target: 0.0, ..PerSample::default() };
        let changed = case.apply(&Han::PerSample(per_sample), 3);
        assert_close(name, changed.losses, &case.flat("han.per_sample.norms"), 1e-4);
        assert_close(name, wide(&changed.latents), &case.flat("han.per_sample"), 1e-4);
    }
}

#[test]
fn rescaled_attention_of_ren() {
    for name in MODELS {
        let case = Case::open(name);
        let x = case.latents("x_T");
        let keep = case.prompt.tokens.length;
        let first = |prompt: &PromptEmbedding| PromptEmbedding {
            embedding: prompt.embedding.narrow(0, 0, keep).unwrap(),
            ..prompt.clone()
        };
        let (prompt, empty) = (first(&case.prompt), first(&case.empty));
        let inputs: Vec<PredictionInput> = [&empty, &empty, &prompt, &prompt]
            .into_iter()
            .enumerate()
            .map(|(row, prompt)| PredictionInput { x: &x[row % 2], t: 500, prompt })
            .collect();
        for (what, factors) in [("conditional", [1.0, 1.0, 1.25, 1.25]), ("odd", [1.0, 1.25, 1.0, 1.25])] {
            let outputs = case.model.predict_rescaled(&inputs, &factors).unwrap();
            let outputs: Vec<Vec<f32>> = outputs.into_iter().map(|prediction| prediction.output).collect();
            assert_close(&format!("{name} {what}"), wide(&outputs), &case.flat(&format!("ren.{what}")), 1e-5);
        }
        assert!(case.model.predict_rescaled(&inputs, &[1.0]).is_err());
    }
}

#[test]
fn rows_and_tokens_of_ren_reach_the_trajectory() {
    let case = Case::open("tiny-sd1");
    let sampling = Sampling { steps: 5, ..Sampling::default() };
    let draw = |changed: &Changed| wide(&sample(&case.model, changed, &case.empty, sampling, |_| false).unwrap());
    let mut drawn = vec![draw(&case.apply(&Unmitigated, 2))];
    for rows in [Rows::Conditional, Rows::OddAsReleased] {
        for tokens in [KeptTokens::ThroughEnd, KeptTokens::BeforeEnd] {
            drawn.push(draw(&case.apply(&Ren::new(1.25, tokens, rows).unwrap(), 2)));
        }
    }
    for mode in [PaddingMode::EmptyPrompt, PaddingMode::Mask] {
        drawn.push(draw(&case.apply(&Padding { mode }, 2)));
    }
    for (i, first) in drawn.iter().enumerate() {
        assert!(drawn[..i].iter().all(|other| other != first), "method {i} draws what another one does");
    }
}

#[test]
fn guidance_transitions_of_jain() {
    for name in MODELS {
        let case = Case::open(name);
        let opposite = Jain::OppositeDynamic;
        let methods = [("static", Jain::Static { before: 0.0, timestep: 500 }), ("dynamic", Jain::Dynamic)];
        for (what, method) in methods.into_iter().chain([("opposite", opposite)]) {
            let changed = case.apply(&method, 2);
            let steps = case.flat(&format!("jain.{what}.step"));
            if let memscope_mitigation::Guidance::BeforeStep { steps: found, .. } = &changed.guidance {
                assert_eq!(found.iter().map(|s| *s as f64).collect::<Vec<_>>(), steps, "{name}");
            }
            let drawn = sample(&case.model, &changed, &case.empty, Sampling::default(), |_| false).unwrap();
            assert_close(&format!("{name} {what}"), wide(&drawn), &case.flat(&format!("jain.{what}")), 1e-3);
        }
    }
}

/// Without mitigation the sampler is the model's own.
#[test]
fn nothing_changed_draws_what_the_model_draws() {
    let case = Case::open("tiny-sd2");
    let changed = case.apply(&Unmitigated, 2);
    let drawn = sample(&case.model, &changed, &case.empty, Sampling::default(), |_| false).unwrap();
    let own =
        case.model.sample(changed.latents.clone(), &case.prompt, &case.empty, Sampling::default(), |_| Ok(())).unwrap();
    assert_eq!(drawn, own);
    let stopped = sample(&case.model, &changed, &case.empty, Sampling::default(), |step| step == 3).unwrap_err();
    assert!(matches!(stopped, memscope_mitigation::Error::Stopped));
}
