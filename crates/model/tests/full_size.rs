//! Stable Diffusion 1.4 and 2.0 in full size, with random weights, against diffusers and transformers (PyTorch, f32).
//!
//! `scripts/full_size/make_full_size.py` makes the folders and what they are compared with; too large to commit.

mod common;

use std::{collections::HashMap, env, path::PathBuf};

use candle_core::{DType, Device, Tensor, safetensors};
use common::relative_l2;
use memscope_model::{LatentDiffusion, ModelSource, WeightsOrigin};
use serde::Deserialize;

/// Of the relative L2 error; both sides compute in f32.
const TOLERANCE: f64 = 2e-5;

#[derive(Deserialize)]
struct Record {
    prompts: Vec<String>,
    timesteps: Vec<usize>,
}

struct Proof {
    model: LatentDiffusion,
    tensors: HashMap<String, Tensor>,
    record: Record,
}

impl Proof {
    fn open(name: &str) -> Self {
        let folder = env::var_os("MEMSCOPE_FULL_SIZE").map(PathBuf::from).expect(
            "MEMSCOPE_FULL_SIZE names the folder that scripts/full_size/make_full_size.py wrote, see its README.md",
        );
        let read = |file: String| std::fs::read(folder.join(&file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let tensors = safetensors::load(folder.join(format!("{name}.reference.safetensors")), &Device::Cpu);
        let record = serde_json::from_slice(&read(format!("{name}.reference.json")));
        let model = LatentDiffusion::load(&ModelSource::folder(folder.join(name)));
        Self {
            model: model.unwrap_or_else(|e| panic!("{name}: {e}")),
            tensors: tensors.unwrap_or_else(|e| panic!("{name}: {e}")),
            record: record.unwrap_or_else(|e| panic!("{name}: {e}")),
        }
    }

    fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("the reference has no tensor {name}"))
    }

    #[track_caller]
    fn assert_close(&self, name: &str, got: &Tensor) {
        let expected = self.get(name);
        assert_eq!(got.dims(), expected.dims(), "{name}");
        let error = relative_l2(got, expected);
        println!("{} {name}: relative L2 {error:.2e}", self.model.source());
        assert!(error <= TOLERANCE, "{name}: relative L2 {error:.2e} exceeds {TOLERANCE:.0e}");
    }

    fn check(&self) {
        assert_eq!(self.model.weights_origin(), WeightsOrigin::Random);
        let ids: Vec<Vec<u32>> = self.get("input_ids").to_dtype(DType::U32).unwrap().to_vec2().unwrap();
        let prompts = self.model.encode_prompts(&self.record.prompts).unwrap();
        for (prompt, ids) in prompts.iter().zip(&ids) {
            assert_eq!(&prompt.tokens.ids, ids);
        }
        let embeddings: Vec<&Tensor> = prompts.iter().map(|prompt| &prompt.embedding).collect();
        self.assert_close("last_hidden_state", &Tensor::stack(&embeddings, 0).unwrap());
        // The reference's own embedding, so that the UNet is compared alone.
        let context = self.get("last_hidden_state").narrow(0, 0, 1).unwrap();
        for t in &self.record.timesteps {
            let output = self.model.predict(self.get("x"), &[*t], &context, None).unwrap();
            self.assert_close(&format!("output.t{t}"), &output);
        }
        let decoded = self.model.vae().unwrap().decode(self.get("vae.latent")).unwrap();
        self.assert_close("vae.decoded", &decoded);
    }
}

#[test]
#[ignore = "4 GB of weights: MEMSCOPE_FULL_SIZE=DIR cargo test --workspace --test full_size -- --ignored --nocapture --test-threads 1 (scripts/full_size/README.md)"]
fn stable_diffusion_1_4() {
    Proof::open("random-sd14").check();
}

#[test]
#[ignore = "5 GB of weights: MEMSCOPE_FULL_SIZE=DIR cargo test --workspace --test full_size -- --ignored --nocapture --test-threads 1 (scripts/full_size/README.md)"]
fn stable_diffusion_2_0() {
    Proof::open("random-sd20").check();
}
