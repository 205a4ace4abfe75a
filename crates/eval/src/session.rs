//! Runs an experiment into a results folder.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use memscope_model::{LatentDiffusion, ModelSource, NoisePrecision, Schedule, noise::initial_latents};
use serde::{Deserialize, Serialize};

use crate::{
    detection::{DetectorScores, read_scores},
    draft::{Built, Draft, PROBE_PRECISION, noise_plan},
    error::{Error, Result},
    experiment::{Experiment, ModelEntry, TableKind},
    export::{ExportSet, Format},
    frames,
    gallery::{self, GalleryRow, GallerySettings},
    manifest::{
        COMMIT, DetectorRecord, Manifest, ModelRecord, PromptCounts, gammas_record, protocol_record, weights_record,
        write_atomically, write_json,
    },
    paper::Model as PaperModel,
    probes::{self, ProbeResult},
    prompts::KnownPrompt,
    registry::DetectorName,
    run::{AskedModel, NoiseSharing, RunCost, Runner, Watch},
    store::ScoreStore,
    table::ResultTable,
    tables::{ModelHyperparameters, ModelScores, ModelTiming, timing_table},
    timing::{DetectorTiming, Timed},
    warning::Warning,
};

/// Whether answers that are already there count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Ask only what has not been answered.
    Reuse,
    /// Ask everything again.
    Fresh,
}

/// Watches an experiment.
pub trait Observer: Watch {
    /// A model starts.
    fn model(&mut self, source: &ModelSource);
    /// Something worth knowing.
    fn warn(&mut self, warning: &Warning);
}

/// What an experiment left behind.
#[derive(Debug)]
pub struct Outcome {
    /// The results folder.
    pub folder: PathBuf,
    /// The tables, as exported.
    pub tables: Vec<ResultTable>,
    /// What the tables were made from, by model.
    pub models: Vec<ModelScores>,
    /// Times; not part of the tables because they differ from run to run.
    pub timing: Option<ResultTable>,
    /// The times behind it.
    pub timed: Vec<ModelTiming>,
    /// Everything written.
    pub written: Vec<PathBuf>,
    /// The manifest.
    pub manifest: Manifest,
}

/// The file that says a results folder is complete.
pub const COMPLETE: &str = "COMPLETE";
pub(crate) const FORMATS: &[Format] = &[Format::Markdown, Format::Csv, Format::Json, Format::Latex];

/// A runner for each precision of the noise.
type Runners<'a> = [(NoisePrecision, Runner<'a>)];

/// A model ready to be measured.
struct Subject {
    model: LatentDiffusion,
    draft: Draft,
}

impl Subject {
    fn load(experiment: &Experiment, source: &ModelSource, entry: &ModelEntry) -> Result<Self> {
        let draft = Draft::read(experiment, source, entry)?;
        Ok(Self { model: LatentDiffusion::build(draft.blueprint.clone(), experiment.execution())?, draft })
    }

    /// One runner for each precision of the noise that a detector or probe needs.
    fn runners(&self, experiment: &Experiment) -> Vec<(NoisePrecision, Runner<'_>)> {
        let agendas = self.draft.agendas(experiment, &AskedModel::of(&self.model));
        agendas.into_iter().map(|(precision, agenda)| (precision, Runner::new(&self.model, agenda))).collect()
    }

    fn warnings(&self, runners: &Runners, fpr: f64) -> Vec<Warning> {
        let mut warnings = [self.draft.memorized.warnings.clone(), self.draft.non_memorized.warnings.clone()].concat();
        warnings.extend(runners.first().iter().flat_map(|(_, runner)| runner.truncation_warnings()));
        let others = self.draft.non_memorized.texts();
        let both = self.draft.memorized.texts().into_iter().filter(|p| others.contains(p));
        warnings.extend(both.map(|prompt| Warning::InBothClasses { prompt }));
        let negatives = others.len();
        if !self.draft.detectors.is_empty() && (negatives as f64) < 1.0 / fpr {
            warnings.push(Warning::FewNegatives { negatives, fpr });
        }
        warnings
    }

    fn hyperparameters(&self, seeds: &[u64]) -> ModelHyperparameters {
        let weighted = self.draft.detectors.iter().filter(|built| built.entry.name == DetectorName::Anisotropy);
        ModelHyperparameters {
            gammas: weighted.map(|built| (built.entry.label(), built.entry.gammas(self.model.blueprint()))).collect(),
            seeds: seeds.to_vec(),
        }
    }

    /// Scores of every detector, from the stored answers.
    fn scores(&self, experiment: &Experiment, runners: &Runners, store: &ScoreStore) -> Result<Vec<DetectorScores>> {
        let file = experiment.file();
        let (memorized, others) = (self.draft.memorized.texts(), self.draft.non_memorized.texts());
        let mut scores = vec![];
        for &n in &file.report.generations {
            for built in &self.draft.detectors {
                let Some((_, runner)) = runners.iter().find(|(known, _)| *known == built.precision()) else { continue };
                let detector = (&built.entry, built.detector.as_ref());
                let seeds = built.entry.seeds.as_ref().unwrap_or(&file.noise.seeds);
                scores.push(read_scores(runner, store, detector, n, seeds, (&memorized, &others))?);
            }
        }
        Ok(scores)
    }

    /// What the probes saw, from the stored answers.
    fn probes(&self, experiment: &Experiment, runners: &Runners, store: &ScoreStore) -> Result<Vec<ProbeResult>> {
        let file = experiment.file();
        let Some((_, runner)) = runners.iter().find(|(known, _)| *known == PROBE_PRECISION) else { return Ok(vec![]) };
        let seed = file.noise.seeds.first().copied().unwrap_or_default();
        let classes = (&*self.draft.memorized.prompts, &*self.draft.non_memorized.prompts);
        file.probes
            .iter()
            .map(|entry| probes::read(entry, self.model.blueprint(), (runner, store), seed, classes))
            .collect()
    }

    /// Times of every detector on the first memorized prompts under the first seed.
    fn time(&self, experiment: &Experiment, watch: &dyn Watch) -> Result<Vec<DetectorTiming>> {
        let file = experiment.file();
        let shape = self.model.latent_shape();
        let noise = noise_plan(experiment, PROBE_PRECISION);
        let seed = file.noise.seeds.first().copied().unwrap_or_default();
        let latents = initial_latents(noise.generator, noise.precision, seed, noise.generations, shape);
        let detectors =
            self.draft.detectors.iter().map(|built| (&built.entry, built.protocol, built.detector.as_ref()));
        let timed = Timed {
            model: &self.model,
            detectors: detectors.collect(),
            prompts: &self.draft.memorized.texts(),
            latents: latents.chunks(shape.0 * shape.1 * shape.2).map(<[f32]>::to_vec).collect(),
            generations: &file.report.generations,
            batch: file.batch,
        };
        timed.run(watch)
    }
}

/// Measured numbers, shared by the experiments of a results folder.
pub(crate) fn answers_folder(results: &Path) -> PathBuf {
    results.join("answers")
}

/// Runs an experiment: measures what is missing, then writes tables, measurements and manifest to
/// `results/NAME`. Stopped or killed, the same call goes on where it was.
pub fn run(experiment: &Experiment, results: &Path, answers: Answers, observer: &mut dyn Observer) -> Result<Outcome> {
    run_into(&results.join(&experiment.file().name), experiment, results, answers, observer)
}

/// The same into a folder of its own, with the stored answers of `results`.
pub(crate) fn run_into(
    folder: &Path,
    experiment: &Experiment,
    results: &Path,
    answers: Answers,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let clock = Instant::now();
    let file = experiment.file();
    begin(folder, experiment)?;
    let tables_folder = folder.join("tables");
    let targets = file
        .tables
        .iter()
        .map(|kind| Ok((*kind, ExportSet::open(&tables_folder, kind.name(&file.name).as_str(), FORMATS)?)));
    let targets = targets.collect::<Result<Vec<_>>>()?;

    let mut run = Run {
        experiment,
        folder,
        pictures: vec![],
        results,
        answers,
        earlier: read_timings(folder),
        records: vec![],
        scores: vec![],
        timings: vec![],
        frames: frames::Collector::default(),
        warnings: vec![],
        device: String::new(),
    };
    for (source, entry) in experiment.models() {
        observer.model(source);
        run.measure(source, entry, observer)?;
    }
    run.finish(targets, clock)
}

/// Marks the folder as incomplete and keeps the experiment in it.
pub(crate) fn begin(folder: &Path, experiment: &Experiment) -> Result<()> {
    let file = experiment.file();
    fs::create_dir_all(folder).map_err(Error::write(folder))?;
    let complete = folder.join(COMPLETE);
    if complete.exists() {
        fs::remove_file(&complete).map_err(Error::write(&complete))?;
    }
    let yaml = serde_yaml::to_string(file)
        .map_err(|e| Error::Experiment { file: file.name.clone(), reason: e.to_string() })?;
    write_atomically(&folder.join("experiment.yaml"), yaml.as_bytes())
}

/// An experiment under way.
struct Run<'a> {
    experiment: &'a Experiment,
    folder: &'a Path,
    pictures: Vec<GalleryRow>,
    results: &'a Path,
    answers: Answers,
    earlier: Vec<TimingRecord>,
    records: Vec<ModelRecord>,
    scores: Vec<ModelScores>,
    timings: Vec<(ModelTiming, TimingRecord)>,
    frames: frames::Collector,
    warnings: Vec<Warning>,
    /// The device that the networks ran on.
    device: String,
}

impl Run<'_> {
    fn measure(&mut self, source: &ModelSource, entry: &ModelEntry, observer: &mut dyn Observer) -> Result<()> {
        let (experiment, file) = (self.experiment, self.experiment.file());
        let subject = Subject::load(experiment, source, entry)?;
        self.device = subject.model.device_name();
        // No published number stands beside what random weights gave.
        let paper = entry.paper.filter(|_| subject.model.weights_origin().is_unmarked());
        let name = source.to_string();
        let (mut cost, mut planned) = (RunCost::default(), RunCost::default());
        let (mut detectors, mut probes) = (vec![], vec![]);
        if experiment.needs_scores() {
            let runners = subject.runners(experiment);
            for warning in subject.warnings(&runners, file.report.fpr) {
                observer.warn(&warning);
                self.warnings.push(warning);
            }
            let mut store = ScoreStore::open(&answers_folder(self.results), subject.model.fingerprint())?;
            let classes = (&*subject.draft.memorized.texts(), &*subject.draft.non_memorized.texts());
            for (_, runner) in &runners {
                if self.answers == Answers::Fresh {
                    store.forget(runner.agenda().all_keys().iter());
                }
                cost.add(runner.run(&mut store, observer)?);
                planned.add(runner.agenda().plan(&ScoreStore::in_memory()));
                self.frames.add_measurements(&name, runner, &store, classes);
            }
            detectors = subject.scores(experiment, &runners, &store)?;
            probes = subject.probes(experiment, &runners, &store)?;
            detectors.iter().for_each(|scores| self.frames.add_scores(&name, scores, classes));
            if let Some(settings) = file.gallery {
                self.draw(&subject, source, settings, observer)?;
            }
            if file.report.timing {
                self.time(&subject, &name, paper, &cost, observer)?;
            }
        }
        self.records.push(ModelRecord {
            source: name.clone(),
            fingerprint: subject.model.fingerprint().to_owned(),
            weights: weights_record(subject.model.weights_origin()),
            parameterization: subject.model.schedule().parameterization().to_string(),
            latent_shape: subject.model.latent_shape(),
            detectors: subject.draft.detectors.iter().map(detector_record).collect(),
            prompts: PromptCounts {
                memorized: subject.draft.memorized.prompts.len(),
                non_memorized: subject.draft.non_memorized.prompts.len(),
            },
            cost,
            planned,
        });
        self.scores.push(ModelScores {
            model: name,
            paper,
            hyperparameters: subject.hyperparameters(&file.noise.seeds),
            memorized: subject.draft.memorized.prompts,
            non_memorized: subject.draft.non_memorized.prompts,
            detectors,
            probes,
            latent_shape: subject.model.latent_shape(),
            sigmas: sigmas(subject.model.schedule())?,
        });
        Ok(())
    }

    /// Pictures of some prompts of each class, evenly spread over its list.
    fn draw(
        &mut self,
        subject: &Subject,
        source: &ModelSource,
        settings: GallerySettings,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let (memorized, others) = (&subject.draft.memorized.prompts, &subject.draft.non_memorized.prompts);
        let mut prompts: Vec<(bool, &KnownPrompt)> =
            gallery::spread(settings.prompts, memorized.len()).map(|i| (true, &memorized[i])).collect();
        prompts.extend(gallery::spread(settings.prompts, others.len()).map(|i| (false, &others[i])));
        let model = (source, &subject.model);
        let folder = self.folder.join(GALLERY);
        self.pictures.extend(gallery::draw(self.experiment, model, &prompts, settings.images, &folder, observer)?);
        Ok(())
    }

    /// Times of this run; where it asked the network nothing, those of the last run of the same detectors.
    fn time(
        &mut self,
        subject: &Subject,
        name: &str,
        paper: Option<PaperModel>,
        cost: &RunCost,
        watch: &dyn Watch,
    ) -> Result<()> {
        let fingerprint = subject.model.fingerprint();
        let same = |record: &&TimingRecord| record.serves(fingerprint, &subject.draft, self.experiment);
        let known = self.earlier.iter().find(same).filter(|_| cost.network_calls() == 0).cloned();
        let record = match known {
            Some(record) => record,
            None => TimingRecord {
                model: name.to_owned(),
                fingerprint: fingerprint.to_owned(),
                detectors: subject.time(self.experiment, watch)?,
                run: cost.clone(),
            },
        };
        let timing = ModelTiming { model: name.to_owned(), paper, detectors: record.detectors.clone() };
        self.timings.push((timing, record));
        Ok(())
    }

    fn finish(mut self, targets: Vec<(TableKind, ExportSet)>, clock: Instant) -> Result<Outcome> {
        let (file, folder) = (self.experiment.file(), self.folder);
        let mut tables = vec![];
        let mut written = vec![];
        for (kind, target) in targets {
            let mut table = kind.build(&file.name, &file.title, &self.scores, &file.report)?;
            self.provenance(&mut table);
            written.extend(target.write(&table)?);
            tables.push(table);
        }
        let (mut timing, mut timed) = (None, vec![]);
        if self.experiment.needs_scores() {
            written.extend(std::mem::take(&mut self.frames).write(folder)?);
        }
        if !self.timings.is_empty() {
            let path = folder.join(TIMING);
            let (models, records): (Vec<_>, Vec<_>) = std::mem::take(&mut self.timings).into_iter().unzip();
            write_json(&path, &records)?;
            written.push(path);
            let mut table = timing_table(&file.name, &models)?;
            self.provenance(&mut table);
            written.extend(ExportSet::open(&folder.join(TIMING_TABLE), table.name(), FORMATS)?.write(&table)?);
            timing = Some(table);
            timed = models;
        }
        if !self.pictures.is_empty() {
            written.push(gallery::write_index(&folder.join(GALLERY), &self.pictures)?);
        }
        let manifest = Manifest {
            experiment: file.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: COMMIT.to_owned(),
            device: self.device,
            dtype: file.network.dtype.clone(),
            generator: file.noise.generator.clone(),
            seeds: file.noise.seeds.clone(),
            generations: file.noise.generations,
            models: self.records,
            warnings: self.warnings,
            seconds: clock.elapsed().as_secs_f64(),
        };
        let path = folder.join(MANIFEST);
        write_json(&path, &manifest)?;
        written.push(path);
        write_atomically(&folder.join(COMPLETE), b"")?;
        Ok(Outcome { folder: folder.to_owned(), tables, models: self.scores, timing, timed, written, manifest })
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

fn sigmas(schedule: &Schedule) -> Result<Vec<f64>> {
    (0..schedule.train_steps()).map(|t| Ok(schedule.scales(t)?.s)).collect()
}

fn detector_record(built: &Built) -> DetectorRecord {
    DetectorRecord {
        label: built.entry.label(),
        gammas: built.entry.gammas.map(gammas_record),
        protocol: protocol_record(&built.protocol),
    }
}

/// File that says where a results folder comes from.
pub const MANIFEST: &str = "manifest.json";
const TIMING: &str = "timing.json";
/// Folder of the table of times, apart from the tables that must not change from run to run.
pub const TIMING_TABLE: &str = "timing";
/// Folder of pictures.
pub const GALLERY: &str = "gallery";

pub(crate) fn read_timings(folder: &Path) -> Vec<TimingRecord> {
    fs::read(folder.join(TIMING)).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

/// Raw times of one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TimingRecord {
    model: String,
    fingerprint: String,
    detectors: Vec<DetectorTiming>,
    /// What the run itself asked and took.
    run: RunCost,
}

impl TimingRecord {
    /// Whether it has the times of all detectors of an experiment on a model.
    pub(crate) fn serves(&self, fingerprint: &str, draft: &Draft, experiment: &Experiment) -> bool {
        let timed = |label: &String, n: &usize| {
            self.detectors.iter().any(|timing| timing.label == *label && timing.generations == *n)
        };
        let mut labels = draft.detectors.iter().map(|built| built.entry.label());
        let generations = &experiment.file().report.generations;
        self.fingerprint == fingerprint && labels.all(|label| generations.iter().all(|n| timed(&label, n)))
    }
}
