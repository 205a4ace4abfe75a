//! Jeon's sharpness and Ren's entropy against PyTorch (`scripts/fixtures/make_parity.py`, cases `jacobian` and
//! `attention`): forward mode in float64, and a plain attention processor.

use std::{collections::HashMap, path::PathBuf};

use candle_core::{DType, Device, Tensor, safetensors};
use memscope_baselines::{Jeon, Ren, RenMode, SharpnessPower, Wen, token_significance};
use memscope_metric::{Detector, InitialNoise, NetworkCalls, Protocol, ResolvedProtocol};
use memscope_model::{LatentDiffusion, ModelSource, PromptBatch, PromptEmbedding, Tokens};

const MODELS: [&str; 4] = ["tiny-sd1", "tiny-sd2", "emoji-eps", "emoji-v"];

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/parity")
}

fn load(name: &str) -> LatentDiffusion {
    let source = match name.starts_with("emoji") {
        true => ModelSource::Embedded(name.to_owned()),
        false => ModelSource::folder(fixtures().join("models").join(name)),
    };
    LatentDiffusion::load(&source).unwrap()
}

fn protocol(model: &LatentDiffusion) -> ResolvedProtocol {
    Protocol::default().resolve(model.schedule().parameterization()).unwrap()
}

struct Case(HashMap<String, Tensor>);

impl Case {
    fn open(model: &str, case: &str) -> Self {
        Self(safetensors::load(fixtures().join(format!("{model}/{case}.safetensors")), &Device::Cpu).unwrap())
    }

    fn prompts(&self, name: &str) -> Vec<PromptEmbedding> {
        let tensor = &self.0[name];
        let tokens = Tokens { ids: vec![], length: 0, cut: None };
        let row = |i| PromptEmbedding { embedding: tensor.get(i).unwrap(), added: None, tokens: tokens.clone() };
        (0..tensor.dim(0).unwrap()).map(row).collect()
    }

    fn flat(&self, name: &str) -> Vec<f64> {
        self.0[name].to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    fn x_t(&self) -> Vec<f32> {
        self.0["x_T"].flatten_all().unwrap().to_vec1().unwrap()
    }
}

#[test]
fn sharpness_of_jeon() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "jacobian"));
        let (empty, calls) = (case.prompts("empty"), NetworkCalls::default());
        let noise = InitialNoise::new(&model, &empty[0], case.x_t(), &calls);
        let (norms, squares) = (case.flat("jeon.norm"), case.flat("jeon.squared_norm"));
        let jeon = |power| Jeon::new(protocol(&model), power);
        let prompts = case.prompts("context");
        let generations: Vec<_> = prompts.iter().map(|prompt| noise.generation(prompt)).collect();
        let together = jeon(SharpnessPower::Norm).measures()[0].measure(&generations).unwrap();
        for (i, values) in together.into_iter().enumerate() {
            let values = vec![values];
            let score = |power| jeon(power).score(&values).value;
            let close = |got: f64, expected: f64, tolerance| (got / expected - 1.0).abs() <= tolerance;
            let (norm, square) = (score(SharpnessPower::Norm), score(SharpnessPower::Square));
            assert!(close(norm, norms[i], 1e-4), "{name} {i}: {norm} {}", norms[i]);
            assert!(close(square, squares[i], 2e-4), "{name} {i}: {square} {}", squares[i]);
        }
    }
}

#[test]
fn entropy_of_ren_at_every_layer() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "attention"));
        let (empty, calls) = (model.encode_prompts(&[""]).unwrap(), NetworkCalls::default());
        let noise = InitialNoise::new(&model, &empty[0], case.x_t(), &calls);
        let expected = case.flat("entropy");
        let layers = model.unet().cross_attention_layers().len();
        let prompts = case.prompts("context");
        let generations: Vec<_> = prompts.iter().map(|prompt| noise.generation(prompt)).collect();
        let ren = |layer| Ren::new(model.blueprint(), protocol(&model), RenMode::E, Some(layer));
        for layer in 0..layers {
            let values = ren(layer).unwrap().measures()[0].measure(&generations).unwrap();
            for (i, value) in values.iter().flatten().enumerate() {
                let expected = expected[i * layers + layer];
                assert!((value - expected).abs() <= 1e-4 * expected, "{name} {i} {layer}: {value} {expected}");
            }
        }
        let error = ren(layers).unwrap_err().to_string();
        assert!(error.contains("0 down_blocks.0.attentions.0"), "{error}");
    }
}

#[test]
fn ren_reads_the_second_down_block() {
    for (name, path) in [("tiny-sd1", "down_blocks.1.attentions.1"), ("emoji-eps", "down_blocks.1.attentions.0")] {
        let model = load(name);
        let layers = model.unet().cross_attention_layers();
        let of_layer = |layer| Ren::new(model.blueprint(), protocol(&model), RenMode::E, layer).unwrap();
        let chosen = layers.iter().find(|layer| of_layer(None) == of_layer(Some(layer.index))).unwrap();
        assert!(chosen.path.starts_with(path), "{name}: {}", chosen.path);
    }
}

/// Rows of torch's gradient by the prompt embedding: case `gradient`.
#[test]
fn token_significance_is_the_gradient_of_the_norm() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "gradient"));
        let (empty, mut prompt) = (case.prompts("empty").remove(0), case.prompts("context").remove(0));
        let expected = case.flat("gradient.context");
        let (tokens, width) = prompt.embedding.dims2().unwrap();
        prompt.tokens.length = tokens;
        let significance = token_significance(&model, &prompt, &empty, &[case.x_t()]).unwrap();
        assert_eq!(significance.len(), tokens);
        for (token, (got, row)) in significance.iter().zip(expected.chunks(width)).enumerate() {
            let expected = row.iter().map(|g| g * g).sum::<f64>().sqrt();
            assert!((got - expected).abs() <= 1e-4 * expected, "{name} token {token}: {got} {expected}");
        }
    }
}

/// One norm over a batch of two noises, taken literally: a batch of two through the network, one norm of the difference, and
/// the gradient by the embedding that both share.
#[test]
fn several_noises_have_one_norm() {
    let (model, case) = (load("tiny-sd1"), Case::open("tiny-sd1", "gradient"));
    let (empty, mut prompt) = (case.prompts("empty").remove(0), case.prompts("context").remove(0));
    let (tokens, width) = prompt.embedding.dims2().unwrap();
    prompt.tokens.length = tokens;
    let first = case.x_t();
    // Of another size, so that the weights of the two differ.
    let second: Vec<f32> = first.iter().rev().map(|x| 0.5 * x).collect();
    let x = model.latents([first.clone(), second.clone()].concat()).unwrap();
    let twice = |prompt| PromptBatch::of(&[prompt, prompt]).unwrap();
    let unconditional = model.predict(&x, &[981, 981], twice(&empty), None).unwrap();
    let conditional = model.trace(&x, &[981, 981], twice(&prompt)).unwrap();
    let difference = (conditional.output() - unconditional).unwrap();
    let norm = difference.sqr().unwrap().sum_all().unwrap().sqrt().unwrap();
    let gradient = conditional.vjp_context(&difference.broadcast_div(&norm).unwrap()).unwrap();
    let expected: Vec<f32> = gradient.sum(0).unwrap().flatten_all().unwrap().to_vec1().unwrap();

    let together = token_significance(&model, &prompt, &empty, &[first.clone(), second.clone()]).unwrap();
    let mean = [first, second].map(|x| token_significance(&model, &prompt, &empty, &[x]).unwrap());
    for (token, (got, row)) in together.iter().zip(expected.chunks(width)).enumerate() {
        let expected = row.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        assert!((got - expected).abs() <= 1e-4 * expected, "token {token}: {got} {expected}");
    }
    let mean = |token: usize| (mean[0][token] + mean[1][token]) / 2.0;
    assert!(together.iter().enumerate().any(|(i, got)| (got / mean(i) - 1.0).abs() > 1e-3), "it is no mean of norms");
}

/// Wen along the trajectory and Ren's mode D: case `along_trajectory`.
#[test]
fn scores_along_the_trajectory() {
    for name in MODELS {
        let (model, case) = (load(name), Case::open(name, "along_trajectory"));
        let (empty, calls) = (case.prompts("empty"), NetworkCalls::default());
        let noise = InitialNoise::new(&model, &empty[0], case.x_t(), &calls);
        let mut prompts = case.prompts("context");
        for (prompt, length) in prompts.iter_mut().zip(case.flat("lengths")) {
            prompt.tokens.length = length as usize;
        }
        let generations: Vec<_> = prompts.iter().map(|prompt| noise.generation(prompt)).collect();
        let close = |what: &str, got: f64, expected: f64| {
            assert!((got - expected).abs() <= 1e-3 * expected.abs(), "{name} {what}: {got} {expected}");
        };
        let norms = case.flat("norms");
        for steps in [1, 50] {
            let wen = Wen::along_trajectory(protocol(&model), steps);
            let measure = &wen.measures()[0];
            let names = measure.names();
            let positions: Vec<usize> =
                wen.quantities().iter().map(|q| names.iter().position(|n| *n == q.name).unwrap()).collect();
            for (row, values) in measure.measure(&generations).unwrap().iter().enumerate() {
                let kept = vec![positions.iter().map(|p| values[*p]).collect::<Vec<_>>()];
                let expected = norms[row * 50..][..steps].iter().sum::<f64>() / steps as f64;
                close(&format!("Wen, {steps} steps"), wen.score(&kept).value, expected);
            }
        }
        match (Ren::new(model.blueprint(), protocol(&model), RenMode::D, None), case.0.contains_key("ren.d")) {
            (Ok(ren), true) => {
                let values = ren.measures()[0].measure(&generations).unwrap();
                values.iter().flatten().zip(case.flat("ren.d")).for_each(|(got, d)| close("Ren D", *got, d));
            }
            (Err(error), false) => assert!(error.to_string().contains("use mode E"), "{error}"),
            (ren, known) => panic!("{name}: {ren:?}, fixture {known}"),
        }
    }
}
