//! What every mitigation is to the rest of the program.

use std::fmt::Debug;

use memscope_metric::OwnCalls;
use memscope_model::{Blueprint, LatentDiffusion, PromptEmbedding, Sampling};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{error::Result, guidance::Guidance};

/// What is to be drawn: a prompt from a seed's noise.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The model.
    pub model: &'a LatentDiffusion,
    /// The prompt.
    pub prompt: &'a str,
    /// Its embedding.
    pub embedding: &'a PromptEmbedding,
    /// The empty prompt's embedding.
    pub empty: &'a PromptEmbedding,
    /// The seed.
    pub seed: u64,
    /// Pictures to draw.
    pub images: usize,
    /// x_T of a seed: so many latents, flattened (C, H, W) each. Those of [`Self::seed`] and [`Self::images`] are what is drawn
    /// without mitigation.
    pub noise: &'a dyn Fn(u64, usize) -> Vec<Vec<f32>>,
    /// Steps and guidance scale.
    pub sampling: Sampling,
    /// Whether the user wants to stop; asked before every step.
    pub stop: &'a dyn Fn() -> bool,
}

impl Subject<'_> {
    /// x_T of every picture, flattened (C, H, W) each.
    pub fn latents(&self) -> Vec<Vec<f32>> {
        (self.noise)(self.seed, self.images)
    }

    /// What is drawn without mitigation.
    pub fn unchanged(&self) -> Changed {
        Changed {
            prompt: None,
            embedding: self.embedding.clone(),
            latents: self.latents(),
            attention: Attention::Unchanged,
            guidance: Guidance::Constant,
            losses: vec![],
            ending: Ending::Done,
        }
    }
}

/// What is drawn in place of the prompt.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The prompt, where it is another one.
    pub prompt: Option<String>,
    /// Its embedding; may be shorter than the text encoder's, where tokens are masked out.
    pub embedding: PromptEmbedding,
    /// x_T of every picture, flattened (C, H, W) each.
    pub latents: Vec<Vec<f32>>,
    /// Cross-attention.
    pub attention: Attention,
    /// Guidance along the trajectory.
    pub guidance: Guidance,
    /// The loss before each step of an optimisation and after the last one; empty where nothing is optimised.
    pub losses: Vec<f64>,
    /// How the optimisation ended.
    pub ending: Ending,
}

/// How an optimisation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// All its steps were made, or there is none.
    Done,
    /// The target was reached.
    Reached,
    /// All its steps were made and the target was not reached.
    NotReached,
    /// The loss or its gradient was NaN or infinite; what was best known before is kept.
    NonFinite,
}

impl Ending {
    const ALL: [Self; 4] = [Self::Done, Self::Reached, Self::NotReached, Self::NonFinite];

    /// As a number of a record.
    pub fn code(self) -> f64 {
        f64::from(self as u8)
    }

    /// From a number of a record.
    pub fn of_code(code: f64) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.code() == code)
    }
}

/// What a mitigation does to cross-attention, at every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Attention {
    /// Nothing.
    Unchanged,
    /// Tokens from `keep` on are masked out for all rows, and the logits of the first token are multiplied by `factor` in some
    /// rows.
    Rescaled {
        /// Tokens that stay, BOS included.
        keep: usize,
        /// Factor.
        factor: f64,
        /// The rows.
        rows: Rows,
    },
}

/// Rows of the batch [u, …, u, c, …, c].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// Those under the prompt.
    #[default]
    Conditional,
    /// Every second one, as the published code: with more than one picture, half of both kinds.
    OddAsReleased,
}

/// A method that keeps a prompt from drawing a training image.
pub trait Mitigation: Debug + Send + Sync {
    /// The name used in YAML, tables and on the command line.
    fn name(&self) -> &'static str;

    /// Everything that determines what it does, as part of a key.
    fn id(&self) -> String;

    /// What it asks of the network for one prompt before the pictures are drawn; at most, where a target may end it earlier.
    fn cost(&self, images: usize, sampling: Sampling) -> Vec<OwnCalls>;

    /// Whether `cost` is what it asks, not only a bound.
    fn is_exact(&self) -> bool {
        true
    }

    /// Refuses a model that lacks what the method needs.
    ///
    /// # Errors
    /// With what is missing.
    fn check(&self, model: &Blueprint) -> Result<()> {
        let _ = model;
        Ok(())
    }

    /// What is drawn instead.
    ///
    /// # Errors
    /// When the network fails or the user asks to stop.
    fn apply(&self, subject: &Subject) -> Result<Changed>;
}
