//! Runs an experiment into a results folder.

use std::{collections::HashSet, time::Instant};

use memscope_model::{LatentDiffusion, ModelSource, NoisePrecision, Schedule};
use memscope_results::{Folder, OpenRun, Results, RunCost, figures::FigureData, settings_of};

use super::{
    execute,
    sheets::{sheet_rows, warn_of_mitigation},
};
use crate::{
    error::{Error, Result},
    export::ExportSet,
    frames,
    manifest::{
        COMMIT, DetectorRecord, FORMAT, Manifest, ModelRecord, PromptCounts, gammas_record, protocol_record, utc_now,
        weights_record,
    },
    plan::{ANALYSIS_PRECISION, Built, ModelTasks, PicturePlaces, ResolvedTask},
    report::{
        FORMATS, figures,
        tables::{ModelHyperparameters, ModelScores, ModelTiming, mitigation_times, timing_table},
    },
    score::{
        AnalysisResult, DetectorScores, DetectorTiming, GradedScores, ScoreFile, StoredPlan, prompt_records,
        read_analysis, read_graded, read_mitigation, read_scores, read_timings,
    },
    spec::{DetectorName, Experiment, ExperimentFile, ModelEntry, NoiseSharing, TableKind},
    store::MeasurementStore,
    table::ResultTable,
    task::{CachePolicy, Calls, KnownRecords, ModelIdentity, PlannedRecords, Watch, price, truncation_warnings},
    tasks::{GALLERY_INDEX, GalleryRow, MeasurementPlan},
    warning::Warning,
};

/// Watches an experiment.
pub trait Observer: Watch {
    /// A model starts.
    fn model(&mut self, source: &ModelSource);
    /// Something worth knowing.
    fn warn(&mut self, warning: &Warning);
}

/// What an experiment leaves behind. The folder is complete only after [`Outcome::commit`], so that figures can be drawn
/// into it first.
#[derive(Debug)]
pub struct Outcome {
    /// The right to write into the results folder.
    pub open: OpenRun,
    /// The tables, as exported.
    pub tables: Vec<ResultTable>,
    /// Times; not part of the tables because they differ from run to run.
    pub timing: Vec<ResultTable>,
    /// The numbers of its figures, not drawn yet.
    pub figures: Vec<FigureData>,
    /// Figures, or parts of them, that the data do not allow, and why.
    pub notes: Vec<String>,
    /// The manifest, not written yet.
    pub manifest: Manifest,
    /// Network calls (samples) of this run.
    pub calls: usize,
}

impl Outcome {
    /// Ends the run: the manifest, then COMPLETE.
    ///
    /// # Errors
    /// When a file cannot be written; the folder is then incomplete.
    pub fn commit(self) -> Result<Manifest> {
        Ok(self.open.commit(self.manifest)?)
    }
}

/// An experiment's part on one model, with the model loaded.
struct LoadedTask<'e> {
    experiment: &'e Experiment,
    model: LatentDiffusion,
    resolved: ResolvedTask,
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
    fn load(experiment: &'e Experiment, source: &ModelSource, entry: &ModelEntry) -> Result<Self> {
        let resolved = ResolvedTask::read(experiment, source, entry)?;
        let model = LatentDiffusion::build(resolved.blueprint.clone(), experiment.execution())?;
        Ok(Self { experiment, model, resolved })
    }

    fn warnings(&self) -> Vec<Warning> {
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

    fn hyperparameters(&self, seeds: &[u64]) -> ModelHyperparameters {
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
    fn scores(&self, tasks: &ModelTasks, store: &MeasurementStore) -> Result<Vec<DetectorScores>> {
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
    fn graded(&self, tasks: &ModelTasks, store: &MeasurementStore) -> Result<Vec<GradedScores>> {
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
    fn analyses(&self, tasks: &ModelTasks, store: &MeasurementStore) -> Result<Vec<AnalysisResult>> {
        let file = self.experiment.file();
        let Some(stored) = Self::stored(tasks, store, ANALYSIS_PRECISION) else { return Ok(vec![]) };
        let seed = file.noise.seeds.first().copied().unwrap_or_default();
        let classes = (&*self.resolved.compared.memorized, &*self.resolved.compared.non_memorized);
        let read = |entry| read_analysis(entry, self.model.blueprint(), &stored, seed, classes);
        file.analyses.iter().map(read).collect()
    }
}

/// Runs an experiment: measures what is missing, then writes tables and measurements to `results/NAME`. `command` is how
/// a user repeats it. Stopped or killed, the same call goes on where it was.
///
/// # Errors
/// When an input cannot be read, the network fails, something cannot be written, or the user asked to stop.
pub fn run(
    experiment: &Experiment,
    results: impl Into<Results>,
    policy: CachePolicy,
    command: &str,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let results = results.into();
    run_into(&results.experiment(&experiment.file().name), experiment, &results, policy, command, observer)
}

/// The same into a folder of its own, with the stored measurements of `results`.
pub(super) fn run_into(
    folder: &Folder,
    experiment: &Experiment,
    results: &Results,
    policy: CachePolicy,
    command: &str,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let clock = Instant::now();
    let file = experiment.file();
    let open = begin(folder, experiment)?;
    let tables_folder = folder.tables();
    let targets = file
        .tables
        .iter()
        .map(|kind| Ok((*kind, ExportSet::open(&tables_folder, kind.name(&file.name).as_str(), FORMATS)?)));
    let targets = targets.collect::<Result<Vec<_>>>()?;

    let mut run = Run {
        experiment,
        open,
        command,
        results,
        policy,
        pictures: vec![],
        records: vec![],
        scores: vec![],
        timings: vec![],
        frames: None,
        warnings: vec![],
        device: String::new(),
        calls: Calls::default(),
    };
    for (source, entry) in experiment.models() {
        observer.model(source);
        run.measure(source, entry, observer)?;
    }
    run.finish(targets, clock)
}

/// Takes the folder, marks it as incomplete and keeps the experiment in it.
pub(super) fn begin(folder: &Folder, experiment: &Experiment) -> Result<OpenRun> {
    let file = experiment.file();
    let yaml = serde_yaml::to_string(file)
        .map_err(|e| Error::Experiment { file: file.name.clone(), reason: e.to_string() })?;
    let mut open = folder.begin()?;
    open.write(&folder.experiment_yaml(), yaml.as_bytes())?;
    Ok(open)
}

/// An experiment under way.
struct Run<'a> {
    experiment: &'a Experiment,
    open: OpenRun,
    command: &'a str,
    results: &'a Results,
    policy: CachePolicy,
    pictures: Vec<GalleryRow>,
    records: Vec<ModelRecord>,
    scores: Vec<ModelScores>,
    timings: Vec<(String, ModelTiming)>,
    frames: Option<frames::Collector>,
    warnings: Vec<Warning>,
    /// The device that the networks ran on.
    device: String,
    calls: Calls,
}

impl Run<'_> {
    fn measure(&mut self, source: &ModelSource, entry: &ModelEntry, observer: &mut dyn Observer) -> Result<()> {
        let (experiment, file) = (self.experiment, self.experiment.file());
        let loaded = LoadedTask::load(experiment, source, entry)?;
        let (model, resolved) = (&loaded.model, &loaded.resolved);
        self.device = model.device_name();
        // No published number stands beside what random weights gave.
        let paper = entry.paper.filter(|_| model.weights_origin().is_unmarked());
        let name = source.to_string();
        let (gallery, shared) = (self.open.folder().gallery(), self.results.pictures());
        let places = PicturePlaces { gallery: &gallery, shared: &shared };
        let tasks = resolved.tasks(experiment, &ModelIdentity::of(model), places)?;
        let (mut cost, mut planned) = (RunCost::default(), RunCost::default());
        let (mut detectors, mut analyses, mut graded, mut mitigation) = (vec![], vec![], vec![], None);
        if experiment.needs_scores() {
            for warning in loaded.warnings() {
                observer.warn(&warning);
                self.warnings.push(warning);
            }
            let mut store = MeasurementStore::open(&self.results.answers(), model.fingerprint())?;
            for task in tasks.all() {
                let calls = execute(task, model, &mut store, self.policy, observer)?;
                cost.add(calls.measuring.clone());
                self.calls.add(calls);
            }
            let nothing = MeasurementStore::in_memory();
            for (_, plan) in &tasks.measurements {
                let mut records = PlannedRecords::default();
                let whole = price(plan, &mut KnownRecords::new(&nothing, &mut records), CachePolicy::Reuse);
                planned.add(whole.calls.measuring);
            }
            detectors = loaded.scores(&tasks, &store)?;
            analyses = loaded.analyses(&tasks, &store)?;
            graded = loaded.graded(&tasks, &store)?;
            let classes = (&*resolved.memorized.texts(), &*resolved.non_memorized.texts());
            let frames = match &mut self.frames {
                Some(frames) => frames,
                None => self.frames.insert(frames::Collector::create(
                    &self.open.folder().measurements(),
                    &self.open.folder().scores(),
                )?),
            };
            for (_, plan) in &tasks.measurements {
                frames.add_measurements(&name, &StoredPlan::new(plan, &store), classes)?;
            }
            let (memorized, non_memorized) = resolved.compared.texts();
            let compared = (&*memorized, &*non_memorized);
            detectors.iter().try_for_each(|scores| frames.add_scores(&name, scores, compared))?;
            if let Some((settings, (task, judging))) = file.mitigation.as_ref().zip(tasks.mitigation.as_ref()) {
                let built = resolved.detectors.iter().filter(|_| !task.detectors.is_empty());
                let entries: Vec<_> = built.map(|built| built.entry.clone()).collect();
                let mut result = read_mitigation(settings, (&**task, judging), &entries, &store);
                result.judges = judging.judges()?;
                warn_of_mitigation(&name, &result);
                if let Some(sheets) = settings.sheets {
                    self.pictures.extend(sheet_rows(source, sheets, (&**task, judging), &mut self.open)?);
                }
                mitigation = Some(result);
            }
            if let Some(gallery) = &tasks.gallery {
                self.pictures.extend(gallery.rows(source)?);
            }
            if let Some(timing) = &tasks.timing {
                let detectors: Vec<DetectorTiming> = read_timings(timing, &store);
                let timing = ModelTiming { model: name.clone(), paper, detectors };
                self.timings.push((model.fingerprint().to_owned(), timing));
            }
        }
        self.records.push(record(&loaded, &name, (cost, planned)));
        self.scores.push(ModelScores {
            model: name,
            paper,
            hyperparameters: loaded.hyperparameters(&file.noise.seeds),
            memorized: resolved.compared.memorized.clone(),
            non_memorized: resolved.compared.non_memorized.clone(),
            graded_prompts: resolved.graded.prompts.clone(),
            detectors,
            graded,
            analyses,
            mitigation,
            latent_shape: model.latent_shape(),
            sigmas: sigmas(model.schedule())?,
        });
        Ok(())
    }

    fn finish(mut self, targets: Vec<(TableKind, ExportSet)>, clock: Instant) -> Result<Outcome> {
        let file = self.experiment.file();
        let mut tables = vec![];
        for (kind, target) in targets {
            let mut table = kind.build(&file.name, &file.title, &self.scores, &file.report)?;
            self.provenance(&mut table);
            self.open.adopt(target.write(&table)?)?;
            tables.push(table);
        }
        if let Some(frames) = self.frames.take() {
            frames.finish()?;
            self.open.adopt([self.open.folder().measurements(), self.open.folder().scores()])?;
            let scored = self.scores.iter().filter(|model| !model.detectors.is_empty());
            let few = scored
                .filter(|model| model.memorized.len() + model.non_memorized.len() <= memscope_results::prompts::MOST);
            let prompts: Vec<_> = few
                .map(|model| prompt_records(&model.model, (&model.memorized, &model.non_memorized), &model.detectors))
                .collect();
            if !prompts.is_empty() {
                let path = self.open.folder().prompts();
                self.open.write_json(&path, &prompts)?;
            }
        }
        let mut timing: Vec<ResultTable> = self.write_timing()?.into_iter().collect();
        timing.extend(self.write_mitigation_times()?);
        self.write_gallery()?;
        let timed: Vec<ModelTiming> = self.timings.iter().map(|(_, timing)| timing.clone()).collect();
        let drawn = figures::figures(file, &self.scores, &self.records, &timed)?;
        let left_out = drawn.notes.iter().map(|note| Warning::FigureLeftOut { reason: note.clone() });
        self.warnings.extend(left_out);
        let manifest = Manifest { finished: utc_now(), seconds: clock.elapsed().as_secs_f64(), ..self.manifest() };
        let calls = self.calls.total();
        let (figures, notes) = (drawn.figures, drawn.notes);
        Ok(Outcome { open: self.open, tables, timing, figures, notes, manifest, calls })
    }

    fn manifest(&self) -> Manifest {
        let file = self.experiment.file();
        Manifest {
            device: self.device.clone(),
            models: self.records.clone(),
            warnings: self.warnings.clone(),
            ..manifest_of(file, self.command)
        }
    }

    /// The table of times, and the raw times beside it.
    fn write_timing(&mut self) -> Result<Option<ResultTable>> {
        if self.timings.is_empty() {
            return Ok(None);
        }
        let raw = self.timings.iter().map(|(fingerprint, timing)| RawTiming {
            model: &timing.model,
            fingerprint,
            detectors: &timing.detectors,
        });
        let folder = self.open.folder().clone();
        self.open.write_json(&folder.timing_records(), &raw.collect::<Vec<_>>())?;
        let models: Vec<ModelTiming> = self.timings.iter().map(|(_, timing)| timing.clone()).collect();
        let mut table = timing_table(&self.experiment.file().name, &models)?;
        self.provenance(&mut table);
        let target = ExportSet::open(&folder.timing_tables(), table.name(), FORMATS)?;
        self.open.adopt(target.write(&table)?)?;
        Ok(Some(table))
    }

    /// The table of the times of mitigations.
    fn write_mitigation_times(&mut self) -> Result<Option<ResultTable>> {
        let Some(mut table) = mitigation_times(&self.experiment.file().name, &self.scores)? else { return Ok(None) };
        self.provenance(&mut table);
        let target = ExportSet::open(&self.open.folder().timing_tables(), table.name(), FORMATS)?;
        self.open.adopt(target.write(&table)?)?;
        Ok(Some(table))
    }

    /// The index of the pictures; they are there already.
    fn write_gallery(&mut self) -> Result<()> {
        if self.pictures.is_empty() {
            return Ok(());
        }
        let gallery = self.open.folder().gallery();
        let names = self.pictures.iter().flat_map(|row| row.truth.iter().chain(&row.drawn));
        self.open.adopt(names.map(|name| gallery.join(name)))?;
        Ok(self.open.write_json(&gallery.join(GALLERY_INDEX), &self.pictures)?)
    }

    fn provenance(&self, table: &mut ResultTable) {
        let file = self.experiment.file();
        for record in &self.records {
            let weights = format!("{}, {}", record.parameterization, record.weights.label(&record.fingerprint));
            let prompts = format!(
                ", {} {} / {} {} prompts",
                record.prompts.memorized,
                file.prompts.memorized,
                record.prompts.non_memorized,
                file.prompts.non_memorized
            );
            let prompts = if self.experiment.needs_scores() { prompts } else { String::new() };
            table.set_provenance(&record.source, weights + &prompts);
        }
        table.set_provenance("protocol", format!("{}, {}", file.protocol.preset(), file.protocol.numerics()));
        let seeds: Vec<String> = file.noise.seeds.iter().map(ToString::to_string).collect();
        let sharing = match file.noise.sharing {
            NoiseSharing::Shared => "",
            NoiseSharing::PerPrompt => ", another seed for each prompt",
        };
        table.set_provenance("noise", format!("{}, seeds {}{sharing}", self.experiment.generator(), seeds.join(", ")));
        table.set_provenance("network", format!("{} on {}", file.network.dtype, self.device));
    }
}

/// What a manifest says before anything is measured.
pub(super) fn manifest_of(file: &ExperimentFile, command: &str) -> Manifest {
    Manifest {
        format: FORMAT,
        experiment: file.name.clone(),
        title: file.title.clone(),
        about: file.about.clone(),
        command: command.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: COMMIT.to_owned(),
        dtype: file.network.dtype.to_string(),
        generator: file.noise.generator.to_string(),
        seeds: file.noise.seeds.clone(),
        generations: file.noise.generations,
        settings: settings_of(file),
        ..Manifest::default()
    }
}

/// Times of one model, as they are written beside the table.
#[derive(serde::Serialize)]
struct RawTiming<'a> {
    model: &'a str,
    fingerprint: &'a str,
    detectors: &'a [DetectorTiming],
}

fn sigmas(schedule: &Schedule) -> Result<Vec<f64>> {
    (0..schedule.train_steps()).map(|t| Ok(schedule.scales(t)?.s)).collect()
}

fn record(loaded: &LoadedTask, name: &str, (cost, planned): (RunCost, RunCost)) -> ModelRecord {
    let (model, resolved) = (&loaded.model, &loaded.resolved);
    ModelRecord {
        source: name.to_owned(),
        fingerprint: model.fingerprint().to_owned(),
        weights: weights_record(model.weights_origin()),
        parameterization: model.schedule().parameterization().to_string(),
        latent_shape: model.latent_shape(),
        detectors: loaded.sources().map(detector_record).collect(),
        prompts: PromptCounts {
            memorized: resolved.compared.memorized.len(),
            non_memorized: resolved.compared.non_memorized.len(),
        },
        cost,
        planned,
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
