//! An experiment's part on one model, known before its weights are read.

use std::{path::Path, rc::Rc};

use memscope_metric::{Detector, ResolvedProtocol};
use memscope_model::{Blueprint, ModelSource, NoisePrecision};
use memscope_text::excerpt;

use super::inputs::score_files;
use crate::{
    error::{Error, Result},
    prompts::{KnownPrompt, PromptList},
    score::ScoreFile,
    spec::{DetectorEntry, Experiment, MitigationSettings, ModelEntry, TableKind, noise_precision},
    task::{Measures, ModelIdentity, NoisePlan, RunPrompts, Task},
    tasks::{
        Gallery, JudgeFiles, Judging, MeasurementPlan, Mitigations, PictureNames, PlannedMethod, TimedDetector, Timing,
        TrainingPictures,
    },
};

/// A detector ready to score.
pub(crate) struct Built {
    pub(crate) entry: DetectorEntry,
    pub(crate) protocol: ResolvedProtocol,
    pub(crate) detector: Box<dyn Detector>,
}

impl Built {
    pub(crate) fn precision(&self) -> NoisePrecision {
        noise_precision(self.protocol.numerics)
    }
}

/// The precision of the noise that analyses of the score field start from.
pub(crate) const ANALYSIS_PRECISION: NoisePrecision = NoisePrecision::F32;

/// The prompts of both classes, and the detectors for a model.
pub(crate) struct ResolvedTask {
    pub(crate) blueprint: Blueprint,
    pub(crate) detectors: Vec<Built>,
    pub(crate) memorized: PromptList,
    pub(crate) non_memorized: PromptList,
    /// Prompts whose reproduction rate is known; empty without a table about them.
    pub(crate) graded: PromptList,
    /// Detectors whose scores another program computed.
    pub(crate) score_files: Vec<ScoreFile>,
    /// The prompts that tables compare: those of which every such detector has scores.
    pub(crate) compared: ComparedPrompts,
}

/// The prompts of both classes of which all detectors have scores.
#[derive(Clone, Debug, Default)]
pub(crate) struct ComparedPrompts {
    pub(crate) memorized: Vec<KnownPrompt>,
    pub(crate) non_memorized: Vec<KnownPrompt>,
}

impl ComparedPrompts {
    fn of(
        memorized: &PromptList,
        non_memorized: &PromptList,
        files: &[ScoreFile],
        generations: &[usize],
    ) -> Result<Self> {
        let covered = |class: &str, list: &PromptList| {
            let is_covered = |prompt: &&KnownPrompt| files.iter().all(|file| file.covers(&prompt.text, generations));
            let prompts: Vec<KnownPrompt> = list.prompts.iter().filter(is_covered).cloned().collect();
            if prompts.is_empty() && !list.prompts.is_empty() {
                let file = files.iter().map(|file| file.record().file).collect::<Vec<_>>().join(", ");
                let reason = format!(
                    "has all scores of none of the {} {class} prompts (the first is '{}')",
                    list.prompts.len(),
                    excerpt(&list.prompts[0].text)
                );
                return Err(Error::Scores { file, reason });
            }
            Ok(prompts)
        };
        Ok(Self {
            memorized: covered("memorized", memorized)?,
            non_memorized: covered("non-memorized", non_memorized)?,
        })
    }

    /// Their texts.
    pub(crate) fn texts(&self) -> (Vec<String>, Vec<String>) {
        let texts = |prompts: &[KnownPrompt]| prompts.iter().map(|prompt| prompt.text.to_string()).collect();
        (texts(&self.memorized), texts(&self.non_memorized))
    }
}

/// Where the pictures of an experiment go.
#[derive(Clone, Copy)]
pub(crate) struct PicturePlaces<'p> {
    /// Those of its gallery.
    pub(crate) gallery: &'p Path,
    /// Those that experiments share.
    pub(crate) shared: &'p Path,
}

/// The work of an experiment on one model, task by task.
pub(crate) struct ModelTasks<'r> {
    /// Measurements, one task for each precision of the noise that a detector or analysis needs.
    pub(crate) measurements: Vec<(NoisePrecision, MeasurementPlan)>,
    /// Pictures of mitigated prompts, and what is said about them, if the experiment asks for them.
    pub(crate) mitigation: Option<(Rc<Mitigations>, Judging)>,
    /// Pictures, if the experiment asks for some.
    pub(crate) gallery: Option<Gallery>,
    /// Times of the detectors, if the experiment asks for them.
    pub(crate) timing: Option<Timing<'r>>,
}

impl ModelTasks<'_> {
    /// All tasks, in the order in which they run.
    pub(crate) fn all(&self) -> impl Iterator<Item = &dyn Task> {
        let measurements = self.measurements.iter().map(|(_, plan)| plan as &dyn Task);
        let mitigation =
            self.mitigation.iter().flat_map(|(task, judging)| [&**task as &dyn Task, judging as &dyn Task]);
        let gallery = self.gallery.iter().map(|gallery| gallery as &dyn Task);
        measurements.chain(mitigation).chain(gallery).chain(self.timing.iter().map(|timing| timing as &dyn Task))
    }
}

impl ResolvedTask {
    pub(crate) fn read(experiment: &Experiment, source: &ModelSource, entry: &ModelEntry) -> Result<Self> {
        let file = experiment.file();
        // Prompts first: a bad list is the user's own, and small.
        let (mut memorized, mut non_memorized) =
            (file.prompts.memorized.load(source)?, file.prompts.non_memorized.load(source)?);
        let graded = file.prompts.graded.as_ref();
        let mut graded = graded.map_or_else(|| Ok(PromptList::default()), |graded| graded.load(source))?;
        graded.prompts.truncate(file.prompts.limit.unwrap_or(usize::MAX));
        if let Some(prompt) = graded.prompts.iter().find(|prompt| prompt.reproduction.is_none()) {
            return Err(Error::Prompts {
                file: "prompts.graded".into(),
                reason: format!("the reproduction rate of '{}' is not known for {source}", excerpt(&prompt.text)),
            });
        }
        for (class, list) in [("memorized", &mut memorized), ("non_memorized", &mut non_memorized)] {
            list.prompts.truncate(file.prompts.limit.unwrap_or(usize::MAX));
            if list.prompts.is_empty() && experiment.needs_scores() {
                return Err(Error::Prompts {
                    file: format!("prompts.{class}"),
                    reason: format!("is empty for {source}"),
                });
            }
        }
        let blueprint = Blueprint::read(source, entry.schedule_check())?;
        let kind = blueprint.schedule().parameterization();
        let build = |entry: &DetectorEntry| {
            let protocol = entry.protocol(&file.protocol).resolve(kind)?;
            Ok(Built { entry: entry.clone(), protocol, detector: entry.build(protocol, &blueprint)? })
        };
        let measured = file.detectors.iter().filter(|entry| entry.score_file().is_none());
        let detectors = measured.map(build).collect::<Result<_>>()?;
        let score_files = score_files(experiment, source)?;
        let compared = ComparedPrompts::of(&memorized, &non_memorized, &score_files, &file.report.generations)?;
        Ok(Self { blueprint, detectors, memorized, non_memorized, graded, score_files, compared })
    }

    /// Everything that is to be done with the model; pictures go into `places`.
    ///
    /// # Errors
    /// When a mitigation does not fit the model, or training pictures or judges cannot be found.
    pub(crate) fn tasks<'r>(
        &'r self,
        experiment: &'r Experiment,
        model: &ModelIdentity,
        places: PicturePlaces,
    ) -> Result<ModelTasks<'r>> {
        let (file, gallery) = (experiment.file(), places.gallery);
        if !experiment.needs_scores() {
            return Ok(ModelTasks { measurements: vec![], mitigation: None, gallery: None, timing: None });
        }
        let classes = (&*self.memorized.prompts, &*self.non_memorized.prompts);
        let pictures = |settings| Gallery::new(file, classes, model.clone(), settings, gallery);
        let mitigation = file.mitigation.as_ref();
        let mitigation = mitigation.map(|settings| self.mitigation(experiment, settings, model, places.shared));
        Ok(ModelTasks {
            measurements: self.measurements(experiment, model),
            mitigation: mitigation.transpose()?,
            gallery: file.gallery.map(pictures),
            timing: file.report.timing.then(|| self.timing(experiment, model)),
        })
    }

    fn mitigation(
        &self,
        experiment: &Experiment,
        settings: &MitigationSettings,
        model: &ModelIdentity,
        pictures: &Path,
    ) -> Result<(Rc<Mitigations>, Judging)> {
        let file = experiment.file();
        let method = |entry: &crate::spec::MitigationEntry| {
            let method = entry.build(&file.protocol, &self.blueprint)?;
            Ok(PlannedMethod { label: entry.label(), method })
        };
        let all = &self.memorized.prompts;
        let count = settings.prompts.unwrap_or(all.len()).min(all.len());
        let prompts: Vec<KnownPrompt> = (0..count).map(|i| all[i * all.len() / count].clone()).collect();
        let scored = if file.tables.contains(&TableKind::MitigationDetection) { &self.detectors[..] } else { &[] };
        let detectors = scored.iter().map(|built| built.entry.build(built.protocol, &self.blueprint));
        let training = TrainingPictures::find(&prompts, settings.training_pictures.as_deref())?;
        let judges = settings.judges.as_ref().map(JudgeFiles::find).transpose()?.flatten();
        let noise = NoisePlan { generations: settings.images, ..noise_plan(experiment, ANALYSIS_PRECISION) };
        let task = Rc::new(Mitigations {
            model: model.clone(),
            noise,
            methods: settings.methods.iter().map(method).collect::<Result<_>>()?,
            prompts,
            sampling: settings.sampling(),
            detectors: detectors.collect::<Result<_>>()?,
            names: PictureNames::ByContent(pictures.to_owned()),
        });
        Ok((task.clone(), Judging::new(task, training, judges)))
    }

    fn prompts(&self) -> RunPrompts {
        RunPrompts::classes(&[&self.memorized.prompts, &self.non_memorized.prompts, &self.graded.prompts])
    }

    fn measurements(&self, experiment: &Experiment, model: &ModelIdentity) -> Vec<(NoisePrecision, MeasurementPlan)> {
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
                want(built.precision(), measure, built.entry.seeds());
            }
        }
        for analysis in &file.analyses {
            want(ANALYSIS_PRECISION, analysis.measure(&self.blueprint), None);
        }
        let plan = |(precision, measures)| {
            let noise = noise_plan(experiment, precision);
            (precision, MeasurementPlan::new(model.clone(), noise, measures, self.prompts(), file.batch))
        };
        wanted.into_iter().map(plan).collect()
    }

    /// Times of every detector on the first memorized prompts under the first seed.
    fn timing<'r>(&'r self, experiment: &'r Experiment, model: &ModelIdentity) -> Timing<'r> {
        let file = experiment.file();
        let detectors = self.detectors.iter().map(|built| TimedDetector {
            entry: &built.entry,
            protocol: built.protocol,
            detector: built.detector.as_ref(),
        });
        Timing {
            model: model.clone(),
            experiment: &file.name,
            detectors: detectors.collect(),
            prompts: self.memorized.texts(),
            noise: noise_plan(experiment, ANALYSIS_PRECISION),
            generations: &file.report.generations,
            batch: file.batch,
        }
    }
}

fn noise_plan(experiment: &Experiment, precision: NoisePrecision) -> NoisePlan {
    let noise = &experiment.file().noise;
    NoisePlan {
        generator: noise.generator,
        precision,
        seeds: noise.seeds.clone(),
        generations: noise.generations,
        sharing: noise.sharing,
    }
}
