//! How long detectors take, over both windows of docs/spec/protocol.md §8.

use serde::{Deserialize, Serialize};

use crate::paper::{Model, PaperRow};

/// Prompts that are scored; as many as the paper's times are for.
pub const TIMED_PROMPTS: usize = 10;

/// What scoring [`TIMED_PROMPTS`] prompts took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectorTiming {
    /// How tables call the detector.
    pub label: String,
    /// Generations per prompt.
    pub generations: usize,
    /// Network calls (samples).
    pub calls: usize,
    /// Wall time from the first forward pass to the last score, in seconds.
    pub seconds: f64,
    /// The same over the released code's window, where it has one.
    pub reference: Option<Window>,
    /// The published row.
    pub paper: Option<PaperRow>,
}

/// A timed stretch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Network calls (samples).
    pub calls: usize,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// How long the detectors of one model took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelTiming {
    /// How tables call the model.
    pub model: String,
    /// The paper's column printed beside it.
    pub paper: Option<Model>,
    /// What was measured.
    pub detectors: Vec<DetectorTiming>,
}
