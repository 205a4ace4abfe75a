//! CLIP: pictures and texts in one space (Radford et al. 2021; open_clip).

mod config;
mod names;
mod text;
mod transformer;
mod vision;

use candle_core::{Device, Tensor};
use memscope_model::{PromptTokenizer, text_fix::TextFix, tokenizer::TokenizerFiles};

pub use self::config::{Activation, ClipConfig, TowerConfig};
use self::{names::Reader, text::Text, transformer::rows, vision::Vision};
use crate::{
    alignment::Alignment,
    embedding::Embedding,
    error::{Error, Result},
    files::Files,
    judge::Judge,
    picture::Picture,
    preprocess::Preprocessing,
    weights::Weights,
};

/// Pictures or texts per pass.
const BATCH: usize = 8;

/// Files of weights, the preferred first.
const WEIGHTS: [&str; 6] = [
    "model.safetensors",
    "open_clip_model.safetensors",
    "model.safetensors.index.json",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// A CLIP model with its tokenizer.
pub struct Clip {
    name: String,
    vision: Vision,
    text: Text,
    tokenizer: PromptTokenizer,
    preprocessing: Preprocessing,
    dims: usize,
    device: Device,
}

impl Clip {
    /// Opens `clip/`: transformers' layout (`config.json`) or open_clip's (`open_clip_config.json`), safetensors
    /// first, with `vocab.json` and `merges.txt`; `None` where there is no configuration.
    ///
    /// # Errors
    /// When a file is missing, damaged, or does not fit the configuration.
    pub fn open(files: &Files, device: &Device) -> Result<Option<Self>> {
        Self::open_below(files, "clip", device)
    }

    /// The same for another folder than `clip`.
    pub(crate) fn open_below(files: &Files, folder: &str, device: &Device) -> Result<Option<Self>> {
        let below = |name: &str| format!("{folder}/{name}");
        let first = |names: &[&str]| names.iter().map(|name| below(name)).find(|name| files.has(name));
        let weights = first(&WEIGHTS);
        // A folder may have both; the weights say which of the two belongs to them.
        let is_open_clip = weights.as_ref().is_some_and(|name| name.contains("open_clip"));
        let ours = ["open_clip_config.json", "config.json"];
        let order = if is_open_clip { ours } else { [ours[1], ours[0]] };
        let Some(config_file) = first(&order) else { return Ok(None) };
        let file = files.file_label(&config_file);
        let config =
            ClipConfig::parse(&files.required_text(&config_file)?).map_err(|reason| Error::Config { file, reason })?;
        let weights = weights.ok_or_else(|| files.missing(&below(WEIGHTS[0])))?;
        let preprocessor = below("preprocessor_config.json");
        let preprocessing = match files.text(&preprocessor)? {
            Some(json) => config::preprocessing(&json, config.image_size)
                .map_err(|reason| Error::Config { file: files.file_label(&preprocessor), reason })?,
            None => Preprocessing::clip(config.image_size),
        };
        let tokenizer = open_tokenizer(files, folder, config.context)?;
        Self::load(files, &weights, &config, preprocessing, tokenizer, device).map(Some)
    }

    /// Loads the weights in one file, or in the files that an index lists.
    ///
    /// # Errors
    /// When a file is damaged or does not fit the configuration.
    pub fn load(
        files: &Files,
        file: &str,
        config: &ClipConfig,
        preprocessing: Preprocessing,
        tokenizer: PromptTokenizer,
        device: &Device,
    ) -> Result<Self> {
        let weights = Weights::open(files, file, device)?;
        let reader = Reader::new(&weights)?;
        let ClipConfig { vision, patch_size, .. } = config;
        Ok(Self {
            name: format!("clip-vit-{}x{}-{patch_size}", vision.layers, vision.width),
            vision: Vision::load(&reader, config)?,
            text: Text::load(&reader, config)?,
            tokenizer,
            preprocessing,
            dims: config.dims,
            device: device.clone(),
        })
    }

    /// Numbers of an embedding.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Embeddings (B, dims) of inputs (B, 3, size, size) that are preprocessed already; not normalised.
    ///
    /// # Errors
    /// When the network cannot be computed.
    pub fn embed_inputs(&self, inputs: &Tensor) -> Result<Tensor> {
        self.vision.forward(inputs)
    }

    /// Embeddings (B, dims) of token ids, each row one text, each as long as the context; not normalised.
    ///
    /// # Errors
    /// When the network cannot be computed.
    pub fn embed_ids(&self, ids: &[Vec<u32>]) -> Result<Tensor> {
        let end = self.tokenizer.eos_id();
        let ends: Vec<usize> = ids.iter().map(|ids| ids.iter().position(|id| *id == end).unwrap_or(0)).collect();
        self.embed_ids_to(ids, &ends)
    }

    /// The same, read at a given position of each text.
    ///
    /// # Errors
    /// When the network cannot be computed.
    pub fn embed_ids_to(&self, ids: &[Vec<u32>], ends: &[usize]) -> Result<Tensor> {
        self.text.forward(ids, ends)
    }
}

/// The tokenizer's files, beside the model or in its `tokenizer/`.
///
/// Special tokens are CLIP's, whatever other files say: padding does not matter here, because no position looks at
/// later ones, and a `!` must stay a word where it is also the padding.
fn open_tokenizer(files: &Files, folder: &str, context: usize) -> Result<PromptTokenizer> {
    let either = |name: &str| {
        let names = [format!("{folder}/{name}"), format!("{folder}/tokenizer/{name}")];
        let found = names.iter().find(|name| files.has(name)).unwrap_or(&names[0]);
        files.required_text(found)
    };
    let (vocabulary, merges) = (either("vocab.json")?, either("merges.txt")?);
    let contents = TokenizerFiles { vocab: Some(&vocabulary), merges: Some(&merges), ..TokenizerFiles::default() };
    let tokenizer = PromptTokenizer::from_files(&contents, context);
    let tokenizer = tokenizer.map_err(|e| Error::Tokenizer { folder: files.file_label(folder), reason: e.to_string() });
    Ok(tokenizer?.with_text_fix(TextFix::Ftfy))
}

impl Judge for Clip {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Alignment for Clip {
    fn embed_pictures(&self, pictures: &[Picture]) -> Result<Vec<Embedding>> {
        let size = self.preprocessing.size;
        let mut all = Vec::with_capacity(pictures.len());
        for batch in pictures.chunks(BATCH) {
            let numbers: Vec<f32> = batch.iter().flat_map(|picture| self.preprocessing.apply(picture)).collect();
            let inputs = Tensor::from_vec(numbers, (batch.len(), 3, size, size), &self.device)?;
            for row in rows(&self.vision.forward(&inputs)?)? {
                all.push(Embedding::new(row, &self.name)?);
            }
        }
        Ok(all)
    }

    fn embed_texts(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let mut all = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            let ids: Vec<Vec<u32>> = batch.iter().map(|text| self.tokenizer.encode(text).ids).collect();
            for row in rows(&self.embed_ids(&ids)?)? {
                all.push(Embedding::new(row, &self.name)?);
            }
        }
        Ok(all)
    }
}
