//! Runs an experiment into a results folder.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use memscope_metric::{Ask, Detector, Measure, ResolvedProtocol};
use memscope_model::{LatentDiffusion, ModelSource};
use serde::{Deserialize, Serialize};

use crate::{
    detection::read_scores,
    error::{Error, Result},
    experiment::{Experiment, ModelEntry},
    export::{ExportSet, Format},
    frames,
    manifest::{COMMIT, Manifest, ModelRecord, write_atomically, write_json},
    prompts::PromptList,
    registry::DetectorName,
    run::{NoisePlan, RunCost, Runner, Watch},
    store::ScoreStore,
    table::ResultTable,
    tables::{DetectorNeeds, ModelScores, ModelTiming, timing_table},
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
    /// Times; not part of the tables because they differ from run to run.
    pub timing: Option<ResultTable>,
    /// Everything written.
    pub written: Vec<PathBuf>,
    /// The manifest.
    pub manifest: Manifest,
}

/// The file that says a results folder is complete.
const COMPLETE: &str = "COMPLETE";
const FORMATS: &[Format] = &[Format::Markdown, Format::Csv, Format::Json, Format::Latex];

/// A model ready to be measured.
struct Subject {
    model: LatentDiffusion,
    protocol: ResolvedProtocol,
    detectors: Vec<(DetectorName, Box<dyn Detector>)>,
    memorized: PromptList,
    non_memorized: PromptList,
}

impl Subject {
    fn load(experiment: &Experiment, source: &ModelSource) -> Result<Self> {
        let file = experiment.file();
        // Prompts first: a bad list fails before gigabytes are read.
        let (memorized, non_memorized) =
            (file.prompts.memorized.load(source)?, file.prompts.non_memorized.load(source)?);
        for (class, list) in [("memorized", &memorized), ("non_memorized", &non_memorized)] {
            if list.prompts.is_empty() {
                return Err(Error::Prompts {
                    file: format!("prompts.{class}"),
                    reason: format!("is empty for {source}"),
                });
            }
        }
        let model = LatentDiffusion::load(source)?;
        let kind = model.schedule().parameterization();
        let protocol = file.protocol.resolve(kind)?;
        let detectors = file.detectors.iter().map(|d| (d.name, d.name.build(protocol, d.gammas, &model))).collect();
        Ok(Self { model, protocol, detectors, memorized, non_memorized })
    }

    fn prompts(&self) -> Vec<String> {
        let mut prompts = self.memorized.prompts.clone();
        prompts.extend(self.non_memorized.prompts.iter().filter(|p| !self.memorized.prompts.contains(p)).cloned());
        prompts
    }

    fn runner(&self, experiment: &Experiment) -> Runner<'_> {
        let file = experiment.file();
        let noise = NoisePlan {
            generator: experiment.generator(),
            precision: experiment.noise_precision(),
            seeds: file.noise.seeds.clone(),
            generations: file.noise.generations,
        };
        let measures: Vec<Box<dyn Measure>> = self.detectors.iter().flat_map(|(_, d)| d.measures()).collect();
        Runner::new(&self.model, noise, measures, file.batch)
    }

    fn warnings(&self, runner: &Runner, prompts: &[String], fpr: f64) -> Vec<Warning> {
        let mut warnings = [self.memorized.warnings.clone(), self.non_memorized.warnings.clone()].concat();
        warnings.extend(runner.truncation_warnings(prompts));
        let both = self.memorized.prompts.iter().filter(|p| self.non_memorized.prompts.contains(p));
        warnings.extend(both.map(|prompt| Warning::InBothClasses { prompt: prompt.clone() }));
        let negatives = self.non_memorized.prompts.len();
        if (negatives as f64) < 1.0 / fpr {
            warnings.push(Warning::FewNegatives { negatives, fpr });
        }
        warnings
    }

    /// What each detector needs per generation.
    fn needs(&self) -> Vec<DetectorNeeds> {
        let needs = |(name, detector): &(DetectorName, Box<dyn Detector>)| {
            let measures = detector.measures();
            let mut asks: Vec<Ask> = measures.iter().flat_map(|measure| measure.asks()).collect();
            asks.sort_unstable();
            asks.dedup();
            let conditional = asks.iter().filter(|ask| matches!(ask, Ask::Conditional { .. })).count();
            DetectorNeeds {
                detector: *name,
                conditional,
                unconditional: asks.len() - conditional,
                measures: measures.iter().map(|measure| measure.id()).collect(),
            }
        };
        self.detectors.iter().map(needs).collect()
    }
}

/// What an experiment would ask of the network, per model, beyond what is stored.
pub fn plan(experiment: &Experiment, results: &Path) -> Result<Vec<(ModelSource, RunCost)>> {
    experiment
        .models()
        .map(|(source, _)| {
            let subject = Subject::load(experiment, source)?;
            let store = ScoreStore::open(&answers_folder(results), subject.model.fingerprint())?;
            Ok((source.clone(), subject.runner(experiment).plan(&subject.prompts(), &store)))
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
    let clock = Instant::now();
    let file = experiment.file();
    let folder = results.join(&file.name);
    fs::create_dir_all(&folder).map_err(Error::write(&folder))?;
    let complete = folder.join(COMPLETE);
    if complete.exists() {
        fs::remove_file(&complete).map_err(Error::write(&complete))?;
    }
    let yaml = serde_yaml::to_string(file)
        .map_err(|e| Error::Experiment { file: file.name.clone(), reason: e.to_string() })?;
    write_atomically(&folder.join("experiment.yaml"), yaml.as_bytes())?;
    let tables_folder = folder.join("tables");
    let targets = file
        .tables
        .iter()
        .map(|kind| Ok((*kind, ExportSet::open(&tables_folder, kind.name(&file.name).as_str(), FORMATS)?)));
    let targets = targets.collect::<Result<Vec<_>>>()?;

    let mut run = Run {
        experiment,
        results,
        answers,
        records: vec![],
        scores: vec![],
        timings: vec![],
        frames: frames::Collector::default(),
        warnings: vec![],
    };
    for (source, entry) in experiment.models() {
        observer.model(source);
        run.measure(source, entry, observer)?;
    }
    run.finish(&folder, targets, clock)
}

/// An experiment under way.
struct Run<'a> {
    experiment: &'a Experiment,
    results: &'a Path,
    answers: Answers,
    records: Vec<ModelRecord>,
    scores: Vec<ModelScores>,
    timings: Vec<ModelTiming>,
    frames: frames::Collector,
    warnings: Vec<Warning>,
}

impl Run<'_> {
    fn measure(&mut self, source: &ModelSource, entry: &ModelEntry, observer: &mut dyn Observer) -> Result<()> {
        let (experiment, file) = (self.experiment, self.experiment.file());
        let subject = Subject::load(experiment, source)?;
        let (runner, prompts) = (subject.runner(experiment), subject.prompts());
        for warning in subject.warnings(&runner, &prompts, file.report.fpr) {
            observer.warn(&warning);
            self.warnings.push(warning);
        }
        let mut store = ScoreStore::open(&answers_folder(self.results), subject.model.fingerprint())?;
        if self.answers == Answers::Fresh {
            store.forget(runner.all_keys(&prompts).iter());
        }
        let cost = runner.run(&prompts, &mut store, observer)?;

        let name = source.to_string();
        let classes = (subject.memorized.prompts.as_slice(), subject.non_memorized.prompts.as_slice());
        let mut detectors = vec![];
        for &n in &file.report.generations {
            for (detector_name, detector) in &subject.detectors {
                let detector = (*detector_name, detector.as_ref());
                let scores = read_scores(&runner, &store, detector, n, &file.noise.seeds, classes)?;
                self.frames.add_scores(&name, &scores, classes);
                detectors.push(scores);
            }
        }
        self.frames.add_measurements(&name, &runner, &store, classes);
        self.scores.push(ModelScores { model: name.clone(), paper: entry.paper, detectors });
        self.timings.push(ModelTiming {
            model: name.clone(),
            paper: entry.paper,
            cost: cost.clone(),
            needs: subject.needs(),
        });
        self.records.push(ModelRecord {
            source: name,
            fingerprint: subject.model.fingerprint().to_owned(),
            parameterization: subject.model.schedule().parameterization().to_string(),
            latent_shape: subject.model.latent_shape(),
            protocol: subject.protocol,
            prompts: [("memorized", classes.0.len()), ("non_memorized", classes.1.len())].into(),
            cost,
            planned: runner.plan(&prompts, &ScoreStore::in_memory()),
        });
        Ok(())
    }

    fn finish(
        mut self,
        folder: &Path,
        targets: Vec<(crate::experiment::TableKind, ExportSet)>,
        clock: Instant,
    ) -> Result<Outcome> {
        let file = self.experiment.file();
        let mut tables = vec![];
        let mut written = vec![];
        for (kind, target) in targets {
            let mut table = kind.build(&file.name, &file.title, &self.scores, &file.report)?;
            self.provenance(&mut table);
            written.extend(target.write(&table)?);
            tables.push(table);
        }
        written.extend(std::mem::take(&mut self.frames).write(folder)?);
        let timing = self.timing(folder, &mut written)?;
        let manifest = Manifest {
            experiment: file.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            commit: COMMIT,
            device: "cpu",
            dtype: "f32",
            generator: file.noise.generator.clone(),
            seeds: file.noise.seeds.clone(),
            generations: file.noise.generations,
            models: self.records,
            warnings: self.warnings,
            seconds: clock.elapsed().as_secs_f64(),
        };
        let path = folder.join("manifest.json");
        write_json(&path, &manifest)?;
        written.push(path);
        write_atomically(&folder.join(COMPLETE), b"")?;
        Ok(Outcome { folder: folder.to_owned(), tables, timing, written, manifest })
    }

    fn provenance(&self, table: &mut ResultTable) {
        let file = self.experiment.file();
        for record in &self.records {
            let (memorized, others) = (record.prompts.get("memorized"), record.prompts.get("non_memorized"));
            let prompts = format!(
                "{} {} / {} {} prompts",
                memorized.copied().unwrap_or_default(),
                file.prompts.memorized,
                others.copied().unwrap_or_default(),
                file.prompts.non_memorized
            );
            let value = format!("{}, weights sha256 {}, {prompts}", record.parameterization, &record.fingerprint[..16]);
            table.set_provenance(&record.source, value);
        }
        table.set_provenance("protocol", format!("{}, {}", file.protocol.preset, file.protocol.numerics));
        let seeds: Vec<String> = file.noise.seeds.iter().map(ToString::to_string).collect();
        table.set_provenance("noise", format!("{}, seeds {}", self.experiment.generator(), seeds.join(", ")));
        table.set_provenance("network", "f32 on cpu");
    }

    /// Times of this run; where it asked nothing, those of the last run that did.
    fn timing(&mut self, folder: &Path, written: &mut Vec<PathBuf>) -> Result<Option<ResultTable>> {
        let path = folder.join("timing.json");
        let earlier: Vec<TimingRecord> =
            fs::read(&path).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
        for timing in &mut self.timings {
            if timing.cost.measurements() == 0
                && let Some(record) = earlier.iter().find(|record| record.model == timing.model)
            {
                timing.cost = record.cost.clone();
            }
        }
        let records: Vec<TimingRecord> =
            self.timings.iter().map(|t| TimingRecord { model: t.model.clone(), cost: t.cost.clone() }).collect();
        write_json(&path, &records)?;
        written.push(path);
        let table =
            timing_table(&self.experiment.file().name, &self.timings, &self.experiment.file().report.generations)?;
        Ok((!table.rows().is_empty()).then_some(table))
    }
}

#[derive(Serialize, Deserialize)]
struct TimingRecord {
    model: String,
    cost: RunCost,
}
