//! Where a results folder comes from.

use std::{collections::BTreeMap, fs, path::Path};

use memscope_metric::{Gammas, ResolvedProtocol};
use memscope_model::WeightsOrigin;
use serde::Serialize;

use crate::{
    error::{Error, Result},
    plan::RunCost,
    warning::Warning,
};

/// Everything that determined the numbers of a results folder, and what making them took.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    /// Experiment name.
    pub experiment: String,
    /// Version of memscope.
    pub version: &'static str,
    /// Commit it was built from.
    pub commit: &'static str,
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
#[derive(Clone, Debug, Serialize)]
pub struct ModelRecord {
    /// Where it came from.
    pub source: String,
    /// SHA-256 of its weights, configurations and tokenizer.
    pub fingerprint: String,
    /// `random` where the model's folder is marked so.
    #[serde(skip_serializing_if = "WeightsOrigin::is_unmarked")]
    pub weights: WeightsOrigin,
    /// `epsilon` or `v_prediction`.
    pub parameterization: String,
    /// (C, H, W) of its latents.
    pub latent_shape: (usize, usize, usize),
    /// The detectors and the options in force for each.
    pub detectors: Vec<DetectorRecord>,
    /// Number of prompts by class.
    pub prompts: BTreeMap<&'static str, usize>,
    /// Network calls (samples) and times of this run; zero where the answers were there already.
    pub cost: RunCost,
    /// The same for a run without any stored answer.
    pub planned: RunCost,
}

/// A detector of a run.
#[derive(Clone, Debug, Serialize)]
pub struct DetectorRecord {
    /// How tables call it.
    pub label: String,
    /// Weights given in the experiment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gammas: Option<Gammas>,
    /// The options in force.
    pub protocol: ResolvedProtocol,
}

/// The commit this program was built from.
pub const COMMIT: &str = env!("MEMSCOPE_COMMIT");

/// Writes JSON through a temporary file, so that no reader sees half of it.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let json =
        serde_json::to_vec_pretty(value).map_err(|e| Error::Write { path: path.to_owned(), source: e.into() })?;
    write_atomically(path, &json)
}

pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes).map_err(Error::write(&partial))?;
    fs::rename(&partial, path).map_err(Error::write(path))
}
