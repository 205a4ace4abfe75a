//! Runs an experiment into a results folder.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use memscope_metric::{Detector, ResolvedProtocol};
use memscope_model::{LatentDiffusion, LoadOptions, ModelSource, NoisePrecision, Schedule, noise::initial_latents};
use serde::{Deserialize, Serialize};

use crate::{
    detection::{DetectorScores, read_scores},
    error::{Error, Result},
    experiment::{Experiment, ModelEntry, TableKind, noise_precision},
    export::{ExportSet, Format},
    frames,
    gallery::{self, GalleryRow, GallerySettings},
    manifest::{COMMIT, DetectorRecord, Manifest, ModelRecord, write_atomically, write_json},
    measures::Measures,
    paper::Model as PaperModel,
    probes::{self, ProbeResult},
    prompts::{KnownPrompt, PromptList},
    registry::{DetectorEntry, DetectorName},
    run::{NoisePlan, NoiseSharing, RunCost, RunPrompt, Runner, Watch},
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

/// A detector ready to score.
struct Built {
    entry: DetectorEntry,
    protocol: ResolvedProtocol,
    detector: Box<dyn Detector>,
}

impl Built {
    fn precision(&self) -> NoisePrecision {
        noise_precision(self.protocol.numerics)
    }
}

/// The precision of the noise that probes of the score field start from.
const PROBE_PRECISION: NoisePrecision = NoisePrecision::F32;

/// A runner for each precision of the noise.
type Runners<'a> = [(NoisePrecision, Runner<'a>)];

/// A model ready to be measured.
struct Subject {
    model: LatentDiffusion,
    detectors: Vec<Built>,
    memorized: PromptList,
    non_memorized: PromptList,
}

impl Subject {
    fn load(experiment: &Experiment, source: &ModelSource, entry: &ModelEntry) -> Result<Self> {
        let file = experiment.file();
        // Prompts first: a bad list fails before gigabytes are read.
        let (mut memorized, mut non_memorized) =
            (file.prompts.memorized.load(source)?, file.prompts.non_memorized.load(source)?);
        for (class, list) in [("memorized", &mut memorized), ("non_memorized", &mut non_memorized)] {
            list.prompts.truncate(file.prompts.limit.unwrap_or(usize::MAX));
            if list.prompts.is_empty() && experiment.needs_scores() {
                return Err(Error::Prompts {
                    file: format!("prompts.{class}"),
                    reason: format!("is empty for {source}"),
                });
            }
        }
        let options = LoadOptions { schedule: entry.schedule_check(), execution: experiment.execution() };
        let model = LatentDiffusion::load_with(source, options)?;
        let kind = model.schedule().parameterization();
        let build = |entry: &DetectorEntry| {
            let protocol = entry.protocol(&file.protocol).resolve(kind)?;
            Ok(Built { entry: entry.clone(), protocol, detector: entry.build(protocol, &model)? })
        };
        let detectors = file.detectors.iter().map(build).collect::<Result<_>>()?;
        Ok(Self { model, detectors, memorized, non_memorized })
    }

    fn prompts(&self) -> Vec<RunPrompt> {
        let mut prompts = RunPrompt::list(&self.memorized.texts());
        let others = RunPrompt::list(&self.non_memorized.texts());
        let memorized = self.memorized.texts();
        prompts.extend(others.into_iter().filter(|p| !memorized.contains(&p.text)));
        prompts
    }

    /// One runner for each precision of the noise that a detector or probe needs.
    fn runners(&self, experiment: &Experiment) -> Vec<(NoisePrecision, Runner<'_>)> {
        let file = experiment.file();
        let mut wanted: Vec<(NoisePrecision, Measures)> = vec![];
        let mut want = |precision, measure, seeds| {
            let at = wanted.iter().position(|(known, _)| *known == precision).unwrap_or_else(|| {
                wanted.push((precision, Measures::default()));
                wanted.len() - 1
            });
            wanted[at].1.add(measure, seeds);
        };
        for built in &self.detectors {
            for measure in built.detector.measures() {
                want(built.precision(), measure, built.entry.seeds.as_deref());
            }
        }
        for probe in &file.probes {
            want(PROBE_PRECISION, probe.measure(&self.model), None);
        }
        let runner = |(precision, measures)| {
            let noise = noise_plan(experiment, precision);
            (precision, Runner::new(&self.model, noise, measures, self.prompts(), file.batch))
        };
        wanted.into_iter().map(runner).collect()
    }

    fn warnings(&self, runners: &Runners, fpr: f64) -> Vec<Warning> {
        let mut warnings = [self.memorized.warnings.clone(), self.non_memorized.warnings.clone()].concat();
        warnings.extend(runners.first().iter().flat_map(|(_, runner)| runner.truncation_warnings()));
        let others = self.non_memorized.texts();
        let both = self.memorized.texts().into_iter().filter(|p| others.contains(p));
        warnings.extend(both.map(|prompt| Warning::InBothClasses { prompt }));
        let negatives = others.len();
        if !self.detectors.is_empty() && (negatives as f64) < 1.0 / fpr {
            warnings.push(Warning::FewNegatives { negatives, fpr });
        }
        warnings
    }

    fn hyperparameters(&self, seeds: &[u64]) -> ModelHyperparameters {
        let weighted = self.detectors.iter().filter(|built| built.entry.name == DetectorName::Anisotropy);
        ModelHyperparameters {
            gammas: weighted.map(|built| (built.entry.label(), built.entry.gammas(&self.model))).collect(),
            seeds: seeds.to_vec(),
        }
    }

    /// Scores of every detector, from the stored answers.
    fn scores(&self, experiment: &Experiment, runners: &Runners, store: &ScoreStore) -> Result<Vec<DetectorScores>> {
        let file = experiment.file();
        let (memorized, others) = (self.memorized.texts(), self.non_memorized.texts());
        let mut scores = vec![];
        for &n in &file.report.generations {
            for built in &self.detectors {
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
        let classes = (&*self.memorized.prompts, &*self.non_memorized.prompts);
        file.probes.iter().map(|entry| probes::read(entry, &self.model, (runner, store), seed, classes)).collect()
    }

    /// Times of every detector on the first memorized prompts under the first seed.
    fn time(&self, experiment: &Experiment, watch: &dyn Watch) -> Result<Vec<DetectorTiming>> {
        let file = experiment.file();
        let shape = self.model.latent_shape();
        let noise = noise_plan(experiment, PROBE_PRECISION);
        let seed = file.noise.seeds.first().copied().unwrap_or_default();
        let latents = initial_latents(noise.generator, noise.precision, seed, noise.generations, shape);
        let detectors = self.detectors.iter().map(|built| (&built.entry, built.protocol, built.detector.as_ref()));
        let timed = Timed {
            model: &self.model,
            detectors: detectors.collect(),
            prompts: &self.memorized.texts(),
            latents: latents.chunks(shape.0 * shape.1 * shape.2).map(<[f32]>::to_vec).collect(),
            generations: &file.report.generations,
            batch: file.batch,
        };
        timed.run(watch)
    }
}

fn noise_plan(experiment: &Experiment, precision: NoisePrecision) -> NoisePlan {
    let noise = &experiment.file().noise;
    NoisePlan {
        generator: experiment.generator(),
        precision,
        seeds: noise.seeds.clone(),
        generations: noise.generations,
        sharing: noise.sharing,
    }
}

/// What an experiment would ask of the network, per model, beyond what is stored.
pub fn plan(experiment: &Experiment, results: &Path) -> Result<Vec<(ModelSource, RunCost)>> {
    experiment
        .models()
        .map(|(source, entry)| {
            let subject = Subject::load(experiment, source, entry)?;
            let store = ScoreStore::open(&answers_folder(results), subject.model.fingerprint())?;
            let mut cost = RunCost::default();
            if experiment.needs_scores() {
                subject.runners(experiment).iter().for_each(|(_, runner)| cost.add(runner.plan(&store)));
            }
            Ok((source.clone(), cost))
        })
        .collect()
}

/// Measured numbers, shared by the experiments of a results folder.
fn answers_folder(results: &Path) -> PathBuf {
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
            let classes = (&*subject.memorized.texts(), &*subject.non_memorized.texts());
            for (_, runner) in &runners {
                if self.answers == Answers::Fresh {
                    store.forget(runner.all_keys().iter());
                }
                cost.add(runner.run(&mut store, observer)?);
                planned.add(runner.plan(&ScoreStore::in_memory()));
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
            weights: subject.model.weights_origin(),
            parameterization: subject.model.schedule().parameterization().to_string(),
            latent_shape: subject.model.latent_shape(),
            detectors: subject.detectors.iter().map(detector_record).collect(),
            prompts: [
                ("memorized", subject.memorized.prompts.len()),
                ("non_memorized", subject.non_memorized.prompts.len()),
            ]
            .into(),
            cost,
            planned,
        });
        self.scores.push(ModelScores {
            model: name,
            paper,
            hyperparameters: subject.hyperparameters(&file.noise.seeds),
            memorized: subject.memorized.prompts,
            non_memorized: subject.non_memorized.prompts,
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
        let spread = |prompts: &'_ [KnownPrompt]| {
            let count = settings.prompts.min(prompts.len());
            (0..count).map(|i| i * prompts.len() / count).collect::<Vec<_>>()
        };
        let (memorized, others) = (&subject.memorized.prompts, &subject.non_memorized.prompts);
        let mut prompts: Vec<(bool, &KnownPrompt)> =
            spread(memorized).into_iter().map(|i| (true, &memorized[i])).collect();
        prompts.extend(spread(others).into_iter().map(|i| (false, &others[i])));
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
        let labels: Vec<String> = subject.detectors.iter().map(|built| built.entry.label()).collect();
        let generations = &self.experiment.file().report.generations;
        let same = |record: &&TimingRecord| record.fingerprint == fingerprint && record.covers(&labels, generations);
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
            version: env!("CARGO_PKG_VERSION"),
            commit: COMMIT,
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
            let count = |class| record.prompts.get(class).copied().unwrap_or_default();
            let prompts = format!(
                ", {} {} / {} {} prompts",
                count("memorized"),
                file.prompts.memorized,
                count("non_memorized"),
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
    DetectorRecord { label: built.entry.label(), gammas: built.entry.gammas, protocol: built.protocol }
}

/// File that says where a results folder comes from.
pub const MANIFEST: &str = "manifest.json";
const TIMING: &str = "timing.json";
/// Folder of the table of times, apart from the tables that must not change from run to run.
pub const TIMING_TABLE: &str = "timing";
/// Folder of pictures.
pub const GALLERY: &str = "gallery";

fn read_timings(folder: &Path) -> Vec<TimingRecord> {
    fs::read(folder.join(TIMING)).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

/// Raw times of one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct TimingRecord {
    model: String,
    fingerprint: String,
    detectors: Vec<DetectorTiming>,
    /// What the run itself asked and took.
    run: RunCost,
}

impl TimingRecord {
    fn covers(&self, labels: &[String], generations: &[usize]) -> bool {
        let timed = |label: &String, n: &usize| {
            self.detectors.iter().any(|timing| timing.label == *label && timing.generations == *n)
        };
        labels.iter().all(|label| generations.iter().all(|n| timed(label, n)))
    }
}
