//! A model in one file (`.safetensors`, or a pickle of PyTorch), in the layout of latent-diffusion (LDM) training code: the form in which model
//! sites hand models out. Its tensors are seen under the names that a folder would give them, and its configurations are
//! written from their shapes.

mod family;
mod names;
mod shape;
mod statements;
mod tokenizer;
mod unused;
mod view;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use serde_json::Value;

pub(crate) use names::ldm_of_unet;
pub(crate) use view::View;

use memscope_text::excerpt;

use self::{
    family::{Family, TextKind, TextLayout, inferred},
    shape::Shapes,
    statements::Statements,
    unused::explained,
};
use crate::{
    bytes::Bytes,
    error::{Error, Result},
    file_names::SCHEDULER,
    parameterization::Parameterization,
    tensor_file::{Header, Stored},
};

/// How a single file is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// A VAE in place of the one inside: a `.safetensors` or PyTorch file in LDM or diffusers layout.
    pub vae: Option<PathBuf>,
    /// A folder in diffusers layout, or `embedded:NAME`, whose configurations and tokenizer describe the file, in place
    /// of those of Stable Diffusion.
    pub config: Option<PathBuf>,
    /// What the network's output means, where the file does not say it.
    pub prediction: Option<Parameterization>,
    /// Which weights of the UNet are read.
    pub weights: CheckpointWeights,
}

/// Which weights of a UNet, where a file has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckpointWeights {
    /// The trained ones, as diffusers reads them.
    #[default]
    Trained,
    /// Their moving average (`model_ema.*`), which files for further training hold beside them.
    Averaged,
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
    /// Whether the UNet's averaged weights are read.
    pub(crate) averaged: bool,
    /// What says that the model was distilled for a few steps, if anything does.
    pub(crate) distilled: Option<String>,
    /// Tensors that no network uses, and why that is right.
    pub(crate) unused: Vec<(String, &'static str)>,
}

const UNET: &str = "model.diffusion_model.";
const VAE: &str = "first_stage_model.";

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
        let bytes = open(path)?;
        let header = Header::read(&label, &bytes)?;
        let fail = |reason: &str| Error::Checkpoint { file: label.clone(), reason: reason.to_owned() };
        recognise(&header).map_err(|reason| fail(&reason))?;
        let mut draft =
            Draft { header: &header, label: label.clone(), networks: BTreeMap::new(), configs: HashMap::new() };
        let unet = shape::UNet::of(&draft.shapes(UNET))
            .ok_or_else(|| fail("its UNet has another structure than Stable Diffusion's"))?;
        draft.network("unet", &[&label], &[&bytes], &header, UNET, |name| one(names::unet(name, unet.layout)))?;
        if options.weights == CheckpointWeights::Averaged {
            draft.average("unet", UNET)?;
        }
        let family = Family::of(&header)
            .ok_or_else(|| fail("it holds no text encoder (cond_stage_model.* or conditioner.embedders.*)"))?;
        if (family == Family::Xl) != unet.added.is_some() {
            return Err(fail("its UNet and its text encoders belong to different models (label_emb.* is SDXL's)"));
        }
        family.text_encoders().iter().try_for_each(|layout| draft.text_encoder(&bytes, *layout))?;
        draft.vae(&bytes, options.vae.as_deref(), family)?;
        let says = Statements::read(&header, path);
        let stated = options.prediction.or(says.prediction);
        let mut files = vec![bytes];
        files.extend(options.vae.as_deref().map(open).transpose()?);
        let small = match described {
            Some(mut small) => {
                options.prediction.into_iter().for_each(|prediction| restate(&mut small, prediction));
                small
            }
            None => {
                let prediction = match (stated, family) {
                    (Some(stated), _) => stated,
                    (None, Family::First | Family::Xl) => {
                        tracing::warn!(
                            "{label} does not say what its network predicts; taken for epsilon, as {} does (else give \
                             --prediction-type v_prediction)",
                            family.name()
                        );
                        Parameterization::Epsilon
                    }
                    (None, Family::Second) => {
                        return Err(fail(
                            "Stable Diffusion 2 exists with epsilon (512) and v_prediction (768), and the file does not say which it is: give --prediction-type epsilon or v_prediction",
                        ));
                    }
                };
                let sample = match (family, prediction) {
                    (Family::Xl, _) => 128,
                    (Family::Second, Parameterization::V) => 96,
                    (Family::First | Family::Second, _) => 64,
                };
                draft.configs.insert("unet/config.json", unet.config(sample));
                inferred(&draft.configs, family, prediction, says.zero_snr)?
            }
        };
        let Draft { networks, .. } = draft;
        let averaged = options.weights == CheckpointWeights::Averaged;
        let unused = explained(&header, &networks, &label, averaged)?;
        let architecture = family.name().to_owned();
        Ok(Self {
            path: path.to_owned(),
            files,
            small,
            networks,
            architecture,
            averaged,
            distilled: says.distilled,
            unused,
        })
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

/// Says by name what a file is that is no checkpoint of Stable Diffusion.
fn recognise(header: &Header) -> std::result::Result<(), String> {
    let any = |test: &dyn Fn(&str) -> bool| header.tensors.keys().any(|name| test(name));
    let starts = |prefix: &str| any(&|name| name.starts_with(prefix));
    let what = if any(&|name| name.starts_with("lora_") || name.contains(".lora_") || name.contains("lora_A")) {
        "it is a LoRA; give the base with --model and this file with --lora"
    } else if starts("conditioner.embedders.0.model.") {
        "it is SDXL's refiner, which continues pictures and predicts nothing from pure noise; give the base model"
    } else if starts(UNET) {
        return match header.tensors.get("model.diffusion_model.input_blocks.0.0.weight").map(|stored| &stored.shape[..]) {
            Some([_, 9, ..]) => Err("it is an inpainting model (9 channels), which predicts from a picture and a mask, not from a prompt alone".into()),
            Some([_, 8, ..]) => Err("it is a model for image editing (8 channels), which predicts from a picture, not from a prompt alone".into()),
            Some([_, 5, ..]) => Err("it is a depth model (5 channels), which predicts from a depth map, not from a prompt alone".into()),
            _ => Ok(()),
        };
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

    fn text_encoder(&mut self, bytes: &Bytes, layout: TextLayout) -> Result<()> {
        let (header, label) = (self.header, self.label.clone());
        let TextLayout { folder, prefix, kind } = layout;
        match kind {
            TextKind::Clip => self.network(folder, &[&label], &[bytes], header, prefix, |name| {
                let name = name.strip_prefix("text_model.").unwrap_or(name);
                let is_used =
                    ["embeddings.", "encoder.", "final_layer_norm."].iter().any(|part| name.starts_with(part));
                one(is_used.then(|| name.to_owned()))
            })?,
            TextKind::OpenClip => {
                self.network(folder, &[&label], &[bytes], header, prefix, names::open_clip)?;
            }
        }
        let shapes: BTreeMap<String, Vec<usize>> = self.networks.get(folder).map_or_else(BTreeMap::new, |network| {
            let seen = |(name, entry): (&String, &Entry)| (name.clone(), entry.view.shape(&entry.stored.shape));
            network.entries.iter().map(seen).collect()
        });
        let shapes: Shapes = shapes.iter().map(|(name, shape)| (name.as_str(), &shape[..])).collect();
        // The last of OpenCLIP ViT-H's 24 layers is not used; tools leave it out or in.
        let is_second = kind == TextKind::OpenClip && folder == "text_encoder";
        let skipped = usize::from(is_second && shapes.contains_key("encoder.layers.23.layer_norm1.weight"));
        let activation = if kind == TextKind::OpenClip { "gelu" } else { "quick_gelu" };
        let config = shape::text_encoder(&shapes, activation, skipped).ok_or_else(|| Error::Checkpoint {
            file: label.clone(),
            reason: format!("its text encoder below {prefix} lacks tensors"),
        })?;
        let name = if folder == "text_encoder" { "text_encoder/config.json" } else { "text_encoder_2/config.json" };
        self.configs.insert(name, config);
        Ok(())
    }

    /// Replaces a network's tensors, below a prefix, by their averages. Their names lack the dots.
    fn average(&mut self, folder: &str, prefix: &str) -> Result<()> {
        let Some(network) = self.networks.get_mut(folder) else { return Ok(()) };
        let mut averages = HashMap::new();
        for (name, stored) in self.header.tensors.iter().filter(|(name, _)| name.starts_with(prefix)) {
            let flat = name.strip_prefix("model.").unwrap_or(name).replace('.', "");
            let average = self.header.tensors.get(&format!("model_ema.{flat}")).ok_or_else(|| Error::Checkpoint {
                file: self.label.clone(),
                reason: format!("it has no average of '{}' (model_ema.*); leave --ema out", excerpt(name)),
            })?;
            averages.insert(stored.start, average.clone());
        }
        for entry in network.entries.values_mut() {
            if let Some(average) = averages.get(&entry.stored.start) {
                entry.stored = average.clone();
            }
        }
        Ok(())
    }

    /// The VAE inside, or the one of its own file.
    fn vae(&mut self, bytes: &Bytes, own: Option<&Path>, family: Family) -> Result<()> {
        let scaling = if family == Family::Xl { XL_SCALING } else { SCALING };
        let header;
        let (header, label, bytes, prefix) = match own {
            None => (self.header, self.label.clone(), bytes.clone(), VAE),
            Some(path) => {
                let (label, bytes) = (path.display().to_string(), open(path)?);
                header = Header::read(&label, &bytes)?;
                let inside = header.tensors.keys().any(|name| name.starts_with(VAE));
                (&header, label, bytes, if inside { VAE } else { "" })
            }
        };
        if header.tensors.keys().any(|name| name.starts_with("encoder.down_blocks.")) {
            self.network("vae", &[&label], &[&bytes], header, "", |name| one(Some(name.to_owned())))?;
            // The same network under the other names.
            self.configs.insert("vae/config.json", diffusers_vae(&shapes(header, ""), scaling));
            return Ok(());
        }
        let Some((config, levels)) = shape::vae(&shapes(header, prefix), scaling) else {
            return match own {
                None => Ok(()),
                Some(_) => Err(Error::Checkpoint { file: label, reason: "it is no VAE of Stable Diffusion".into() }),
            };
        };
        self.configs.insert("vae/config.json", config);
        self.network("vae", &[&label], &[&bytes], header, prefix, |name| one(names::vae(name, levels)))
    }
}

/// Scaling factors of the latents.
const SCALING: f64 = 0.18215;
const XL_SCALING: f64 = 0.13025;

/// The config.json of a VAE under diffusers' names.
fn diffusers_vae(shapes: &Shapes, scaling: f64) -> Value {
    let renamed: BTreeMap<String, &[usize]> = shapes
        .iter()
        .map(|(name, shape)| {
            let name = name.replace("encoder.down_blocks.", "encoder.down.").replace(".resnets.", ".block.");
            (name, *shape)
        })
        .collect();
    let renamed: Shapes = renamed.iter().map(|(name, shape)| (name.as_str(), *shape)).collect();
    shape::vae(&renamed, scaling).map_or(Value::Null, |(config, _)| config)
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
