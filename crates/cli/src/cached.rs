//! The measurements of single commands, kept in the user's cache: what was measured before a stop is not measured again.

use std::path::{Path, PathBuf};

use memscope_eval::{
    MeasurementStore,
    plan::{ModelPlan, StoredMeasurements},
    task::{CachePolicy, ModelIdentity, Task},
};
use memscope_hub::{CACHE_VARIABLE, cache_folder};
use memscope_model::{Blueprint, Execution, LatentDiffusion};
use memscope_results::Results;

use crate::{args::ModelArgs, exit_code::UserError};

/// Below the cache folder.
const FOLDER: &str = "measurements";

/// Where a command keeps its measurements: below a results folder that it is given, or in the cache.
pub(crate) fn folder(results: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(results) = results {
        return Ok(Results::new(results).answers());
    }
    let folder = cache_folder().map(|folder| folder.join(FOLDER));
    folder.ok_or_else(|| UserError::input(format!("there is no cache folder; set {CACHE_VARIABLE} to one")).into())
}

/// The stored measurements of a model, with room for more.
pub(crate) fn open(model: &LatentDiffusion, folder: &Path) -> anyhow::Result<MeasurementStore> {
    Ok(MeasurementStore::open_shared(folder, model.fingerprint())?)
}

/// What a task would ask of a model beyond what is stored.
pub(crate) fn plan<T: Task>(
    model: &ModelArgs,
    blueprint: &Blueprint,
    (folder, policy): (&Path, CachePolicy),
    task: impl FnOnce(ModelIdentity) -> T,
) -> anyhow::Result<ModelPlan> {
    let execution = model.options().execution;
    let (store, stored, identity) = peek(blueprint, execution, folder)?;
    Ok(ModelPlan::of_task(blueprint, execution, &task(identity), (&store, stored), policy))
}

/// The stored measurements of a model, as far as they are known before its weights are read.
pub(crate) fn peek(
    blueprint: &Blueprint,
    execution: Execution,
    folder: &Path,
) -> anyhow::Result<(MeasurementStore, StoredMeasurements, ModelIdentity)> {
    let (store, stored, fingerprint) = match blueprint.known_fingerprint() {
        Some(known) => (MeasurementStore::peek(folder, &known)?, StoredMeasurements::Known, known),
        // Nothing is found under no fingerprint.
        None => (MeasurementStore::in_memory(), StoredMeasurements::Unknown, String::new()),
    };
    Ok((store, stored, ModelIdentity::planned(blueprint, execution, fingerprint)))
}
