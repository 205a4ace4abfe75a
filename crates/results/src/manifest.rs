//! Where a results folder comes from.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    cost::RunCost,
    error::{Error, Result},
    files,
    settings::Settings,
    warning::Warning,
};

/// The format that this version writes. It grows when a reader of the earlier one would misunderstand a manifest;
/// fields may be added without that. Format 0 had neither a number nor command, settings and hashes.
pub const FORMAT: u32 = 1;

/// Everything that determined the numbers of a results folder, and what making them took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// Version of this structure, [`FORMAT`]; 0 where it is absent.
    pub format: u32,
    /// Experiment name.
    pub experiment: String,
    /// Title for people; empty in format 0.
    pub title: String,
    /// What the experiment shows.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The command that made the folder; empty in format 0.
    pub command: String,
    /// When the run ended, in UTC, as `2026-01-31T12:00:00Z`; empty in format 0.
    pub finished: String,
    /// Version of memscope.
    pub version: String,
    /// Commit it was built from.
    pub commit: String,
    /// Device the network ran on.
    pub device: String,
    /// The machine that ended the run: model of its processor or GPUs, cores; empty where it was not recorded.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub machine: String,
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
    /// The resolved experiment: every field of its file with every default filled in; empty in format 0.
    pub settings: Settings,
    /// SHA-256 of every file of the folder by its path below it; empty in format 0.
    pub files: BTreeMap<String, String>,
}

/// What a manifest says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// The file is the one that the run wrote.
    Intact,
    /// The file was changed after the run.
    Changed,
    /// The run did not write such a file.
    Unlisted,
    /// The manifest is of format 0, which holds no hashes.
    Unknown,
}

impl Manifest {
    /// Reads a manifest; `path` names it in errors.
    ///
    /// # Errors
    /// [`Error::Damaged`], and [`Error::NewerFormat`] for one that a later version wrote.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        /// The format alone, which can be read whatever else a later version changed.
        #[derive(Deserialize)]
        struct Versioned {
            #[serde(default)]
            format: u32,
        }
        let found = files::parse::<Versioned>(path, bytes)?.format;
        if found > FORMAT {
            return Err(Error::NewerFormat { path: path.to_owned(), found, known: FORMAT });
        }
        files::parse(path, bytes)
    }

    /// Whether a file, by its path below the folder, is what the run wrote.
    pub fn integrity(&self, name: &str, bytes: &[u8]) -> Integrity {
        match self.files.get(name) {
            _ if self.format == 0 => Integrity::Unknown,
            None => Integrity::Unlisted,
            Some(hash) if *hash == files::sha256(bytes) => Integrity::Intact,
            Some(_) => Integrity::Changed,
        }
    }
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
    /// The options in force; none for scores of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<ProtocolRecord>,
    /// The table that the scores come from, of a detector that another program ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<ScoreFileRecord>,
}

/// A table of scores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreFileRecord {
    /// The file.
    pub file: String,
    /// SHA-256 of its content.
    pub sha256: String,
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
