//! A model as an experiment file names it.

use std::fmt;

use memscope_model::{
    CheckpointWeights, FileOptions, Lora, ModelSource, Parameterization, Pixels, ScheduleCheck, SizeConditions, Variant,
};
use memscope_results::paper::Model as PaperModel;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    file_path::{FilePath, beside},
    text,
};

/// A model of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// `embedded:NAME`, `sd14`, `sd20`, `rv51`, a folder in diffusers layout or a checkpoint file (relative to this file),
    /// or a Hub id, `owner/name[@revision]`.
    #[schemars(with = "String")]
    pub source: NamedSource,
    /// The variant of the weight files, e.g. `fp16` for `*.fp16.safetensors`; by default those without one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "word")]
    #[schemars(with = "Option<String>")]
    pub variant: Option<Variant>,
    /// LoRA files that are merged into the weights, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lora: Vec<LoraEntry>,
    /// For a checkpoint file: a VAE in place of the one inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vae: Option<FilePath>,
    /// For a checkpoint file: a folder in diffusers layout, or `embedded:NAME`, whose configurations and tokenizer describe
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<FilePath>,
    /// For a checkpoint file: what its network predicts, `epsilon` or `v_prediction`, where the file does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "word")]
    #[schemars(with = "Option<String>")]
    pub prediction_type: Option<Parameterization>,
    /// For a checkpoint file: which weights of its UNet are read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weights: WeightsChoice,
    /// What SDXL is told of a picture's size; what is left out has the pipeline's default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sizes: SizeSettings,
    /// Measure the model even if its scheduler's timesteps are not the protocol's 981, 961, ..., 1.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_schedule: bool,
    /// The paper's column that is printed beside it: the same kind of network, not the same model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper: Option<PaperModel>,
}

/// A LoRA file of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoraEntry {
    /// The file (`.safetensors`, `.pt`, `.bin`), relative to this file.
    pub file: FilePath,
    /// Factor of its changes.
    #[serde(default = "one")]
    pub scale: f64,
}

fn one() -> f64 {
    1.0
}

/// Which weights of a checkpoint that has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightsChoice {
    /// The trained ones, as diffusers reads them.
    #[default]
    Trained,
    /// Their moving average (`model_ema.*`).
    Ema,
}

/// SDXL's size conditions in pixels: `[height, width]`, or `[top, left]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SizeSettings {
    /// Height and width before the picture was cut; by default those of the model's pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_size: Option<[u32; 2]>,
    /// Where it was cut, from the top and from the left; by default 0 and 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crops_coords_top_left: Option<[u32; 2]>,
    /// Height and width after it was cut; by default those of the model's pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_size: Option<[u32; 2]>,
}

impl From<SizeSettings> for SizeConditions {
    fn from(settings: SizeSettings) -> Self {
        Self {
            original_size: settings.original_size.map(Pixels),
            crops_coords_top_left: settings.crops_coords_top_left.map(Pixels),
            target_size: settings.target_size.map(Pixels),
        }
    }
}

impl From<SizeConditions> for SizeSettings {
    fn from(sizes: SizeConditions) -> Self {
        let numbers = |pixels: Option<Pixels>| pixels.map(|Pixels(numbers)| numbers);
        Self {
            original_size: numbers(sizes.original_size),
            crops_coords_top_left: numbers(sizes.crops_coords_top_left),
            target_size: numbers(sizes.target_size),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

// The form that serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl ModelEntry {
    /// An entry that says no more than where a model comes from.
    ///
    /// # Errors
    /// When `name` is no model.
    pub fn of(name: &str) -> memscope_model::Result<Self> {
        Ok(Self {
            source: NamedSource { name: name.to_owned(), source: name.parse()? },
            variant: None,
            lora: vec![],
            vae: None,
            config: None,
            prediction_type: None,
            weights: WeightsChoice::default(),
            sizes: SizeSettings::default(),
            accept_schedule: false,
            paper: None,
        })
    }

    /// The model that is meant.
    ///
    /// # Errors
    /// When something is given for a model that has no use for it: a variant, or options of a checkpoint file.
    pub(super) fn model(&self) -> memscope_model::Result<ModelSource> {
        let options = FileOptions {
            vae: self.vae.clone().map(|FilePath(path)| path),
            config: self.config.clone().map(|FilePath(path)| path),
            prediction: self.prediction_type,
            weights: match self.weights {
                WeightsChoice::Trained => CheckpointWeights::Trained,
                WeightsChoice::Ema => CheckpointWeights::Averaged,
            },
        };
        let lora = |entry: &LoraEntry| match entry.scale.is_finite() {
            true => Ok(Lora { file: entry.file.0.clone(), scale: entry.scale }),
            false => Err(memscope_model::Error::Argument(format!("the LoRA's scale {} is not finite", entry.scale))),
        };
        let loras = self.lora.iter().map(lora).collect::<memscope_model::Result<_>>()?;
        let source = self.source.source.clone().with_variant(self.variant.clone())?.with_file_options(options)?;
        Ok(source.with_loras(loras).with_sizes(self.sizes.into()))
    }

    /// What is done about a schedule that is not the protocol's.
    pub fn schedule_check(&self) -> ScheduleCheck {
        ScheduleCheck::accepting(self.accept_schedule)
    }
}

/// A model source with the name it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSource {
    name: String,
    source: ModelSource,
}

impl NamedSource {
    /// The name as written; a folder relative to the file has the file's folder in front.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for NamedSource {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Serialize for NamedSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for NamedSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut name = String::deserialize(deserializer)?;
        if let Some(path) = beside(&name)
            && let Some(path) = path.to_str()
        {
            path.clone_into(&mut name);
        }
        let source = name.parse().map_err(|e| de::Error::custom(format!("models: {e}")))?;
        Ok(Self { name, source })
    }
}

/// An optional word, read where the file is read.
mod word {
    use std::{fmt::Display, str::FromStr};

    use super::{Deserialize, Deserializer, Serializer, de, text};

    // The form that serde asks for.
    #[allow(clippy::ref_option)]
    pub(super) fn serialize<T: Display, S: Serializer>(word: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match word {
            Some(word) => text::serialize(word, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let word = Option::<String>::deserialize(deserializer)?;
        word.map(|word| word.parse().map_err(de::Error::custom)).transpose()
    }
}
