//! A loaded text-to-image model.

mod jacobian;
mod predict;

pub use self::{jacobian::JacobianSide, predict::PredictionInput};

use std::sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicUsize};

use candle_core::{DType, Tensor};

use crate::{
    blueprint::Blueprint,
    error::{Error, Result},
    execution::{Execution, NetworkDtype, Place},
    files::ModelFiles,
    fingerprint::fingerprint,
    memory::available_memory,
    origin::WeightsOrigin,
    pipeline::EmptyPrompt,
    prompt::PromptEmbedding,
    schedule::{Schedule, ScheduleCheck},
    source::ModelSource,
    text_encoder::{TextEncoder, TextShape},
    text_fix::TextFix,
    tokenizer::{PromptTokenizer, TokenizerFiles, Tokens},
    unet::{TraceMemory, UNet},
    vae::Vae,
    vae_encoder::VaeEncoder,
};

/// Tokenizer, text encoder, UNet, VAE and schedule of one model.
pub struct LatentDiffusion {
    blueprint: Blueprint,
    fingerprint: String,
    execution: Execution,
    place: Place,
    /// One for each text encoder.
    tokenizers: Vec<PromptTokenizer>,
    /// `None` while they are released.
    text_encoders: Mutex<Option<Arc<Vec<TextEncoder>>>>,
    unet: UNet,
    vae: OnceLock<Vae>,
    vae_encoder: OnceLock<VaeEncoder>,
    /// Samples that the UNet has been asked for.
    predicted: AtomicUsize,
    trace_memory: TraceMemory,
}

/// How a model is loaded; by default in f32 on the device that is there, with the protocol's schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// What is done about a schedule that is not the protocol's.
    pub schedule: ScheduleCheck,
    /// Number format and device.
    pub execution: Execution,
}

impl LatentDiffusion {
    /// Loads a model with the default options.
    ///
    /// # Errors
    ///
    /// When a file of the model is missing, damaged, or of a kind that is not supported.
    pub fn load(source: &ModelSource) -> Result<Self> {
        Self::load_with(source, LoadOptions::default())
    }

    /// Loads a model. What is not on disk is not downloaded.
    ///
    /// # Errors
    ///
    /// As [`Self::load`], and when the device cannot be opened.
    pub fn load_with(source: &ModelSource, LoadOptions { schedule, execution }: LoadOptions) -> Result<Self> {
        Self::build(Blueprint::read(source, schedule)?, execution)
    }

    /// Loads the model that a blueprint stands for. The VAE is loaded when it is first needed.
    ///
    /// # Errors
    ///
    /// As [`Self::load_with`], and when [`MEMORY_VARIABLE`](crate::memory::MEMORY_VARIABLE) is no amount of memory.
    pub fn build(blueprint: Blueprint, execution: Execution) -> Result<Self> {
        let place = Place::open(execution)?;
        // Before the weights take theirs. What a GPU has left is not known.
        let available = if place.device.is_cpu() { available_memory()? } else { None };
        let trace_memory = available.map_or(0, |available| blueprint.trace_memory(place.dtype, available));
        let files = blueprint.files();
        let text_encoders = Some(Arc::new(text_encoders(&blueprint, &place)?));
        let tokenizers =
            blueprint.text_encoders().iter().map(|shape| tokenizer(files, shape)).collect::<Result<_>>()?;
        let unet = UNet::load(files, blueprint.unet().clone(), &place)?;
        let fingerprint = fingerprint(files)?;
        if blueprint.weights_origin() == WeightsOrigin::Random {
            let source = blueprint.source();
            tracing::warn!("the weights of {source} are random: its scores say nothing about a trained model");
        }
        let (text_encoders, vae, vae_encoder) = (Mutex::new(text_encoders), OnceLock::new(), OnceLock::new());
        Ok(Self {
            blueprint,
            fingerprint,
            execution,
            place,
            tokenizers,
            text_encoders,
            unet,
            vae,
            vae_encoder,
            predicted: AtomicUsize::new(0),
            trace_memory: TraceMemory::new(trace_memory),
        })
    }

    /// What its configurations say.
    pub fn blueprint(&self) -> &Blueprint {
        &self.blueprint
    }

    /// Where it came from.
    pub fn source(&self) -> &ModelSource {
        self.blueprint.source()
    }

    /// SHA-256 (hex) of its weights, configurations and tokenizer.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What its folder says about where the weights come from.
    pub fn weights_origin(&self) -> WeightsOrigin {
        self.blueprint.weights_origin()
    }

    /// Its weights in one line of provenance, see [`WeightsOrigin::label`].
    pub fn weights_label(&self) -> String {
        self.weights_origin().label(&self.fingerprint)
    }

    /// The number format its networks compute in; the VAE always uses f32.
    pub fn dtype(&self) -> NetworkDtype {
        self.execution.dtype
    }

    /// The device it runs on: `cpu` or `cuda:N`.
    pub fn device_name(&self) -> String {
        self.place.device_name()
    }

    /// What the rounding of its predictions depends on: the number format, and the kind of device if it is not the CPU.
    pub fn arithmetic(&self) -> String {
        self.execution.dtype.on(self.place.device.is_cpu())
    }

    /// Latents, flattened (C, H, W) one after the other, as the networks take them: `(B, C, H, W)`.
    ///
    /// # Errors
    ///
    /// When `data` is not a whole number of latents.
    pub fn latents(&self, data: Vec<f32>) -> Result<Tensor> {
        let (channels, height, width) = self.latent_shape();
        let batch = data.len() / (channels * height * width);
        let tensor = Tensor::from_vec(data, (batch, channels, height, width), &self.place.device)?;
        Ok(tensor.to_dtype(self.place.dtype)?)
    }

    /// What the networks made of a batch, one flattened row per sample: the inverse of [`Self::latents`]. `tensor: (B, …)`;
    /// returns B rows.
    ///
    /// # Errors
    ///
    /// When the tensor has fewer than two dimensions.
    pub fn rows(tensor: &Tensor) -> Result<Vec<Vec<f32>>> {
        Ok(tensor.flatten_from(1)?.to_dtype(DType::F32)?.to_vec2()?)
    }

    /// Its noise schedule and parameterization.
    pub fn schedule(&self) -> &Schedule {
        self.blueprint.schedule()
    }

    /// Its denoising network.
    pub fn unet(&self) -> &UNet {
        &self.unet
    }

    /// Its text encoders, of which SDXL has two; read again where they were released.
    ///
    /// # Errors
    ///
    /// When they have to be read again and their files have gone or changed.
    pub fn text_encoders(&self) -> Result<Arc<Vec<TextEncoder>>> {
        let mut kept = self.text_encoders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(encoders) = &*kept {
            return Ok(encoders.clone());
        }
        Ok(kept.insert(Arc::new(text_encoders(&self.blueprint, &self.place)?)).clone())
    }

    /// Gives the text encoders' memory, an eighth to a quarter of Stable Diffusion, to what follows, until a prompt is
    /// to be encoded again. Those of a small model stay: reading them again takes more than they hold.
    pub fn release_text_encoders(&self) {
        if self.blueprint.is_small() {
            return;
        }
        *self.text_encoders.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Its tokenizer; with several text encoders, that of the first.
    pub fn tokenizer(&self) -> &PromptTokenizer {
        &self.tokenizers[0]
    }

    /// (C, H, W) of the latents it was trained on.
    pub fn latent_shape(&self) -> (usize, usize, usize) {
        self.blueprint.latent_shape()
    }

    /// Encodes prompts in one batch.
    ///
    /// # Errors
    ///
    /// When a text encoder, once released, cannot be read again, or an operation fails.
    pub fn encode_prompts<S: AsRef<str>>(&self, prompts: &[S]) -> Result<Vec<PromptEmbedding>> {
        if prompts.is_empty() {
            return Ok(vec![]);
        }
        let encode = |tokenizer: &PromptTokenizer| -> Vec<Tokens> {
            prompts.iter().map(|prompt| tokenizer.encode(prompt.as_ref())).collect()
        };
        let (mut hidden, mut pooled) = (vec![], None);
        for (tokenizer, encoder) in self.tokenizers.iter().zip(self.text_encoders()?.iter()) {
            let tokens = encode(tokenizer);
            let ids: Vec<&[u32]> = tokens.iter().map(|tokens| tokens.ids.as_slice()).collect();
            let encoded = encoder.forward(&ids)?;
            hidden.push(encoded.hidden);
            pooled = encoded.pooled.or(pooled);
        }
        let hidden = Tensor::cat(&hidden, 2)?;
        let added = pooled.map(|pooled| self.added_conditions(&pooled)).transpose()?;
        let embedding = |(i, tokens)| {
            let added = added.as_ref().map(|added| added.get(i)).transpose()?;
            Ok(PromptEmbedding { embedding: hidden.get(i)?, added, tokens })
        };
        encode(self.tokenizer()).into_iter().enumerate().map(embedding).collect()
    }

    /// What stands for the prompt in the unconditional prediction, as the model's pipeline has it: the empty prompt, or
    /// zeros in its place (SDXL, unless model_index.json says `force_zeros_for_empty_prompt: false`).
    ///
    /// # Errors
    ///
    /// As [`Self::encode_prompts`].
    pub fn encode_unconditional(&self) -> Result<PromptEmbedding> {
        if self.blueprint.empty_prompt() == EmptyPrompt::Encoded {
            return Ok(self.encode_prompts(&[""])?.remove(0));
        }
        let Place { dtype, device } = &self.place;
        let unet = self.blueprint.unet();
        let zeros = |rows, columns| Tensor::zeros((rows, columns), *dtype, device);
        let added = match unet.added {
            Some(shape) => Some(self.added_conditions(&zeros(1, shape.pooled())?)?.get(0)?),
            None => None,
        };
        let embedding = zeros(self.blueprint.context_length(), unet.context_width)?;
        Ok(PromptEmbedding { embedding, added, tokens: self.tokenizer().encode("") })
    }

    /// `pooled: (B, P)`; returns `(B, A)`.
    fn added_conditions(&self, pooled: &Tensor) -> Result<Tensor> {
        let sizes = self.blueprint.sizes();
        let missing = || Error::Argument("this model is not told the size of pictures".into());
        self.unet.added_conditions(pooled, sizes.ok_or_else(missing)?)
    }

    /// The VAE, loaded when it is first asked for.
    ///
    /// # Errors
    ///
    /// When its files are missing, damaged, or of a kind that is not supported.
    pub fn vae(&self) -> Result<&Vae> {
        if self.vae.get().is_none() {
            // Two threads may load it at once; one of the two equal results is kept.
            let _ = self.vae.set(Vae::load(self.blueprint.files(), &self.place)?);
        }
        self.vae.get().ok_or_else(|| Error::Argument("the VAE could not be kept".into()))
    }

    /// The encoder's half of the VAE, loaded when it is first asked for.
    ///
    /// # Errors
    ///
    /// As [`Self::vae`].
    pub fn vae_encoder(&self) -> Result<&VaeEncoder> {
        if self.vae_encoder.get().is_none() {
            // As with the VAE, one of two equal results is kept.
            let _ = self.vae_encoder.set(VaeEncoder::load(self.blueprint.files(), &self.place)?);
        }
        self.vae_encoder.get().ok_or_else(|| Error::Argument("the VAE's encoder could not be kept".into()))
    }

    /// Side in pixels of the pictures that its latents stand for; `None` without a VAE that is supported.
    pub fn picture_size(&self) -> Option<usize> {
        self.blueprint.picture_size()
    }

    /// The latent x₀ of a picture, flattened (C, H, W): the mean of the encoder's distribution. `pixels`: (3, S, S) in
    /// [−1, 1], flattened, S of [`Self::picture_size`].
    ///
    /// # Errors
    ///
    /// When the VAE cannot be loaded, or the picture has another size.
    pub fn encode_image(&self, pixels: Vec<f32>) -> Result<Vec<f32>> {
        let latent = self.vae_encoder()?.encode(pixels, &self.place)?;
        let (channels, height, width) = self.latent_shape();
        match latent.len() == channels * height * width {
            true => Ok(latent),
            false => Err(Error::Argument("the picture has another size than the model's".into())),
        }
    }
}

fn text_encoders(blueprint: &Blueprint, place: &Place) -> Result<Vec<TextEncoder>> {
    let shapes = blueprint.text_encoders().iter();
    shapes.map(|shape| TextEncoder::load(blueprint.files(), shape, place)).collect()
}

/// The tokenizer of a text encoder.
fn tokenizer(files: &ModelFiles, shape: &TextShape) -> Result<PromptTokenizer> {
    let read = |file: &str| files.read_optional(&format!("{}/{file}", shape.part.tokenizer));
    let (vocab, merges, tokenizer_json) = (read("vocab.json")?, read("merges.txt")?, read("tokenizer.json")?);
    let (config, map) = (read("tokenizer_config.json")?, read("special_tokens_map.json")?);
    let added = read("added_tokens.json")?;
    let contents = TokenizerFiles {
        vocab: vocab.as_deref(),
        merges: merges.as_deref(),
        tokenizer_json: tokenizer_json.as_deref(),
        config: config.as_deref(),
        special_tokens_map: map.as_deref(),
        added_tokens: added.as_deref(),
    };
    let tokenizer = PromptTokenizer::from_files(&contents, shape.context_length)?;
    tokenizer.check_rows(shape.vocabulary)?;
    // The reference environment has ftfy, which transformers then applies to every prompt.
    Ok(tokenizer.with_text_fix(TextFix::Ftfy))
}
