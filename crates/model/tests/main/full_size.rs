//! Stable Diffusion 1.4 and 2.0 in full size, with random weights, against diffusers and transformers (PyTorch, f32).
//!
//! `scripts/full_size/make_full_size.py` makes the folders and what they are compared with; too large to commit.

use std::{collections::HashMap, env, path::PathBuf};

use crate::common::{device, read_tensors, relative_l2};
use candle_core::{DType, Tensor};
use memscope_model::{Execution, LatentDiffusion, LoadOptions, ModelSource, PromptBatch, WeightsOrigin};
use serde::Deserialize;

/// Of the relative L2 error; both sides compute in f32.
const TOLERANCE: f64 = 2e-5;
/// The same of a gradient, which has gone through the network twice.
const GRADIENT_TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Record {
    prompts: Vec<String>,
    timesteps: Vec<usize>,
}

struct Proof {
    folder: PathBuf,
    name: &'static str,
    model: LatentDiffusion,
    tensors: HashMap<String, Tensor>,
}

impl Proof {
    fn open(name: &'static str) -> Self {
        let folder = env::var_os("MEMSCOPE_FULL_SIZE").map(PathBuf::from).expect(
            "MEMSCOPE_FULL_SIZE names the folder that scripts/full_size/make_full_size.py wrote, see its README.md",
        );
        let execution = Execution { device: device(), ..Execution::default() };
        let options = LoadOptions { execution, ..LoadOptions::default() };
        let model = LatentDiffusion::load_with(&ModelSource::folder(folder.join(name)), options);
        let model = model.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(model.weights_origin(), WeightsOrigin::Random);
        Self { folder, name, model, tensors: HashMap::new() }.with("reference")
    }

    /// Adds the tensors of one of the model's files.
    fn with(mut self, part: &str) -> Self {
        self.tensors.extend(read_tensors(&self.folder.join(format!("{}.{part}.safetensors", self.name))));
        self
    }

    fn record(&self) -> Record {
        let path = self.folder.join(format!("{}.reference.json", self.name));
        let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("the reference has no tensor {name}"))
    }

    #[track_caller]
    fn assert_close(&self, name: &str, got: &Tensor) {
        self.assert_within(TOLERANCE, name, got);
    }

    #[track_caller]
    fn assert_within(&self, tolerance: f64, name: &str, got: &Tensor) {
        let expected = self.get(name);
        assert_eq!(got.dims(), expected.dims(), "{name}");
        let error = relative_l2(got, expected);
        println!("{} {name}: relative L2 {error:.2e}", self.model.source());
        assert!(error <= tolerance, "{name}: relative L2 {error:.2e} exceeds {tolerance:.0e}");
    }

    fn check(&self) {
        let record = self.record();
        let ids: Vec<Vec<u32>> = self.get("input_ids").to_dtype(DType::U32).unwrap().to_vec2().unwrap();
        let prompts = self.model.encode_prompts(&record.prompts).unwrap();
        for (prompt, ids) in prompts.iter().zip(&ids) {
            assert_eq!(&prompt.tokens.ids, ids);
        }
        let embeddings: Vec<&Tensor> = prompts.iter().map(|prompt| &prompt.embedding).collect();
        self.assert_close("last_hidden_state", &Tensor::stack(&embeddings, 0).unwrap());
        // The reference's own embedding, so that the UNet is compared alone.
        let context = self.get("last_hidden_state").narrow(0, 0, 1).unwrap();
        for t in &record.timesteps {
            let output = self.model.predict(self.get("x"), &[*t], &context, None).unwrap();
            self.assert_close(&format!("output.t{t}"), &output);
        }
        let decoded = self.model.vae().unwrap().decode(self.get("vae.latent")).unwrap();
        self.assert_close("vae.decoded", &decoded);
    }

    /// ‖c − u‖₂ of the first prompt and the empty one, and its gradients in the latent and the first prompt.
    fn check_gradient(&self) {
        let (x, embeddings) = (self.get("x"), self.get("last_hidden_state"));
        let trace = |prompt| self.model.trace(x, &[981], &embeddings.narrow(0, prompt, 1).unwrap()).unwrap();
        let (conditional, unconditional) = (trace(0), trace(embeddings.dim(0).unwrap() - 1));
        let difference = (conditional.output() - unconditional.output()).unwrap();
        let loss = difference.sqr().unwrap().sum_all().unwrap().sqrt().unwrap();
        self.assert_close("gradient.loss", &loss);
        let cotangent = difference.broadcast_div(&loss).unwrap();
        let gradients = conditional.vjp(&cotangent).unwrap();
        let of_unconditional = unconditional.vjp(&cotangent.neg().unwrap()).unwrap();
        self.assert_within(GRADIENT_TOLERANCE, "gradient.context", &gradients.context);
        self.assert_within(GRADIENT_TOLERANCE, "gradient.x", &(gradients.x + of_unconditional.x).unwrap());
    }
}

/// SDXL as `scripts/full_size/sdxl.py` made it: prompts, UNet and VAE.
#[test]
#[ignore = "7 GB of weights: MEMSCOPE_FULL_SIZE=DIR, see scripts/full_size/README.md"]
fn stable_diffusion_xl() {
    let folder = env::var_os("MEMSCOPE_FULL_SIZE").map(PathBuf::from).expect("MEMSCOPE_FULL_SIZE names the folder");
    let execution = Execution { device: device(), ..Execution::default() };
    let options = LoadOptions { execution, ..LoadOptions::default() };
    let model = LatentDiffusion::load_with(&ModelSource::folder(folder.join("random-sdxl")), options).unwrap();
    assert_eq!(model.weights_origin(), WeightsOrigin::Random);
    let tensors = read_tensors(&folder.join("random-sdxl.reference.safetensors"));
    let close = |name: &str, got: &Tensor| {
        let error = relative_l2(got, &tensors[name]);
        println!("random-sdxl {name}: relative L2 {error:.2e}");
        assert!(error <= TOLERANCE, "{name}: relative L2 {error:.2e}");
    };
    let prompts = ["Mothers influence on her young hippo", "The No Limits Business Woman Podcast!"];
    let prompts = model.encode_prompts(&prompts).unwrap();
    let ids: Vec<Vec<u32>> = tensors["input_ids"].to_dtype(DType::U32).unwrap().to_vec2().unwrap();
    assert!(prompts.iter().map(|prompt| &prompt.tokens.ids).eq(&ids));
    let both = PromptBatch::of(&prompts.iter().collect::<Vec<_>>()).unwrap();
    close("context", &both.context);
    let added = both.added.unwrap();
    close("pooled", &added.narrow(1, 0, 1280).unwrap());
    model.release_text_encoders();
    close("vae.decoded", &model.vae().unwrap().decode(&tensors["vae.latent"]).unwrap());
    // The reference's own embeddings, so that the UNet is compared alone.
    let sizes = model.blueprint().sizes().unwrap();
    let first = |name: &str| tensors[name].narrow(0, 0, 1).unwrap();
    let added = Some(model.unet().added_conditions(&first("pooled"), sizes).unwrap());
    let prompt = PromptBatch { context: first("context"), added };
    for t in [981, 1] {
        close(&format!("output.t{t}"), &model.predict(&tensors["x"], &[t], &prompt, None).unwrap());
    }
}

#[test]
#[ignore = "4 GB of weights: MEMSCOPE_FULL_SIZE=DIR, see scripts/full_size/README.md"]
fn stable_diffusion_1_4() {
    Proof::open("random-sd14").check();
}

#[test]
#[ignore = "5 GB of weights: MEMSCOPE_FULL_SIZE=DIR, see scripts/full_size/README.md"]
fn stable_diffusion_2_0() {
    Proof::open("random-sd20").check();
}

#[test]
#[ignore = "4 GB of weights: MEMSCOPE_FULL_SIZE=DIR, see scripts/full_size/README.md"]
fn gradient_of_stable_diffusion_1_4() {
    Proof::open("random-sd14").with("gradient").check_gradient();
}
