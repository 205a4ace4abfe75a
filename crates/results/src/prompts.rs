//! The scores of every prompt of an experiment, with what is known about the prompt: `prompts.json`.

use serde::{Deserialize, Serialize};

/// File name below an experiment's folder.
pub const FILE: &str = "prompts.json";
/// The most prompts of a model that are written: a page lists no more.
pub const MOST: usize = 20_000;
/// Most bytes of the file that a reader takes.
pub const LIMIT: u64 = 256 << 20;

/// The prompts of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelPrompts {
    /// The model.
    pub model: String,
    /// The detectors, in the order of the scores.
    pub detectors: Vec<DetectorColumn>,
    /// The prompts: memorized ones first.
    pub prompts: Vec<PromptRecord>,
}

/// A detector at a number of generations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetectorColumn {
    /// The detector.
    pub name: String,
    /// Generations per score.
    pub n: usize,
    /// The seeds, in the order of the scores.
    pub seeds: Vec<u64>,
}

/// One prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptRecord {
    /// The prompt.
    pub prompt: String,
    /// `memorized` or `non-memorized`.
    pub class: String,
    /// The list it comes from.
    pub set: String,
    /// How often its picture was shown in training, relative to one ordinary picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Share of the model's draws that are the training picture, 0..=1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reproduction_rate: Option<f64>,
    /// For every detector, one score a seed.
    pub scores: Vec<Vec<f64>>,
}
