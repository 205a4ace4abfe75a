//! What a run would cost, before it starts: network calls, operations, seconds and memory. No weights are read.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use memscope_model::{
    Blueprint, Execution, ModelSource,
    cost::{DType, MemoryNeed, Speed, Workload},
    memory::AvailableMemory,
};
use serde::Serialize;

use crate::{
    draft::Draft,
    error::Result,
    experiment::{Experiment, ModelEntry},
    gallery,
    run::{Agenda, AskedModel, RunCost},
    session::{Answers, GALLERY, answers_folder, read_timings},
    store::ScoreStore,
    timing,
};

/// What a run asks of one model.
#[derive(Clone, Debug)]
pub struct ModelPlan {
    /// The model.
    pub blueprint: Blueprint,
    /// How its networks compute.
    pub execution: Execution,
    /// The calls for answers that are not stored.
    pub cost: RunCost,
    /// Whether stored answers were looked for.
    pub answers: StoredAnswers,
    measuring: Vec<Workload>,
    timing: Workload,
    drawing: Workload,
}

/// Whether a plan knows the answers that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredAnswers {
    /// They are not counted again.
    Known,
    /// The weights were never hashed here, so their answers cannot be found without reading them; everything is counted.
    Unknown,
}

/// What a run costs on one model.
#[derive(Clone, Debug, Serialize)]
pub struct Estimate {
    /// The model.
    pub model: String,
    /// Whether stored answers were left out.
    pub stored_answers: StoredAnswers,
    /// Measurements: one of each measure for each prompt under one noise.
    pub measurements: usize,
    /// Predictions under a prompt (samples).
    pub conditional_calls: usize,
    /// Predictions under the empty prompt (samples).
    pub unconditional_calls: usize,
    /// Network calls that measures make themselves (samples), such as passes with a tangent.
    pub own_calls: usize,
    /// Network calls (samples) for the times of the detectors.
    pub timing_calls: usize,
    /// Network calls (samples) for drawing pictures.
    pub drawing_calls: usize,
    /// Floating-point operations of the networks' matrix products.
    pub flops: f64,
    /// Wall time of the networks at the measured speed, in seconds; statistics, tables and figures come on top.
    /// Not known of a GPU.
    pub seconds: Option<f64>,
    /// The measured speed of the network, in operations a second.
    pub flops_per_second: Option<f64>,
    /// Resident memory at the peak on the CPU, in bytes.
    pub memory: MemoryNeed,
}

impl ModelPlan {
    /// The same for an agenda on its own.
    pub(crate) fn of_agenda(blueprint: &Blueprint, execution: Execution, agenda: &Agenda) -> Self {
        let store = ScoreStore::in_memory();
        Self {
            blueprint: blueprint.clone(),
            execution,
            cost: agenda.plan(&store),
            answers: StoredAnswers::Known,
            measuring: vec![agenda.workload(&store)],
            timing: Workload::default(),
            drawing: Workload::default(),
        }
    }

    /// A plan that draws or differentiates and asks for no measurement.
    pub fn of_work(blueprint: &Blueprint, execution: Execution, drawing: Workload) -> Self {
        Self {
            blueprint: blueprint.clone(),
            execution,
            cost: RunCost::default(),
            answers: StoredAnswers::Known,
            measuring: vec![],
            timing: Workload::default(),
            drawing,
        }
    }

    fn work(&self) -> impl Iterator<Item = &Workload> {
        self.measuring.iter().chain([&self.timing, &self.drawing])
    }

    /// The part that needs the most memory; where nothing is asked, loading does.
    fn largest(&self) -> &Workload {
        let storage = self.storage();
        let need = |work: &&Workload| self.blueprint.memory(work, storage).total();
        self.work().max_by_key(need).unwrap_or(&self.timing)
    }

    fn storage(&self) -> DType {
        self.execution.dtype.dtype()
    }

    /// Peak memory: that of the most demanding part.
    pub fn memory(&self) -> MemoryNeed {
        self.blueprint.memory(self.largest(), self.storage())
    }

    /// Refuses a run that does not fit, before anything is loaded. What a GPU holds is not known.
    pub fn check_memory(&self, available: AvailableMemory) -> Result<()> {
        match self.execution.is_cpu() {
            true => Ok(self.blueprint.check_memory(self.largest(), self.storage(), available)?),
            false => Ok(()),
        }
    }

    /// Measures the speed of the CPU; of a GPU nothing is known.
    pub fn calibrate(&self) -> Result<Option<Speed>> {
        if self.execution.is_cpu() { Ok(Some(self.blueprint.calibrate()?)) } else { Ok(None) }
    }

    /// The costs at a measured speed.
    pub fn estimate(&self, speed: Option<&Speed>) -> Estimate {
        let own_calls = self.cost.measures.values().map(|cost| cost.own_calls).sum();
        Estimate {
            model: self.blueprint.source().to_string(),
            stored_answers: self.answers,
            measurements: self.cost.measurements(),
            conditional_calls: self.cost.conditional_calls,
            unconditional_calls: self.cost.unconditional_calls,
            own_calls,
            timing_calls: self.timing.calls(),
            drawing_calls: self.drawing.calls(),
            flops: self.work().map(|work| self.blueprint.flops(work).total()).sum(),
            seconds: speed.map(|speed| self.work().map(|work| self.blueprint.seconds(work, speed)).sum()),
            flops_per_second: speed.map(|speed| speed.overall(&self.blueprint)),
            memory: self.memory(),
        }
    }
}

/// Plans experiments one after the other: what one of them asks, a later one finds.
pub struct Planner {
    results: PathBuf,
    stores: HashMap<String, ScoreStore>,
}

impl Planner {
    /// With the stored answers of a results folder.
    pub fn new(results: &Path) -> Self {
        Self { results: results.to_owned(), stores: HashMap::new() }
    }

    /// What an experiment would ask of one of its models; its results are in `folder`.
    pub fn plan(
        &mut self,
        experiment: &Experiment,
        folder: &Path,
        answers: Answers,
        (source, entry): (&ModelSource, &ModelEntry),
    ) -> Result<ModelPlan> {
        let draft = Draft::read(experiment, source, entry)?;
        let (file, execution) = (experiment.file(), experiment.execution());
        let known = draft.blueprint.known_fingerprint();
        let stored = if known.is_some() { StoredAnswers::Known } else { StoredAnswers::Unknown };
        let mut plan =
            ModelPlan { answers: stored, ..ModelPlan::of_work(&draft.blueprint, execution, Workload::default()) };
        if !experiment.needs_scores() {
            return Ok(plan);
        }
        // An unknown model's answers are remembered from experiment to experiment under its name.
        let fingerprint = known.clone().unwrap_or_else(|| source.to_string());
        if !self.stores.contains_key(&fingerprint) {
            let store = match &known {
                Some(known) => ScoreStore::peek(&answers_folder(&self.results), known)?,
                None => ScoreStore::in_memory(),
            };
            self.stores.insert(fingerprint.clone(), store);
        }
        let store = self.stores.entry(fingerprint.clone()).or_insert_with(ScoreStore::in_memory);
        let model = AskedModel::planned(&draft.blueprint, execution, fingerprint.clone());
        for (_, agenda) in draft.agendas(experiment, &model) {
            let keys = agenda.all_keys();
            if answers == Answers::Fresh {
                store.forget(keys.iter());
            }
            plan.cost.add(agenda.plan(store));
            plan.measuring.push(agenda.workload(store));
            let missing = keys.into_iter().filter(|key| store.get(key).is_none()).map(|key| (key, vec![])).collect();
            store.append(missing)?;
        }
        let timed = || read_timings(folder).iter().any(|record| record.serves(&fingerprint, &draft, experiment));
        if file.report.timing && (plan.cost.network_calls() > 0 || !timed()) {
            let detectors = draft.detectors.iter().map(|built| (&built.entry, built.protocol, built.detector.as_ref()));
            plan.timing = timing::workload(&detectors.collect::<Vec<_>>(), &file.report.generations, file.batch);
        }
        if let Some(settings) = file.gallery {
            let classes = [(true, &draft.memorized), (false, &draft.non_memorized)]
                .map(|(class, list)| vec![class; settings.prompts.min(list.prompts.len())]);
            let folder = folder.join(GALLERY);
            plan.drawing = gallery::workload(experiment, known.as_deref(), &classes.concat(), settings.images, &folder);
        }
        Ok(plan)
    }
}
