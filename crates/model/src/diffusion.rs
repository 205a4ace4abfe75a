//! A loaded text-to-image model.

use std::{ops::Range, sync::OnceLock};

use candle_core::Tensor;

use crate::{
    blueprint::Blueprint,
    error::{Error, Result},
    fingerprint::fingerprint,
    origin::WeightsOrigin,
    parts,
    prediction::Prediction,
    schedule::{Schedule, ScheduleCheck},
    source::ModelSource,
    text_encoder::TextEncoder,
    text_fix::TextFix,
    tokenizer::{PromptTokenizer, Tokens},
    unet::{AttentionObserver, UNet},
    vae::Vae,
    value::Value,
};

/// Tokenizer, text encoder, UNet, VAE and schedule of one model.
pub struct LatentDiffusion {
    blueprint: Blueprint,
    fingerprint: String,
    tokenizer: PromptTokenizer,
    text_encoder: TextEncoder,
    unet: UNet,
    vae: OnceLock<Vae>,
}

/// A prompt as the UNet sees it.
#[derive(Clone, Debug)]
pub struct PromptEmbedding {
    /// `(L, W)`: one row per token position, padding included.
    pub embedding: Tensor,
    /// The tokens behind it.
    pub tokens: Tokens,
}

/// One question to the network: its output for a latent at a timestep under a prompt.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Latent, flattened (C, H, W).
    pub x: &'a [f32],
    /// Timestep.
    pub t: usize,
    /// Prompt embedding.
    pub prompt: &'a PromptEmbedding,
}

impl LatentDiffusion {
    /// Loads a model in f32 on the CPU, whose schedule must be the protocol's. The VAE is loaded when it is first
    /// needed. What is not on disk is not downloaded.
    pub fn load(source: &ModelSource) -> Result<Self> {
        Self::load_with(source, ScheduleCheck::Protocol)
    }

    /// The same with a word on schedules that are not the protocol's.
    pub fn load_with(source: &ModelSource, check: ScheduleCheck) -> Result<Self> {
        let blueprint = Blueprint::read(source, check)?;
        let files = blueprint.files();
        let text_encoder = TextEncoder::load(files)?;
        let tokenizer = PromptTokenizer::from_files(
            &files.read("tokenizer/vocab.json")?,
            &files.read("tokenizer/merges.txt")?,
            files.read_optional("tokenizer/tokenizer_config.json")?.as_deref(),
            files.read_optional("tokenizer/special_tokens_map.json")?.as_deref(),
            text_encoder.context_length(),
        )?
        // The reference environment has ftfy, which transformers then applies to every prompt.
        .with_text_fix(TextFix::Ftfy);
        let unet = UNet::load(files)?;
        let fingerprint = fingerprint(files)?;
        if blueprint.weights_origin() == WeightsOrigin::Random {
            tracing::warn!("the weights of {source} are random: its scores say nothing about a trained model");
        }
        Ok(Self { blueprint, fingerprint, tokenizer, text_encoder, unet, vae: OnceLock::new() })
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

    /// Its noise schedule and parameterization.
    pub fn schedule(&self) -> &Schedule {
        self.blueprint.schedule()
    }

    /// Its denoising network.
    pub fn unet(&self) -> &UNet {
        &self.unet
    }

    /// Its text encoder.
    pub fn text_encoder(&self) -> &TextEncoder {
        &self.text_encoder
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &PromptTokenizer {
        &self.tokenizer
    }

    /// (C, H, W) of the latents it was trained on.
    pub fn latent_shape(&self) -> (usize, usize, usize) {
        self.blueprint.latent_shape()
    }

    /// Encodes prompts in one batch.
    pub fn encode_prompts<S: AsRef<str>>(&self, prompts: &[S]) -> Result<Vec<PromptEmbedding>> {
        if prompts.is_empty() {
            return Ok(vec![]);
        }
        let tokens: Vec<Tokens> = prompts.iter().map(|prompt| self.tokenizer.encode(prompt.as_ref())).collect();
        let ids: Vec<&[u32]> = tokens.iter().map(|tokens| tokens.ids.as_slice()).collect();
        let hidden = self.text_encoder.forward(&ids)?;
        let rows = tokens.into_iter().enumerate();
        rows.map(|(i, tokens)| Ok(PromptEmbedding { embedding: hidden.get(i)?, tokens })).collect()
    }

    /// Cuts a batch of `samples` into parts and answers each by `f`, in order. On a small network the parts run side by
    /// side, one core each; a large one takes the whole batch as one part and shares each operation among the cores.
    pub fn in_parts<R: Send>(&self, samples: usize, f: impl Fn(Range<usize>) -> Result<R> + Sync) -> Result<Vec<R>> {
        match samples {
            0 => Ok(vec![]),
            _ if self.blueprint.is_small() => parts::map(samples, f),
            _ => Ok(vec![f(0..samples)?]),
        }
    }

    /// The network's raw output, see [`UNet::forward`]; for derivatives give a `Var` or a `Dual`.
    pub fn predict<V: Value>(
        &self,
        x: &V,
        timesteps: &[usize],
        embeddings: &V,
        observer: Option<&mut dyn AttentionObserver>,
    ) -> Result<V> {
        Ok(self.unet.forward(x, timesteps, embeddings, observer)?)
    }

    /// Answers questions in one batch; fails when an answer holds NaN or infinity.
    pub fn answer(&self, questions: &[Question]) -> Result<Vec<Prediction>> {
        Ok(self.in_parts(questions.len(), |range| self.answer_part(&questions[range]))?.concat())
    }

    fn answer_part(&self, questions: &[Question]) -> Result<Vec<Prediction>> {
        let Some(first) = questions.first() else { return Ok(vec![]) };
        let (channels, height, width) = self.latent_shape();
        // What the network makes of a latent before it looks at the prompt is the same for all prompts.
        let is_shared = questions.iter().all(|q| q.t == first.t && q.x == first.x);
        let places = if is_shared { &questions[..1] } else { questions };
        let flat: Vec<f32> = places.iter().flat_map(|q| q.x.iter().copied()).collect();
        let x = Tensor::from_vec(flat, (places.len(), channels, height, width), first.prompt.embedding.device())?;
        let timesteps: Vec<usize> = places.iter().map(|q| q.t).collect();
        let embeddings: Vec<&Tensor> = questions.iter().map(|q| &q.prompt.embedding).collect();
        let output = self.predict(&x, &timesteps, &Tensor::stack(&embeddings, 0)?, None)?;
        let rows = output.flatten_from(1)?.to_vec2::<f32>()?;
        rows.into_iter()
            .zip(questions)
            .map(|(output, Question { t, .. })| {
                if output.iter().any(|x| !x.is_finite()) {
                    return Err(Error::NonFiniteOutput {
                        what: format!("the prediction of {} at t = {t}", self.source()),
                    });
                }
                let schedule = self.schedule();
                let (scales, parameterization) = (schedule.scales(*t)?, schedule.parameterization());
                Ok(Prediction { output, parameterization, scales })
            })
            .collect()
    }

    /// The VAE.
    pub fn vae(&self) -> Result<&Vae> {
        if self.vae.get().is_none() {
            // Two threads may load it at once; one of the two equal results is kept.
            let _ = self.vae.set(Vae::load(self.blueprint.files())?);
        }
        self.vae.get().ok_or_else(|| Error::Argument("the VAE could not be kept".into()))
    }
}
