//! Where a results folder comes from.

use serde::{Deserialize, Serialize};

use crate::{cost::RunCost, warning::Warning};

/// Everything that determined the numbers of a results folder, and what making them took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Experiment name.
    pub experiment: String,
    /// Version of memscope.
    pub version: String,
    /// Commit it was built from.
    pub commit: String,
    /// Device the network ran on.
    pub device: String,
    /// Number format the network ran in.
    pub dtype: String,
    /// Noise generator.
    pub generator: String,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Generations per seed.
    pub generations: usize,
    /// The models, in order.
    pub models: Vec<ModelRecord>,
    /// What a user should know.
    pub warnings: Vec<Warning>,
    /// Wall time of this run, in seconds.
    pub seconds: f64,
}

/// One model of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Where it came from.
    pub source: String,
    /// SHA-256 of its weights, configurations and tokenizer.
    pub fingerprint: String,
    /// `random` where the model's folder is marked so.
    #[serde(default, skip_serializing_if = "Weights::is_unmarked")]
    pub weights: Weights,
    /// `epsilon` or `v_prediction`.
    pub parameterization: String,
    /// (C, H, W) of its latents.
    pub latent_shape: (usize, usize, usize),
    /// The detectors and the options in force for each.
    pub detectors: Vec<DetectorRecord>,
    /// Number of prompts by class.
    pub prompts: PromptCounts,
    /// Network calls (samples) and times of this run; zero where the answers were there already.
    pub cost: RunCost,
    /// The same for a run without any stored answer.
    pub planned: RunCost,
}

/// What a model's folder says about its weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// Nothing, as those of published models.
    #[default]
    Unmarked,
    /// That they are random numbers, for tests of a full-size network.
    Random,
}

impl Weights {
    /// Whether the folder says nothing.
    pub fn is_unmarked(&self) -> bool {
        *self == Self::Unmarked
    }

    /// The weights in one line of provenance: `weights sha256 …` or `random weights sha256 …`, with the first 16
    /// digits of the fingerprint.
    pub fn label(self, fingerprint: &str) -> String {
        let digits = fingerprint.get(..16).unwrap_or(fingerprint);
        match self {
            Self::Unmarked => format!("weights sha256 {digits}"),
            Self::Random => format!("random weights sha256 {digits}"),
        }
    }
}

/// Number of prompts by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptCounts {
    /// Memorized prompts.
    pub memorized: usize,
    /// Non-memorized prompts.
    pub non_memorized: usize,
}

/// A detector of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectorRecord {
    /// How tables call it.
    pub label: String,
    /// Weights given in the experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gammas: Option<GammasRecord>,
    /// The options in force.
    pub protocol: ProtocolRecord,
}

/// Weights of cosine and norm in M = γ_cos · C + γ_norm · N.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GammasRecord {
    /// Weight of the cosine.
    pub cosine: f64,
    /// Weight of the norm.
    pub norm: f64,
}

/// The options of the metric in force for a detector, by the names that experiment files use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolRecord {
    /// Timestep of the norm.
    pub t_norm: usize,
    /// Timestep of the cosine.
    pub t_cos: usize,
    /// What the network is asked about.
    pub input: String,
    /// Which two vectors the cosine compares.
    pub cos_mode: String,
    /// Over which elements the cosine is taken.
    pub cos_reduction: String,
    /// Raw outputs or scores in the cosine.
    pub cos_space: String,
    /// What the norm is taken of.
    pub norm_space: String,
    /// Scaling before comparison.
    pub normalization: String,
    /// What the scaling acts on.
    pub normalization_targets: String,
    /// Arithmetic.
    pub numerics: String,
    /// How scores are kept.
    pub score_storage: String,
}
