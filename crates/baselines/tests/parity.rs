//! Jeon's sharpness and Ren's entropy against PyTorch (`scripts/fixtures/make_parity.py`, cases `jacobian` and
//! `attention`): forward mode in float64, and a plain attention processor.

use std::{collections::HashMap, path::PathBuf};

use candle_core::{DType, Device, Tensor, safetensors};
use memscope_baselines::{Jeon, Ren, SharpnessPower};
use memscope_metric::{Detector, Measure, NetworkCalls, Start};
use memscope_model::{LatentDiffusion, ModelSource, PromptEmbedding, Tokens};

const MODELS: [&str; 4] = ["tiny-sd1", "tiny-sd2", "emoji-eps", "emoji-v"];

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/parity")
}

fn load(name: &str) -> LatentDiffusion {
    let source = match name.starts_with("emoji") {
        true => ModelSource::Embedded(name.to_owned()),
        false => ModelSource::Folder(fixtures().join("models").join(name)),
    };
    LatentDiffusion::load(&source).unwrap()
}

struct Case(HashMap<String, Tensor>);

impl Case {
    fn open(model: &str, case: &str) -> Self {
        Self(safetensors::load(fixtures().join(format!("{model}/{case}.safetensors")), &Device::Cpu).unwrap())
    }

    fn prompts(&self, name: &str) -> Vec<PromptEmbedding> {
        let tensor = &self.0[name];
        let tokens = Tokens { ids: vec![], length: 0, cut: None };
        let row = |i| PromptEmbedding { embedding: tensor.get(i).unwrap(), tokens: tokens.clone() };
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
        let start = Start::new(&model, &empty[0], case.x_t(), &calls);
        let (norms, squares) = (case.flat("jeon.norm"), case.flat("jeon.squared_norm"));
        let measure = &Jeon::default().measures()[0];
        for (i, prompt) in case.prompts("context").iter().enumerate() {
            let values = vec![measure.measure(&start.probe(prompt)).unwrap()];
            let score = |power| Jeon::new(power).score(&values).value;
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
        let start = Start::new(&model, &empty[0], case.x_t(), &calls);
        let expected = case.flat("entropy");
        let layers = model.unet().cross_attention_layers().len();
        for (i, prompt) in case.prompts("context").iter().enumerate() {
            for layer in 0..layers {
                let values = Ren::at_layer(layer).measure(&start.probe(prompt)).unwrap();
                let expected = expected[i * layers + layer];
                assert!(
                    (values[0] - expected).abs() <= 1e-4 * expected,
                    "{name} {i} {layer}: {} {expected}",
                    values[0]
                );
            }
            let error = Ren::at_layer(layers).measure(&start.probe(prompt)).unwrap_err().to_string();
            assert!(error.contains("0 down_blocks.0.attentions.0"), "{error}");
        }
    }
}

#[test]
fn ren_reads_the_second_down_block() {
    for (name, path) in [("tiny-sd1", "down_blocks.1.attentions.1"), ("emoji-eps", "down_blocks.1.attentions.0")] {
        let layers = load(name).unet().cross_attention_layers();
        let chosen = layers.iter().find(|layer| Ren::for_layers(&layers) == Ren::at_layer(layer.index)).unwrap();
        assert!(chosen.path.starts_with(path), "{name}: {}", chosen.path);
    }
}
