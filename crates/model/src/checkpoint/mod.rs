//! A model in one `.safetensors` file, in the layout of latent-diffusion (LDM) training code: the form in which model
//! sites hand models out. Its tensors are seen under the names that a folder would give them, and its configurations are
//! written from their shapes.

mod names;
mod prediction;
mod shape;
mod tokenizer;
mod view;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

pub(crate) use view::View;

use self::shape::Shapes;
use crate::{
    bytes::Bytes,
    error::{Error, Result},
    excerpt::excerpt,
    safetensors_file::{Header, Stored},
    schedule::Parameterization,
};

/// How a single file is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// A VAE in place of the one inside: a `.safetensors` file in LDM or diffusers layout.
    pub vae: Option<PathBuf>,
    /// A folder in diffusers layout, or `embedded:NAME`, whose configurations and tokenizer describe the file, in place
    /// of those of Stable Diffusion.
    pub config: Option<PathBuf>,
    /// What the network's output means, where the file does not say it.
    pub prediction: Option<Parameterization>,
}

/// A tensor of a network and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Which of the network's files.
    pub(crate) shard: usize,
    pub(crate) stored: Stored,
    pub(crate) view: View,
}

/// The tensors of one network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    /// Files with their names in messages.
    pub(crate) shards: Vec<(String, Bytes)>,
    pub(crate) entries: BTreeMap<String, Entry>,
}

/// A checkpoint, its tensors unread.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) path: PathBuf,
    /// The file, and the VAE's where it has its own.
    pub(crate) files: Vec<Bytes>,
    /// The small files that a folder would have.
    pub(crate) small: BTreeMap<String, Vec<u8>>,
    networks: BTreeMap<&'static str, Network>,
    /// What it is, in short.
    pub(crate) architecture: String,
    /// Tensors that no network uses, and why that is right.
    pub(crate) unused: Vec<(String, &'static str)>,
}

const UNET: &str = "model.diffusion_model.";
const VAE: &str = "first_stage_model.";
const TEXT: &str = "cond_stage_model.transformer.";
const OPEN_CLIP: &str = "cond_stage_model.model.";

/// What else a checkpoint may hold: (beginning or whole name, why it is not used).
const EXPLAINED: [(&str, &str); 17] = [
    ("model_ema.", "averaged weights (EMA) beside the trained ones; as diffusers, the trained ones are used"),
    ("first_stage_model.loss.", "the VAE's training loss"),
    ("first_stage_model.model_ema.", "averaged weights of the VAE"),
    ("cond_stage_model.logit_scale", "of CLIP's training loss"),
    ("cond_stage_model.model.logit_scale", "of CLIP's training loss"),
    ("cond_stage_model.transformer.logit_scale", "of CLIP's training loss"),
    ("cond_stage_model.transformer.text_projection", "not used by Stable Diffusion 1"),
    ("cond_stage_model.text_projection", "not used by Stable Diffusion 1"),
    ("cond_stage_model.model.text_projection", "not used by Stable Diffusion 2"),
    ("embedding_manager.", "of textual inversion's training"),
    ("betas", "noise schedule, computed"),
    ("alphas_cumprod", "noise schedule, computed"),
    ("sqrt_", "noise schedule, computed"),
    ("log_one_minus_alphas", "noise schedule, computed"),
    ("posterior_", "noise schedule, computed"),
    ("logvar", "noise schedule, computed"),
    ("v_pred", "a mark"),
];

impl Checkpoint {
    /// Opens a file and finds out what it is; `described` are the small files of a folder that describes it.
    ///
    /// # Errors
    ///
    /// Where the file is not a whole model of a known kind, or does not say what its output means.
    pub(crate) fn open(
        path: &Path,
        options: &FileOptions,
        described: Option<BTreeMap<String, Vec<u8>>>,
    ) -> Result<Self> {
        let label = path.display().to_string();
        refuse_pickle(path)?;
        let bytes = open(path)?;
        let header = Header::read(&label, &bytes)?;
        let fail = |reason: &str| Error::Checkpoint { file: label.clone(), reason: reason.to_owned() };
        recognise(&header).map_err(|reason| fail(&reason))?;
        let mut draft =
            Draft { header: &header, label: label.clone(), networks: BTreeMap::new(), configs: HashMap::new() };
        let unet = shape::UNet::of(&draft.shapes(UNET))
            .ok_or_else(|| fail("its UNet has another structure than Stable Diffusion's"))?;
        draft.network("unet", &[&label], &[&bytes], &header, UNET, |name| one(names::unet(name, unet.layout)))?;
        let second =
            draft.text_encoder(&bytes).ok_or_else(|| fail("it holds no text encoder (cond_stage_model.*)"))??;
        draft.vae(&bytes, options.vae.as_deref())?;
        let stated = options
            .prediction
            .or_else(|| prediction::stated(&header.metadata, |name| header.tensors.contains_key(name)));
        let mut files = vec![bytes];
        files.extend(options.vae.as_deref().map(open).transpose()?);
        let small = match described {
            Some(mut small) => {
                options.prediction.into_iter().for_each(|prediction| restate(&mut small, prediction));
                small
            }
            None => {
                let prediction = match (stated, second) {
                    (Some(stated), _) => stated,
                    (None, false) => {
                        tracing::info!(
                            "{label}: does not say what its output means; Stable Diffusion 1 predicts epsilon"
                        );
                        Parameterization::Epsilon
                    }
                    (None, true) => {
                        return Err(fail(
                            "Stable Diffusion 2 exists with epsilon (512) and v_prediction (768), and the file does not say which it is: give --prediction-type epsilon or v_prediction",
                        ));
                    }
                };
                let sample = if second && prediction == Parameterization::V { 96 } else { 64 };
                draft.configs.insert("unet/config.json", unet.config(sample));
                inferred(&draft.configs, prediction, second)?
            }
        };
        let Draft { networks, .. } = draft;
        let unused = explained(&header, &networks, &label)?;
        let architecture = format!("Stable Diffusion {}", if second { "2.x" } else { "1.x" });
        Ok(Self { path: path.to_owned(), files, small, networks, architecture, unused })
    }

    /// The tensors of a network, by the folder it would have.
    pub(crate) fn network(&self, folder: &str) -> Option<&Network> {
        self.networks.get(folder)
    }
}

fn open(path: &Path) -> Result<Bytes> {
    Bytes::on_disk(path.to_owned()).map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn one(name: Option<String>) -> Vec<(String, View)> {
    name.map(|name| (name, View::Whole)).into_iter().collect()
}

/// Pickles can run programs when they are read.
fn refuse_pickle(path: &Path) -> Result<()> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("ckpt" | "pt" | "pth" | "bin") => Err(Error::Checkpoint {
            file: path.display().to_string(),
            reason: "it is a pickle, which can run programs when it is read; convert it where you trust it: python -c \"import sys,torch; from safetensors.torch import save_file; d=torch.load(sys.argv[1],map_location='cpu',weights_only=True); d=d.get('state_dict',d); save_file({k:v.contiguous().clone() for k,v in d.items() if hasattr(v,'shape')},sys.argv[2])\" IN.ckpt OUT.safetensors".into(),
        }),
        _ => Ok(()),
    }
}

/// Says by name what a file is that is no checkpoint of Stable Diffusion 1 or 2.
fn recognise(header: &Header) -> std::result::Result<(), String> {
    let any = |test: &dyn Fn(&str) -> bool| header.tensors.keys().any(|name| test(name));
    let starts = |prefix: &str| any(&|name| name.starts_with(prefix));
    let what = if any(&|name| name.starts_with("lora_") || name.contains(".lora_") || name.contains("lora_A")) {
        "it is a LoRA; give the base with --model and this file with --lora"
    } else if starts("conditioner.embedders.") || starts("model.diffusion_model.label_emb.") {
        "it is a checkpoint of SDXL, which is not supported"
    } else if starts(UNET) {
        return Ok(());
    } else if starts("down_blocks.") && starts("conv_in.") {
        "it is a UNet in diffusers layout alone; a model is a folder with unet/, text_encoder/, vae/, tokenizer/ and scheduler/ (give the folder), or one file with all networks"
    } else if starts("encoder.") && starts("decoder.") {
        "it is a VAE alone; give it with --vae beside a checkpoint"
    } else if starts("text_model.") {
        "it is a text encoder alone; give the folder of the whole model"
    } else if any(&|name| name.contains("joint_blocks.") || name.contains("double_blocks.")) {
        "it is a transformer model (SD3, Flux), which is not supported"
    } else if starts("model_ema.") {
        "it holds averaged weights (model_ema.*) only; save it with the trained ones"
    } else {
        let first: Vec<String> = header.tensors.keys().take(3).map(|name| excerpt(name)).collect();
        return Err(format!("it is no model that is known here; its tensors begin {}", first.join(", ")));
    };
    Err(what.into())
}

/// A checkpoint being taken apart.
struct Draft<'a> {
    header: &'a Header,
    label: String,
    networks: BTreeMap<&'static str, Network>,
    configs: HashMap<&'static str, Value>,
}

fn shapes<'a>(header: &'a Header, prefix: &str) -> Shapes<'a> {
    let below =
        header.tensors.iter().filter_map(|(name, stored)| Some((name.strip_prefix(prefix)?, &stored.shape[..])));
    below.collect()
}

impl Draft<'_> {
    fn shapes(&self, prefix: &str) -> Shapes<'_> {
        shapes(self.header, prefix)
    }

    /// Adds the tensors below a prefix under their new names; those without one stay unused.
    fn network(
        &mut self,
        folder: &'static str,
        labels: &[&str],
        files: &[&Bytes],
        header: &Header,
        prefix: &str,
        rename: impl Fn(&str) -> Vec<(String, View)>,
    ) -> Result<()> {
        let network = self.networks.entry(folder).or_default();
        network.shards =
            labels.iter().map(|label| (*label).to_owned()).zip(files.iter().map(|file| (*file).clone())).collect();
        for (name, stored) in &header.tensors {
            let Some(rest) = name.strip_prefix(prefix) else { continue };
            for (renamed, view) in rename(rest) {
                let entry = Entry { shard: 0, stored: stored.clone(), view };
                if network.entries.insert(renamed, entry).is_some() {
                    let file = labels.first().map_or("", |label| label).to_owned();
                    return Err(Error::TensorTwice { tensor: excerpt(name), first: file.clone(), second: file });
                }
            }
        }
        Ok(())
    }

    /// Whether it is that of Stable Diffusion 2; `None` where there is none.
    fn text_encoder(&mut self, bytes: &Bytes) -> Option<Result<bool>> {
        let (header, label) = (self.header, self.label.clone());
        let starts = |prefix: &str| header.tensors.keys().any(|name| name.starts_with(prefix));
        let second = starts(OPEN_CLIP);
        let done = match (starts(TEXT), second) {
            (true, false) => self.network("text_encoder", &[&label], &[bytes], header, TEXT, |name| {
                let name = name.strip_prefix("text_model.").unwrap_or(name);
                let is_used =
                    ["embeddings.", "encoder.", "final_layer_norm."].iter().any(|part| name.starts_with(part));
                one(is_used.then(|| name.to_owned()))
            }),
            (false, true) => self.network("text_encoder", &[&label], &[bytes], header, OPEN_CLIP, names::open_clip),
            _ => return None,
        };
        let network = self.networks.get("text_encoder")?;
        let shapes: BTreeMap<String, Vec<usize>> =
            network.entries.iter().map(|(name, entry)| (name.clone(), entry.view.shape(&entry.stored.shape))).collect();
        let shapes: Shapes = shapes.iter().map(|(name, shape)| (name.as_str(), &shape[..])).collect();
        // The last of OpenCLIP ViT-H's 24 layers is not used; tools leave it out or in.
        let skipped = usize::from(second && shapes.contains_key("encoder.layers.23.layer_norm1.weight"));
        let config = shape::text_encoder(&shapes, if second { "gelu" } else { "quick_gelu" }, skipped)?;
        self.configs.insert("text_encoder/config.json", config);
        Some(done.map(|()| second))
    }

    /// The VAE inside, or the one of its own file.
    fn vae(&mut self, bytes: &Bytes, own: Option<&Path>) -> Result<()> {
        let header;
        let (header, label, bytes, prefix) = match own {
            None => (self.header, self.label.clone(), bytes.clone(), VAE),
            Some(path) => {
                refuse_pickle(path)?;
                let (label, bytes) = (path.display().to_string(), open(path)?);
                header = Header::read(&label, &bytes)?;
                let inside = header.tensors.keys().any(|name| name.starts_with(VAE));
                (&header, label, bytes, if inside { VAE } else { "" })
            }
        };
        if header.tensors.keys().any(|name| name.starts_with("encoder.down_blocks.")) {
            self.network("vae", &[&label], &[&bytes], header, "", |name| one(Some(name.to_owned())))?;
            // The same network under the other names.
            self.configs.insert("vae/config.json", diffusers_vae(&shapes(header, "")));
            return Ok(());
        }
        let Some((config, levels)) = shape::vae(&shapes(header, prefix)) else {
            return match own {
                None => Ok(()),
                Some(_) => Err(Error::Checkpoint { file: label, reason: "it is no VAE of Stable Diffusion".into() }),
            };
        };
        self.configs.insert("vae/config.json", config);
        self.network("vae", &[&label], &[&bytes], header, prefix, |name| one(names::vae(name, levels)))
    }
}

/// The config.json of a VAE under diffusers' names.
fn diffusers_vae(shapes: &Shapes) -> Value {
    let renamed: BTreeMap<String, &[usize]> = shapes
        .iter()
        .map(|(name, shape)| {
            let name = name.replace("encoder.down_blocks.", "encoder.down.").replace(".resnets.", ".block.");
            (name, *shape)
        })
        .collect();
    let renamed: Shapes = renamed.iter().map(|(name, shape)| (name.as_str(), *shape)).collect();
    shape::vae(&renamed).map_or(Value::Null, |(config, _)| config)
}

/// Replaces what a scheduler's file says about the meaning of the network's output.
fn restate(small: &mut BTreeMap<String, Vec<u8>>, prediction: Parameterization) {
    let Some(scheduler) = small.get_mut(SCHEDULER) else { return };
    if let Ok(mut config) = crate::json::parse(scheduler)
        && config.is_object()
    {
        config["prediction_type"] = prediction.to_string().into();
        *scheduler = config.to_string().into_bytes();
    }
}

const SCHEDULER: &str = "scheduler/scheduler_config.json";

/// The small files of Stable Diffusion.
fn inferred(
    configs: &HashMap<&'static str, Value>,
    prediction: Parameterization,
    second: bool,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let merges = tokenizer::merges().map_err(|source| Error::Read { path: "merges.txt".into(), source })?;
    let vocabulary = tokenizer::vocabulary(&merges);
    let mut small: BTreeMap<String, Vec<u8>> =
        configs.iter().map(|(name, config)| ((*name).to_owned(), config.to_string().into_bytes())).collect();
    let mut add = |name: &str, value: Value| small.insert(name.to_owned(), value.to_string().into_bytes());
    add("model_index.json", json!({"_class_name": "StableDiffusionPipeline"}));
    let pad = if second { "!" } else { "<|endoftext|>" };
    add("tokenizer/special_tokens_map.json", json!({"pad_token": pad}));
    add(
        SCHEDULER,
        json!({
            "_class_name": "DDIMScheduler",
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "clip_sample": false,
            "prediction_type": prediction.to_string(),
            "set_alpha_to_one": false,
            "steps_offset": 1,
        }),
    );
    small.insert("tokenizer/merges.txt".into(), merges);
    small.insert("tokenizer/vocab.json".into(), vocabulary);
    Ok(small)
}

/// The tensors that no network uses, each with a reason; one without a reason is an error.
fn explained(
    header: &Header,
    networks: &BTreeMap<&'static str, Network>,
    label: &str,
) -> Result<Vec<(String, &'static str)>> {
    let used: std::collections::BTreeSet<u64> = networks
        .values()
        .filter(|network| network.shards.first().is_some_and(|(shard, _)| shard == label))
        .flat_map(|network| network.entries.values().map(|entry| entry.stored.start))
        .collect();
    let own_vae = networks.get("vae").is_some_and(|vae| vae.shards.first().is_some_and(|(shard, _)| shard != label));
    let reason = |name: &str| match own_vae && name.starts_with(VAE) {
        true => Some("another VAE is used"),
        false => EXPLAINED.iter().find(|(start, _)| name.starts_with(start)).map(|(_, reason)| *reason),
    };
    let mut unused = vec![];
    let mut unknown = vec![];
    for (name, stored) in &header.tensors {
        // Empty tensors share their place with the next one.
        if used.contains(&stored.start) && !stored.shape.contains(&0) {
            continue;
        }
        match reason(name) {
            Some(reason) => unused.push((name.clone(), reason)),
            None => unknown.push(name),
        }
    }
    match unknown.first() {
        None => Ok(unused),
        Some(first) => Err(Error::ExtraTensors { file: label.to_owned(), count: unknown.len(), first: excerpt(first) }),
    }
}
