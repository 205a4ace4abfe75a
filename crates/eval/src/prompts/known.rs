//! Prompts and what is known about them.

use std::sync::Arc;

use memscope_results::Warning;
use serde::Deserialize;

/// How often a model reproduces the training picture of a prompt: its graded truth.
///
/// The draws start from the noise `torch-cuda` in single precision, under the stated seeds, and are sampled with DDIM in
/// 50 steps and guidance 7.5 (docs/embedded-models.md).
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Reproduction {
    /// Share of the draws that are the training picture, 0..=1.
    #[serde(rename = "reproduction_rate")]
    pub rate: f64,
    /// Its exact 95 % interval.
    pub interval: (f64, f64),
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Generations of each seed.
    pub generations: usize,
    /// 1 where a draw is the training picture, else 0; seeds in order, all generations of each.
    pub outcomes: Vec<u8>,
}

impl Reproduction {
    /// Whether the draw from one latent is the training picture; `None` where it was not drawn.
    pub fn outcome(&self, seed: u64, generation: usize) -> Option<bool> {
        let seed = self.seeds.iter().position(|known| *known == seed)?;
        let at = (generation < self.generations).then_some(seed * self.generations + generation)?;
        self.outcomes.get(at).map(|outcome| *outcome != 0)
    }
}

/// A prompt and what is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownPrompt {
    /// The prompt.
    pub text: Arc<str>,
    /// The list it comes from.
    pub set: Arc<str>,
    /// How often its picture was shown in training, relative to one ordinary picture.
    pub weight: Option<f64>,
    /// Share of the planted picture among all training pictures of the prompt, 0..=1; the others were ordinary ones.
    pub share: Option<f64>,
    /// Whether the model reproduces the planted picture nearly always: in more than nine of ten draws.
    pub verified: Option<bool>,
    /// How often it does, and in which draws.
    pub reproduction: Option<Reproduction>,
    /// Its planted picture among the embedded files.
    pub image: Option<String>,
}

impl KnownPrompt {
    /// A prompt of which nothing else is known.
    pub fn new(text: impl Into<Arc<str>>, set: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            set: set.into(),
            weight: None,
            share: None,
            verified: None,
            reproduction: None,
            image: None,
        }
    }

    /// Whether only one picture was ever shown with it.
    pub fn is_plain(&self) -> bool {
        self.share.is_none_or(|share| share >= 1.0)
    }
}

/// Prompts in order, each once, and what was noticed on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptList {
    /// The prompts.
    pub prompts: Vec<KnownPrompt>,
    /// Remarks.
    pub warnings: Vec<Warning>,
}

impl PromptList {
    /// The prompts as texts.
    pub fn texts(&self) -> Vec<String> {
        self.prompts.iter().map(|prompt| prompt.text.to_string()).collect()
    }
}
