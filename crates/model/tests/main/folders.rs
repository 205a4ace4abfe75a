//! Folders and files as libraries save them, and as nobody should: what diffusers 0.42 computes is computed alike, the
//! rest is refused by name.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use crate::common::{read_tensors, relative_l2};
use candle_core::{Tensor, safetensors};
use memscope_model::{
    Blueprint, CheckpointWeights, Error, FileOptions, LatentDiffusion, Lora, ModelSource, ModelSummary,
    Parameterization, ScheduleCheck, Variant,
};
use serde_json::{Value, json};

pub(crate) const UNET: &str = "unet/diffusion_pytorch_model";

pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub(crate) fn original() -> PathBuf {
    fixtures().join("parity/models/tiny-sd1")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() { copy(&path, &target) } else { fs::write(target, fs::read(path).unwrap()).unwrap() }
    }
}

/// A copy of tiny-sd1 that may be changed; its UNet lies in one file.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    /// A copy of any model.
    pub(crate) fn of(model: &Path) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        copy(model, folder.0.path());
        folder
    }

    pub(crate) fn new() -> Self {
        let folder = Self::of(&original());
        let mut tensors = HashMap::new();
        for part in ["00001", "00002"] {
            let path = folder.path(&format!("{UNET}-{part}-of-00002.safetensors"));
            tensors.extend(read_tensors(&path));
            fs::remove_file(path).unwrap();
        }
        fs::remove_file(folder.path(&format!("{UNET}.safetensors.index.json"))).unwrap();
        folder.write(&format!("{UNET}.safetensors"), &tensors);
        folder
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, tensors: &HashMap<String, Tensor>) {
        safetensors::save(tensors, self.path(file)).unwrap();
    }

    pub(crate) fn unet(&self) -> HashMap<String, Tensor> {
        read_tensors(&self.path(&format!("{UNET}.safetensors")))
    }

    pub(crate) fn set(&self, file: &str, field: &str, value: Value) {
        let mut config: Value = serde_json::from_slice(&fs::read(self.path(file)).unwrap()).unwrap();
        config[field] = value;
        fs::write(self.path(file), config.to_string()).unwrap();
    }

    fn source(&self) -> ModelSource {
        ModelSource::folder(self.0.path())
    }

    pub(crate) fn load(&self) -> memscope_model::Result<LatentDiffusion> {
        LatentDiffusion::load(&self.source())
    }

    pub(crate) fn refusal(&self) -> String {
        self.load().map(|_| ()).unwrap_err().to_string()
    }
}

pub(crate) fn case(name: &str) -> HashMap<String, Tensor> {
    read_tensors(&fixtures().join(format!("parity/tiny-sd1/{name}.safetensors")))
}

pub(crate) fn output(model: &LatentDiffusion) -> Tensor {
    let case = case("unet");
    model.predict(&case["x"], &[981; 3], &case["context"], None).unwrap()
}

pub(crate) fn norm(tensor: &Tensor) -> f64 {
    let numbers: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    numbers.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

pub(crate) fn first(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().narrow(0, 0, 4).unwrap().to_vec1().unwrap()
}

/// The norm and first numbers of `UNet2DConditionModel.from_pretrained(...)(x, 981, context)` without the mid block and
/// with the fields that `EMAModel.save_pretrained` adds (diffusers 0.42.1, torch 2.15).
#[test]
fn compressed_networks_and_training_fields_are_read_as_diffusers_reads_them() {
    let folder = Folder::new();
    folder.set("unet/config.json", "mid_block_type", Value::Null);
    for (field, value) in
        [("decay", json!(0.9999)), ("optimization_step", json!(100)), ("use_ema_warmup", json!(false))]
    {
        folder.set("unet/config.json", field, value);
    }
    let tensors = folder.unet().into_iter().filter(|(name, _)| !name.starts_with("mid_block."));
    folder.write(&format!("{UNET}.safetensors"), &tensors.collect());
    let output = output(&folder.load().unwrap());
    assert!((norm(&output) / 32.812671483677704 - 1.0).abs() < 1e-5, "{}", norm(&output));
    for (got, expected) in
        first(&output).iter().zip([-0.6118215322494507, -0.4427121579647064, -0.048561941832304, -0.405120313167572f32])
    {
        assert!((got - expected).abs() < 1e-4, "{got} {expected}");
    }
}

/// `CLIPTextModel.from_pretrained` with `num_hidden_layers` 1 of 2 (transformers 5.23): the norm and first numbers of the
/// last hidden state.
#[test]
fn clip_skip_leaves_the_last_layers_out() {
    let folder = Folder::new();
    folder.set("text_encoder/config.json", "num_hidden_layers", json!(1));
    let model = folder.load().unwrap();
    let ids: Vec<Vec<u32>> =
        case("text_encoder")["input_ids"].to_dtype(candle_core::DType::U32).unwrap().to_vec2().unwrap();
    let rows: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
    let hidden = model.text_encoders().unwrap()[0].forward(&rows).unwrap().hidden;
    assert!((norm(&hidden) / 52.55607463982911 - 1.0).abs() < 1e-5);
    let expected = [0.7519691586494446, 0.2345363348722458, 2.706467390060425, -1.8469901084899902];
    for (got, expected) in first(&hidden).iter().zip(expected) {
        assert!((got - expected as f32).abs() < 1e-4);
    }
}

#[test]
fn numbers_beyond_any_network_are_refused_before_anything_is_made_of_them() {
    for (file, field, value) in [
        ("unet/config.json", "sample_size", json!(4_294_967_296u64)),
        ("unet/config.json", "layers_per_block", json!(1_000_000_000)),
        ("unet/config.json", "transformer_layers_per_block", json!(1_000_000_000)),
        ("unet/config.json", "in_channels", json!(1u64 << 62)),
        ("unet/config.json", "block_out_channels", json!([1u64 << 62, 8, 8])),
        ("unet/config.json", "block_out_channels", json!(vec![8; 70])),
        ("unet/config.json", "norm_num_groups", json!(0)),
        ("unet/config.json", "sample_size", json!(15)),
        ("unet/config.json", "in_channels", json!(9)),
        ("unet/config.json", "num_class_embeds", json!(10)),
        ("text_encoder/config.json", "num_hidden_layers", json!(1u64 << 40)),
        ("text_encoder/config.json", "vocab_size", json!(1u64 << 40)),
        ("text_encoder/config.json", "num_attention_heads", json!(0)),
        ("scheduler/scheduler_config.json", "num_train_timesteps", json!(4611686018427387904u64)),
        ("vae/config.json", "scaling_factor", json!(0)),
        ("vae/config.json", "layers_per_block", json!(1u64 << 40)),
    ] {
        let folder = Folder::new();
        folder.set(file, field, value);
        let started = std::time::Instant::now();
        let message = Blueprint::read(&folder.source(), ScheduleCheck::Accept).unwrap_err().to_string();
        assert!(message.contains(file) && message.contains(field), "{message}");
        assert!(started.elapsed().as_secs() < 5, "{field}");
    }
}

#[test]
fn a_tensor_in_two_shards_is_refused_with_both_files() {
    let folder = Folder::new();
    let tensors = folder.unet();
    let twice = HashMap::from([("conv_in.bias".to_owned(), (tensors["conv_in.bias"].clone() + 1.0).unwrap())]);
    fs::rename(folder.path(&format!("{UNET}.safetensors")), folder.path("unet/one.safetensors")).unwrap();
    folder.write("unet/two.safetensors", &twice);
    let index = json!({"weight_map": {"conv_in.weight": "one.safetensors", "other": "two.safetensors"}});
    fs::write(folder.path(&format!("{UNET}.safetensors.index.json")), index.to_string()).unwrap();
    let message = folder.refusal();
    for part in ["conv_in.bias", "one.safetensors", "two.safetensors"] {
        assert!(message.contains(part), "{message}");
    }
}

/// A FIFO has no end, a device has no limit, a folder no content.
#[cfg(unix)]
#[test]
fn only_regular_files_are_read() {
    for file in ["unet/config.json", "tokenizer/vocab.json", "scheduler/scheduler_config.json", "unet/weights"] {
        let file = file.replace("unet/weights", &format!("{UNET}.safetensors"));
        for kind in ["fifo", "device", "folder"] {
            let folder = Folder::new();
            let path = folder.path(&file);
            fs::remove_file(&path).unwrap();
            match kind {
                "fifo" => assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success()),
                "device" => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
                _ => fs::create_dir(&path).unwrap(),
            }
            let message = folder.refusal();
            assert!(message.contains("not a regular file") && message.contains(path.to_str().unwrap()), "{message}");
        }
    }
}

#[test]
fn configurations_have_a_limit() {
    let folder = Folder::new();
    fs::write(folder.path("unet/config.json"), format!("{{\"x\": \"{}\"}}", "y".repeat(2 << 20))).unwrap();
    assert!(folder.refusal().contains("unet/config.json"));
}

/// As diffusers: a network that lacks the variant is read without one, if another has it.
#[test]
fn variants_may_differ_by_network() {
    let folder = Folder::new();
    let half: HashMap<String, Tensor> =
        folder.unet().into_iter().map(|(name, t)| (name, t.to_dtype(candle_core::DType::F16).unwrap())).collect();
    folder.write(&format!("{UNET}.fp16.safetensors"), &half);
    let with = |variant: &str| folder.source().with_variant(Some(variant.parse::<Variant>().unwrap())).unwrap();
    let model = LatentDiffusion::load(&with("fp16")).unwrap();
    let error = relative_l2(&output(&model), &case("unet")["output.t981"]);
    assert!(error > 0.0 && error < 5e-3, "{error}");
    assert!(matches!(LatentDiffusion::load(&with("bf16")), Err(Error::NoSuchVariant { .. })));
}

#[test]
fn other_weights_have_another_fingerprint_whatever_their_times_say() {
    let folder = Folder::new();
    let file = format!("{UNET}.safetensors");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
    let age = || fs::File::options().write(true).open(folder.path(&file)).unwrap().set_modified(long_ago).unwrap();
    age();
    let first = folder.load().unwrap().fingerprint().to_owned();
    let other = folder.unet().into_iter().map(|(name, t)| (name, (t * 1.1).unwrap())).collect();
    folder.write(&file, &other);
    age();
    assert_ne!(folder.load().unwrap().fingerprint(), first);
}

fn single_file() -> ModelSource {
    fixtures().join("formats/tiny-sd1.safetensors").to_str().unwrap().parse().unwrap()
}

pub(crate) fn described(source: ModelSource) -> ModelSource {
    source.with_file_options(FileOptions { config: Some(original()), ..FileOptions::default() }).unwrap()
}

/// The file was renamed by `scripts/fixtures/make_single_file.py`, and diffusers' `from_single_file` found the folder's
/// weights in it.
#[test]
fn a_single_file_gives_the_bits_of_its_folder() {
    let [folder, file] = [ModelSource::folder(original()), described(single_file())]
        .map(|source| LatentDiffusion::load(&source).unwrap());
    assert_eq!(relative_l2(&output(&file), &output(&folder)), 0.0);
    let prompts = ["a red hat"];
    let [a, b] = [&file, &folder].map(|model| model.encode_prompts(&prompts).unwrap().remove(0));
    assert_eq!(a.tokens, b.tokens);
    assert_eq!(relative_l2(&a.embedding, &b.embedding), 0.0);
    let latent = &case("vae")["latent"];
    let decoded = file.vae().unwrap().decode(latent).unwrap();
    assert_eq!(relative_l2(&decoded, &folder.vae().unwrap().decode(latent).unwrap()), 0.0);
    assert_ne!(file.fingerprint(), folder.fingerprint());
    let summary = ModelSummary::of(&described(single_file())).unwrap();
    assert_eq!(summary.prediction_type, "epsilon");
    assert_eq!(summary.unused.len(), 2, "{summary}");
    let v = FileOptions { config: Some(original()), prediction: Some(Parameterization::V), ..FileOptions::default() };
    let blueprint = Blueprint::read(&single_file().with_file_options(v).unwrap(), ScheduleCheck::Protocol).unwrap();
    assert_eq!(blueprint.schedule().parameterization(), Parameterization::V);
}

/// `model_ema.` and the name without `model.` and dots, as LDM's training code and diffusers' `extract_ema` have it.
#[test]
fn averaged_weights_are_read_on_demand() {
    let folder = Folder::new();
    let mut tensors = read_tensors(&fixtures().join("formats/tiny-sd1.safetensors"));
    let read = |folder: &Folder| {
        let source: ModelSource = folder.path("all.safetensors").to_str().unwrap().parse().unwrap();
        let weights = CheckpointWeights::Averaged;
        let options = FileOptions { config: Some(original()), weights, ..FileOptions::default() };
        source.with_file_options(options).unwrap()
    };
    folder.write("all.safetensors", &tensors);
    let message = Blueprint::read(&read(&folder), ScheduleCheck::Protocol).unwrap_err().to_string();
    assert!(message.contains("--ema"), "{message}");
    let unet = tensors.keys().filter(|name| name.starts_with("model.diffusion_model.")).cloned().collect::<Vec<_>>();
    for name in unet {
        let flat = name.strip_prefix("model.").unwrap().replace('.', "");
        tensors.insert(format!("model_ema.{flat}"), (&tensors[&name] * 0.5).unwrap());
    }
    folder.write("all.safetensors", &tensors);
    let halved = folder.unet().into_iter().map(|(name, t)| (name, (t * 0.5).unwrap())).collect();
    folder.write(&format!("{UNET}.safetensors"), &halved);
    let averaged = LatentDiffusion::load(&read(&folder)).unwrap();
    assert!(relative_l2(&output(&averaged), &output(&folder.load().unwrap())) < 1e-6);
    let summary = ModelSummary::of(&read(&folder)).unwrap();
    assert!(summary.unused.iter().any(|unused| unused.reason.contains("averages")), "{summary}");
}

/// The text encoder of SD 2.x lies in OpenCLIP's layout, which diffusers' conversion was seen to read in the same way.
/// The file does not say what its network predicts, and that is not guessed.
#[test]
fn a_single_file_of_the_second_generation_keeps_its_text_encoder() {
    let file: ModelSource = fixtures().join("formats/open-clip.safetensors").to_str().unwrap().parse().unwrap();
    let message = Blueprint::read(&file, ScheduleCheck::Protocol).unwrap_err().to_string();
    assert!(message.contains("--prediction-type"), "{message}");
    let second = fixtures().join("parity/models/tiny-sd2");
    let options = FileOptions { config: Some(second.clone()), ..FileOptions::default() };
    let [folder, file] = [ModelSource::folder(second), file.with_file_options(options).unwrap()]
        .map(|source| LatentDiffusion::load(&source).unwrap());
    let [a, b] = [&file, &folder].map(|model| model.encode_prompts(&["a red hat"]).unwrap().remove(0));
    assert_eq!(relative_l2(&a.embedding, &b.embedding), 0.0);
    let case = read_tensors(&fixtures().join("parity/tiny-sd2/unet.safetensors"));
    let [a, b] = [&file, &folder].map(|model| model.predict(&case["x"], &[981; 3], &case["context"], None).unwrap());
    assert_eq!(relative_l2(&a, &b), 0.0);
    assert!(file.vae().map(|_| ()).unwrap_err().to_string().contains("--vae"));
}

#[test]
fn files_that_are_no_models_are_refused_with_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |path: &Path| {
        let source: ModelSource = path.to_str().unwrap().parse().unwrap();
        Blueprint::read(&source, ScheduleCheck::Protocol).unwrap_err().to_string()
    };
    let tensor = |name: &str| {
        let path = folder.path().join(format!("{}.safetensors", name.replace('/', "_")));
        let tensors = HashMap::from([(
            name.to_owned(),
            Tensor::zeros(4, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap(),
        )]);
        safetensors::save(&tensors, &path).unwrap();
        refusal(&path)
    };
    for (name, says) in [
        ("something.else", "something.else"),
        ("conditioner.embedders.0.model.x", "refiner"),
        ("model.diffusion_model.joint_blocks.0.x", "structure"),
        ("double_blocks.0.x", "Flux"),
    ] {
        let message = tensor(name);
        assert!(message.contains(says) && message.contains("is a file"), "{message}");
    }
    assert!(refusal(&fixtures().join("formats/lora-kohya.safetensors")).contains("--lora"));
    let garbage = folder.path().join("x.safetensors");
    for content in [&b""[..], b"12345678", &[255; 64], b"\x02\0\0\0\0\0\0\0{}rest"] {
        fs::write(&garbage, content).unwrap();
        assert!(refusal(&garbage).contains("complete safetensors file"), "{}", refusal(&garbage));
    }
}

/// A LoRA gives what the merged weights give; its scale and its file are part of the fingerprint.
#[test]
fn a_lora_changes_weights_and_fingerprint() {
    let lora = |scale| Lora { file: fixtures().join("formats/lora-kohya.safetensors"), scale };
    let load = |loras| LatentDiffusion::load(&ModelSource::folder(original()).with_loras(loras)).unwrap();
    let expected = read_tensors(&fixtures().join("formats/lora-expected.safetensors"));
    let folder = Folder::new();
    let mut tensors = folder.unet();
    for (name, tensor) in expected {
        if let Some(name) = name.strip_prefix("kohya/") {
            tensors.insert(name.to_owned(), tensor);
        }
    }
    folder.write(&format!("{UNET}.safetensors"), &tensors);
    let (plain, merged) = (load(vec![]), folder.load().unwrap());
    let changed = load(vec![lora(0.75)]);
    assert!(relative_l2(&output(&changed), &output(&merged)) < 1e-6);
    assert!(relative_l2(&output(&changed), &output(&plain)) > 1e-3);
    let fingerprints = [&plain, &changed, &load(vec![lora(0.5)]), &load(vec![lora(0.75), lora(0.75)])]
        .map(|model| model.fingerprint().to_owned());
    for (i, fingerprint) in fingerprints.iter().enumerate() {
        assert!(!fingerprints[..i].contains(fingerprint), "{i}");
    }
    assert!(changed.source().to_string().ends_with("lora-kohya.safetensors:0.75"));
}
