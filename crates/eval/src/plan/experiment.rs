//! Plans of experiments, one after the other: what one of them measures, a later one finds.

use std::{collections::HashMap, path::Path};

use memscope_model::ModelSource;
use memscope_results::{Folder, Results};

use super::{ModelPlan, PicturePlaces, ResolvedTask, StoredMeasurements};
use crate::{
    error::Result,
    spec::{Experiment, ModelEntry},
    store::MeasurementStore,
    task::{CachePolicy, KnownRecords, ModelIdentity, PlannedRecords, price},
};

/// Plans experiments one after the other.
pub struct Planner {
    results: Results,
    models: HashMap<String, (MeasurementStore, PlannedRecords)>,
}

impl Planner {
    /// With the stored measurements of a results folder.
    pub fn new(results: impl Into<Results>) -> Self {
        Self { results: results.into(), models: HashMap::new() }
    }

    /// What an experiment would ask of one of its models; its results are in `folder`.
    ///
    /// # Errors
    /// When its prompts, the model's configurations or the store cannot be read.
    pub fn plan(
        &mut self,
        experiment: &Experiment,
        folder: &Path,
        policy: CachePolicy,
        (source, entry): (&ModelSource, &ModelEntry),
    ) -> Result<ModelPlan> {
        let resolved = ResolvedTask::read(experiment, source, entry)?;
        let known = resolved.blueprint.known_fingerprint();
        let stored = if known.is_some() { StoredMeasurements::Known } else { StoredMeasurements::Unknown };
        let mut plan = ModelPlan::new(&resolved.blueprint, experiment.execution(), stored);
        // An unknown model's measurements are remembered from experiment to experiment under its name.
        let fingerprint = known.clone().unwrap_or_else(|| source.to_string());
        if !self.models.contains_key(&fingerprint) {
            let store = match &known {
                Some(known) => MeasurementStore::peek(&self.results.answers(), known)?,
                None => MeasurementStore::in_memory(),
            };
            self.models.insert(fingerprint.clone(), (store, PlannedRecords::default()));
        }
        let (store, planned) = self
            .models
            .entry(fingerprint.clone())
            .or_insert_with(|| (MeasurementStore::in_memory(), PlannedRecords::default()));
        let model = ModelIdentity::planned(&resolved.blueprint, experiment.execution(), fingerprint);
        let (gallery, shared) = (Folder::new(folder).gallery(), self.results.pictures());
        let tasks = resolved.tasks(experiment, &model, PicturePlaces { gallery: &gallery, shared: &shared })?;
        for task in tasks.all() {
            plan.prices.push(price(task, &mut KnownRecords::new(store, planned), policy));
        }
        Ok(plan)
    }
}
