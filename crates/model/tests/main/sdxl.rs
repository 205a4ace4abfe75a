//! A tiny random SDXL against diffusers' pipeline (PyTorch, f32): `scripts/fixtures/make_sdxl.py` made it and records
//! versions, prompts and sizes in the file of expected tensors.

use std::{collections::HashMap, path::PathBuf};

use crate::common::{read_tensors, relative_l2};
use candle_core::{DType, Tensor, Var};
use memscope_model::{
    Blueprint, Dual, Error, FileOptions, LatentDiffusion, Lora, ModelSource, ModelSummary, PredictionInput,
    PromptBatch, PromptEmbedding, Sampling, ScheduleCheck, SizeConditions, Value,
};
use serde_json::json;

const PROMPTS: [&str; 4] = [
    "a photo of a red fox in the snow",
    "The cats' 3 hats!",
    "an oil painting of a lighthouse on a cliff above the sea at night, in the rain",
    "",
];
const TOLERANCE: f64 = 2e-5;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sdxl")
}

fn folder() -> ModelSource {
    ModelSource::folder(fixtures().join("model"))
}

fn load(source: &ModelSource) -> LatentDiffusion {
    LatentDiffusion::load(source).unwrap_or_else(|e| panic!("{source}: {e}"))
}

struct Expected(HashMap<String, Tensor>);

impl Expected {
    fn open() -> Self {
        Self(read_tensors(&fixtures().join("expected.safetensors")))
    }

    fn get(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    fn numbers(&self, name: &str) -> Vec<f32> {
        self.get(name).flatten_all().unwrap().to_vec1().unwrap()
    }

    #[track_caller]
    fn assert_close(&self, name: &str, got: &Tensor) {
        assert_eq!(got.dims(), self.get(name).dims(), "{name}");
        let error = relative_l2(got, self.get(name));
        println!("{name}: relative L2 {error:.2e}");
        assert!(error <= TOLERANCE, "{name}: relative L2 {error:.2e}");
    }
}

fn stacked(prompts: &[PromptEmbedding]) -> PromptBatch {
    PromptBatch::of(&prompts.iter().collect::<Vec<_>>()).unwrap()
}

/// The pooled prompts of width 20 come first in the added conditions.
fn pooled(prompts: &[PromptEmbedding]) -> Tensor {
    stacked(prompts).added.unwrap().narrow(1, 0, 20).unwrap()
}

#[test]
fn prompts_are_encoded_as_the_pipeline_does() {
    let (model, expected) = (load(&folder()), Expected::open());
    let ids: Vec<Vec<u32>> = expected.get("input_ids").to_dtype(DType::U32).unwrap().to_vec2().unwrap();
    let prompts = model.encode_prompts(&PROMPTS).unwrap();
    assert!(prompts.iter().map(|prompt| &prompt.tokens.ids).eq(&ids));
    expected.assert_close("context", &stacked(&prompts).context);
    expected.assert_close("pooled", &pooled(&prompts));
    // Without a negative prompt the pipeline takes zeros; the sizes stay.
    let empty = model.encode_unconditional().unwrap();
    let batch = stacked(std::slice::from_ref(&empty));
    assert_eq!(batch.context.dims(), [1, 16, 40]);
    for zeros in [batch.context, pooled(&[empty])] {
        assert!(zeros.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|x| *x == 0.0));
    }
    // Released and read again.
    model.release_text_encoders();
    assert_eq!(
        relative_l2(&stacked(&model.encode_prompts(&PROMPTS).unwrap()).context, &stacked(&prompts).context),
        0.0
    );
}

fn first_three(model: &LatentDiffusion) -> PromptBatch {
    stacked(&model.encode_prompts(&PROMPTS[..3]).unwrap())
}

#[test]
fn predictions_are_those_of_diffusers() {
    let (model, expected) = (load(&folder()), Expected::open());
    let (x, prompts) = (expected.get("x"), first_three(&model));
    for t in [981, 500, 1] {
        expected.assert_close(&format!("output.t{t}"), &model.predict(x, &[t; 3], &prompts, None).unwrap());
    }
    expected.assert_close("output.mixed", &model.predict(x, &[981, 500, 1], &prompts, None).unwrap());
    let empty = stacked(&[model.encode_unconditional().unwrap()]);
    let one = x.narrow(0, 0, 1).unwrap();
    expected.assert_close("output.unconditional", &model.predict(&one, &[981], &empty, None).unwrap());

    let told = load(&folder().with_sizes(sizes()));
    expected.assert_close("output.sizes", &told.predict(x, &[500; 3], first_three(&told), None).unwrap());

    // One latent serves several prompts, at once or one after the other.
    let repeated = Tensor::cat(&[&one, &one, &one], 0).unwrap();
    let together = model.predict(&repeated, &[500; 3], &prompts, None).unwrap();
    let spread = model.predict(&one, &[500], &prompts, None).unwrap();
    assert!(relative_l2(&spread, &together) <= 1e-6);
    let prepared = model.unet().prepare(&one, &[500]).unwrap();
    for i in 0..3 {
        let prompt = PromptBatch {
            context: prompts.context.narrow(0, i, 1).unwrap(),
            added: Some(prompts.added.as_ref().unwrap().narrow(0, i, 1).unwrap()),
        };
        let output = prepared.forward(prompt, None).unwrap();
        assert!(relative_l2(&output, &together.narrow(0, i, 1).unwrap()) <= 1e-6);
    }
}

fn sizes() -> SizeConditions {
    SizeConditions {
        original_size: Some("20x28".parse().unwrap()),
        crops_coords_top_left: Some("3x5".parse().unwrap()),
        target_size: Some("32x30".parse().unwrap()),
    }
}

#[test]
fn added_conditions_are_neither_forgotten_nor_invented() {
    let (model, expected) = (load(&folder()), Expected::open());
    let x = expected.get("x").narrow(0, 0, 1).unwrap();
    let context = &first_three(&model).context.narrow(0, 0, 1).unwrap();
    let message = model.predict(&x, &[500], context, None).unwrap_err().to_string();
    assert!(message.contains("added conditions"), "{message}");
    let sd = ModelSource::Embedded("emoji-eps".into()).with_sizes(sizes());
    let message = Blueprint::read(&sd, ScheduleCheck::Protocol).unwrap_err().to_string();
    assert!(message.contains("--original-size") && message.contains("only SDXL"), "{message}");
    let fingerprints = [folder(), folder().with_sizes(sizes())].map(|source| load(&source).fingerprint().to_owned());
    assert_ne!(fingerprints[0], fingerprints[1]);
}

/// `StableDiffusionXLPipeline.__call__` with the DDIM scheduler, 50 steps, guidance 7.5.
#[test]
fn guided_runs_end_where_the_pipeline_does() {
    let expected = Expected::open();
    let copy = crate::folders::Folder::of(&fixtures().join("model"));
    let run = |model: &LatentDiffusion, name: &str| {
        let prompt = model.encode_prompts(&PROMPTS[..1]).unwrap().remove(0);
        let empty = model.encode_unconditional().unwrap();
        let noise = vec![expected.numbers("noise")];
        let last = model.sample(noise, &prompt, &empty, Sampling::default(), |_| Ok(())).unwrap();
        let last = model.latents(last.concat()).unwrap();
        let error = relative_l2(&last, expected.get(name));
        println!("{name}: relative L2 {error:.2e}");
        assert!(error <= 1e-4, "{name}: relative L2 {error:.2e}");
    };
    run(&load(&folder()), "latent.final");
    run(&load(&folder().with_sizes(sizes())), "latent.sizes");
    copy.set("model_index.json", "force_zeros_for_empty_prompt", json!(false));
    let encoded = copy.load().unwrap();
    assert_ne!(encoded.fingerprint(), load(&folder()).fingerprint());
    run(&encoded, "latent.encoded_empty");
    copy.set("model_index.json", "force_zeros_for_empty_prompt", json!(true));
    copy.set("scheduler/scheduler_config.json", "prediction_type", json!("v_prediction"));
    run(&copy.load().unwrap(), "latent.v");
    let decoded = load(&folder()).vae().unwrap().decode(&expected.get("x").narrow(0, 0, 1).unwrap()).unwrap();
    expected.assert_close("decoded", &decoded);
}

/// What detectors are made of: the norm of c − u at t = 981 and the cosine of u and c − u at t = 1, channel by channel.
#[test]
fn norm_and_cosine_are_those_of_diffusers() {
    let (model, expected) = (load(&folder()), Expected::open());
    let (prompts, empty) = (model.encode_prompts(&PROMPTS).unwrap(), model.encode_unconditional().unwrap());
    let x = expected.numbers("noise");
    let at = |t| {
        let of = |prompt| PredictionInput { x: &x, t, prompt };
        let inputs: Vec<PredictionInput> = std::iter::once(&empty).chain(&prompts).map(of).collect();
        model.predict_batch(&inputs).unwrap()
    };
    let (far, near) = (at(981), at(1));
    let area = 16 * 16;
    for (i, (norm, cosine)) in
        expected.numbers("detection.norm").into_iter().zip(expected.numbers("detection.cosine")).enumerate()
    {
        let squares = far[i + 1].output.iter().zip(&far[0].output).map(|(c, u)| f64::from(c - u).powi(2));
        let got = squares.sum::<f64>().sqrt();
        assert!((got / f64::from(norm) - 1.0).abs() < TOLERANCE, "{}: norm {got} {norm}", PROMPTS[i]);
        let (u, c) = (&near[0].output, &near[i + 1].output);
        let at_pixel = |p: usize| {
            let channels = (0..4).map(|k| (f64::from(u[k * area + p]), f64::from(c[k * area + p] - u[k * area + p])));
            let (uu, dd, ud) = channels.fold((0.0, 0.0, 0.0), |(a, b, c), (u, d)| (a + u * u, b + d * d, c + u * d));
            ud / (uu * dd).sqrt()
        };
        let got = (0..area).map(at_pixel).sum::<f64>() / area as f64;
        assert!((got - f64::from(cosine)).abs() < TOLERANCE, "{}: cosine {got} {cosine}", PROMPTS[i]);
    }
}

#[test]
fn derivatives_are_those_of_torch() {
    let (model, expected) = (load(&folder()), Expected::open());
    let prompt = stacked(&model.encode_prompts(&PROMPTS[..1]).unwrap());
    let empty = stacked(&[model.encode_unconditional().unwrap()]);
    let dual = Dual::variable(expected.get("noise").clone(), expected.get("tangent").clone()).unwrap();
    let output: Dual = model.predict(&dual, &[981], prompt.constant(), None).unwrap();
    expected.assert_close("jvp", &output.tangent().unwrap());

    let x = expected.get("noise");
    let (c, u) = (model.trace(x, &[981], &prompt).unwrap(), model.trace(x, &[981], &empty).unwrap());
    let difference = (c.output() - u.output()).unwrap();
    let norm = difference.sqr().unwrap().sum_all().unwrap().sqrt().unwrap();
    let cotangent = difference.broadcast_div(&norm).unwrap();
    let (of_c, of_u) = (c.clone().vjp(&cotangent).unwrap(), u.vjp(&cotangent.neg().unwrap()).unwrap());
    for (name, got) in [("gradient.x", (of_c.x + of_u.x).unwrap()), ("gradient.context", of_c.context.clone())] {
        let error = relative_l2(&got, expected.get(name));
        assert!(error <= 1e-4, "{name}: {error:.2e}");
    }
    assert_eq!(relative_l2(&c.vjp_context(&cotangent).unwrap(), &of_c.context), 0.0);

    // One latent under several prompts: traces and candle's own reverse mode agree.
    let prompts = first_three(&model);
    let (x, cotangent) = (Var::from_tensor(x).unwrap(), expected.get("output.t500"));
    let output = model.predict(x.as_tensor(), &[500], &prompts, None).unwrap();
    let plain = (output * cotangent).unwrap().sum_all().unwrap().backward().unwrap();
    let traced = model.trace(x.as_tensor(), &[500], &prompts).unwrap().vjp(cotangent).unwrap();
    assert!(relative_l2(&traced.x, plain.get(&x).unwrap()) <= 1e-6);
    let constant: Tensor = Value::constant(cotangent);
    assert_eq!(constant.dims(), cotangent.dims());
}

fn single_file() -> ModelSource {
    let source: ModelSource = fixtures().join("single.safetensors").to_str().unwrap().parse().unwrap();
    let options = FileOptions { config: Some(fixtures().join("model")), ..FileOptions::default() };
    source.with_file_options(options).unwrap()
}

/// diffusers' conversions found the folder's weights in the file when it was made.
#[test]
fn a_single_file_gives_the_bits_of_its_folder() {
    let [file, model] = [single_file(), folder()].map(|source| load(&source));
    let [a, b] = [&file, &model].map(|model| model.encode_prompts(&PROMPTS).unwrap());
    assert_eq!(relative_l2(&stacked(&a).context, &stacked(&b).context), 0.0);
    assert_eq!(relative_l2(&pooled(&a), &pooled(&b)), 0.0);
    let expected = Expected::open();
    let [a, b] = [&file, &model].map(|m| m.predict(expected.get("x"), &[981; 3], first_three(m), None).unwrap());
    assert_eq!(relative_l2(&a, &b), 0.0);
    let latent = expected.get("x").narrow(0, 0, 1).unwrap();
    let [a, b] = [&file, &model].map(|model| model.vae().unwrap().decode(&latent).unwrap());
    assert_eq!(relative_l2(&a, &b), 0.0);
    let summary = ModelSummary::of(&single_file()).unwrap();
    assert_eq!(summary.family, "Stable Diffusion XL");
    assert_eq!(summary.networks.len(), 4, "{summary}");
    assert_eq!(summary.unused.len(), 1, "{summary}");
    assert_eq!(summary.sizes, Some([32, 32, 0, 0, 32, 32]));
}

/// `load_lora_weights` and `fuse_lora(lora_scale=0.75)` of the same files: sd-scripts' names, which follow LDM's blocks, and
/// diffusers' own.
#[test]
fn loras_reach_all_three_networks() {
    let expected = Expected::open();
    for name in ["kohya", "diffusers"] {
        let file = fixtures().join(format!("lora-{name}.safetensors"));
        let model = load(&folder().with_loras(vec![Lora { file, scale: 0.75 }]));
        let prompts = model.encode_prompts(&PROMPTS[..3]).unwrap();
        expected.assert_close(&format!("lora.{name}.context"), &stacked(&prompts).context);
        expected.assert_close(&format!("lora.{name}.pooled"), &pooled(&prompts));
        let output = model.predict(expected.get("x"), &[500; 3], stacked(&prompts), None).unwrap();
        expected.assert_close(&format!("lora.{name}.output"), &output);
    }
    let sd = ModelSource::Embedded("emoji-eps".into());
    let lora = Lora { file: fixtures().join("lora-kohya.safetensors"), scale: 1.0 };
    let error = Blueprint::read(&sd.with_loras(vec![lora]), ScheduleCheck::Protocol).unwrap_err();
    assert!(matches!(&error, Error::LoraKeys { names, .. } if names.contains("lora_te2")), "{error}");
}

#[test]
fn other_pipelines_and_distilled_models_are_refused_by_name() {
    let copy = crate::folders::Folder::of(&fixtures().join("model"));
    for class in
        ["StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline", "StableDiffusionInpaintPipeline"]
    {
        copy.set("model_index.json", "_class_name", json!(class));
        let message = copy.refusal();
        assert!(message.contains(class) && message.contains("refining"), "{message}");
    }
    copy.set("model_index.json", "_class_name", json!("StableDiffusionXLPipeline"));
    copy.set("model_index.json", "text_encoder", json!([null, null]));
    assert!(copy.refusal().contains("'text_encoder'"), "{}", copy.refusal());
    copy.set("model_index.json", "text_encoder", json!(["transformers", "CLIPTextModel"]));
    let scheduler = "scheduler/scheduler_config.json";
    copy.set(scheduler, "timestep_spacing", json!("trailing"));
    let message = copy.refusal();
    assert!(message.contains("Turbo") && message.contains("--accept-schedule"), "{message}");
    copy.set(scheduler, "timestep_spacing", json!("leading"));
    copy.set(scheduler, "_class_name", json!("LCMScheduler"));
    let message = copy.refusal();
    assert!(message.contains("LCMScheduler") && message.contains("--accept-schedule"), "{message}");
    copy.set(scheduler, "_class_name", json!("EulerDiscreteScheduler"));
    copy.set("unet/config.json", "projection_class_embeddings_input_dim", json!(69));
    assert!(copy.refusal().contains("projection_dim"), "{}", copy.refusal());
}
