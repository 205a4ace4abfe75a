//! An experiment's part on one model: what is read back of what was measured.

use std::collections::HashSet;

use memscope_model::{LatentDiffusion, ModelSource, NoisePrecision};
use memscope_results::{
    RunCost, Warning,
    manifest::{DetectorRecord, ModelRecord, PromptCounts},
};

use crate::{
    error::Result,
    manifest::{gammas_record, protocol_record, weights_record},
    plan::{ANALYSIS_PRECISION, Built, ModelTasks, ResolvedTask},
    report::tables::ModelHyperparameters,
    score::{
        AnalysisResult, DetectorScores, GradedScores, ScoreFile, StoredPlan, read_analysis, read_graded, read_scores,
    },
    spec::{DetectorName, Experiment, ModelEntry},
    store::MeasurementStore,
    task::truncation_warnings,
    tasks::MeasurementPlan,
};

/// An experiment's part on one model, with the model loaded.
pub(super) struct LoadedTask<'e> {
    experiment: &'e Experiment,
    pub(super) model: LatentDiffusion,
    pub(super) resolved: ResolvedTask,
}

/// Where a detector's scores come from.
#[derive(Clone, Copy)]
enum Source<'t> {
    /// What was measured on the model.
    Measured(&'t Built),
    /// A table of the user.
    File(&'t ScoreFile),
}

impl<'e> LoadedTask<'e> {
    pub(super) fn load(experiment: &'e Experiment, source: &ModelSource, entry: &ModelEntry) -> Result<Self> {
        let resolved = ResolvedTask::read(experiment, source, entry)?;
        let model = LatentDiffusion::build(resolved.blueprint.clone(), experiment.execution())?;
        Ok(Self { experiment, model, resolved })
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        let (memorized, non_memorized) = (&self.resolved.memorized, &self.resolved.non_memorized);
        let mut warnings = [memorized.warnings.clone(), non_memorized.warnings.clone()].concat();
        let texts: Vec<String> = non_memorized.texts();
        let known: HashSet<&str> = texts.iter().map(String::as_str).collect();
        let first = memorized.prompts.iter().map(|prompt| &*prompt.text);
        let of_first: HashSet<&str> = first.clone().collect();
        let others = texts.iter().map(String::as_str).filter(|prompt| !of_first.contains(prompt));
        warnings.extend(truncation_warnings(&self.model, first.clone().chain(others)));
        let both = first.filter(|prompt| known.contains(prompt));
        warnings.extend(both.map(|prompt| Warning::InBothClasses { prompt: prompt.to_owned() }));
        let file = self.experiment.file();
        let classes = (&*memorized.prompts, &*non_memorized.prompts);
        for scores in &self.resolved.score_files {
            warnings.extend(scores.warnings(classes, &self.resolved.graded.prompts, &file.report.generations));
        }
        let (count, target_fpr) = (self.resolved.compared.non_memorized.len(), file.report.target_fpr);
        if !self.resolved.detectors.is_empty() && (count as f64) < 1.0 / target_fpr {
            warnings.push(Warning::FewNonMemorized { non_memorized: count, target_fpr });
        }
        warnings
    }

    pub(super) fn hyperparameters(&self, seeds: &[u64]) -> ModelHyperparameters {
        let weighted = self.resolved.detectors.iter().filter(|built| built.entry.name() == DetectorName::Anisotropy);
        ModelHyperparameters {
            gammas: weighted.map(|built| (built.entry.label(), built.entry.gammas(self.model.blueprint()))).collect(),
            seeds: seeds.to_vec(),
        }
    }

    /// The plan whose noise has a precision, if a detector or analysis needed one.
    fn stored<'t>(
        tasks: &'t ModelTasks,
        store: &'t MeasurementStore,
        precision: NoisePrecision,
    ) -> Option<StoredPlan<'t>> {
        let of_precision = |(known, _): &&(NoisePrecision, MeasurementPlan)| *known == precision;
        tasks.measurements.iter().find(of_precision).map(|(_, plan)| StoredPlan::new(plan, store))
    }

    /// Where the scores of every detector come from, in the order of tables.
    fn sources(&self) -> impl Iterator<Item = Source<'_>> {
        let (mut measured, mut files) = (self.resolved.detectors.iter(), self.resolved.score_files.iter());
        self.experiment.file().detectors.iter().filter_map(move |entry| match entry.score_file() {
            None => measured.next().map(Source::Measured),
            Some(_) => files.next().map(Source::File),
        })
    }

    /// Scores of every detector, from the stored numbers and from files.
    pub(super) fn scores(&self, tasks: &ModelTasks, store: &MeasurementStore) -> Result<Vec<DetectorScores>> {
        let file = self.experiment.file();
        let (memorized, non_memorized) = self.resolved.compared.texts();
        let mut scores = vec![];
        for &n in &file.report.generations {
            for source in self.sources() {
                let built = match source {
                    Source::Measured(built) => built,
                    Source::File(file) if file.has(n) => {
                        scores.push(file.scores(n, (&memorized, &non_memorized))?);
                        continue;
                    }
                    Source::File(_) => continue,
                };
                let Some(stored) = Self::stored(tasks, store, built.precision()) else { continue };
                let detector = (&built.entry, built.detector.as_ref());
                let seeds = built.entry.seeds().unwrap_or(&file.noise.seeds);
                scores.push(read_scores(&stored, detector, n, seeds, (&memorized, &non_memorized))?);
            }
        }
        Ok(scores)
    }

    /// Scores of every detector on the graded prompts, from the stored numbers.
    pub(super) fn graded(&self, tasks: &ModelTasks, store: &MeasurementStore) -> Result<Vec<GradedScores>> {
        let (file, prompts) = (self.experiment.file(), self.resolved.graded.texts());
        let mut graded = vec![];
        for source in self.sources().filter(|_| !prompts.is_empty()) {
            let built = match source {
                Source::Measured(built) => built,
                Source::File(scores) => {
                    graded.extend(scores.graded(&file.report.generations, &prompts));
                    continue;
                }
            };
            let Some(stored) = Self::stored(tasks, store, built.precision()) else { continue };
            let seeds = built.entry.seeds().unwrap_or(&file.noise.seeds);
            let detector = (&built.entry, built.detector.as_ref());
            graded.push(read_graded(&stored, detector, &file.report.generations, seeds, &prompts)?);
        }
        Ok(graded)
    }

    /// The numbers of the analyses, from the stored ones.
    pub(super) fn analyses(&self, tasks: &ModelTasks, store: &MeasurementStore) -> Result<Vec<AnalysisResult>> {
        let file = self.experiment.file();
        let Some(stored) = Self::stored(tasks, store, ANALYSIS_PRECISION) else { return Ok(vec![]) };
        let seed = file.noise.seeds.first().copied().unwrap_or_default();
        let classes = (&*self.resolved.compared.memorized, &*self.resolved.compared.non_memorized);
        let read = |entry| read_analysis(entry, self.model.blueprint(), &stored, seed, classes);
        file.analyses.iter().map(read).collect()
    }

    /// What the manifest says of the model; `cost` is what was asked of it, `planned` what it all costs.
    pub(super) fn record(&self, name: &str, (cost, planned): (RunCost, RunCost)) -> ModelRecord {
        let (model, resolved) = (&self.model, &self.resolved);
        ModelRecord {
            source: name.to_owned(),
            fingerprint: model.fingerprint().to_owned(),
            weights: weights_record(model.weights_origin()),
            parameterization: model.schedule().parameterization().to_string(),
            latent_shape: model.latent_shape(),
            detectors: self.sources().map(detector_record).collect(),
            prompts: PromptCounts {
                memorized: resolved.compared.memorized.len(),
                non_memorized: resolved.compared.non_memorized.len(),
            },
            cost,
            planned,
        }
    }
}

fn detector_record(source: Source) -> DetectorRecord {
    match source {
        Source::Measured(built) => DetectorRecord {
            label: built.entry.label(),
            gammas: built.entry.own_gammas().map(gammas_record),
            protocol: Some(protocol_record(&built.protocol)),
            scores: None,
        },
        Source::File(file) => {
            DetectorRecord { label: file.entry().label(), gammas: None, protocol: None, scores: Some(file.record()) }
        }
    }
}
