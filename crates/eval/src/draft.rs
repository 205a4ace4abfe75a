//! An experiment's part on one model, known before its weights are read.

use memscope_metric::{Detector, ResolvedProtocol};
use memscope_model::{Blueprint, ModelSource, NoisePrecision};

use crate::{
    error::{Error, Result},
    experiment::{Experiment, ModelEntry, noise_precision},
    measures::Measures,
    prompts::PromptList,
    registry::DetectorEntry,
    run::{Agenda, AskedModel, NoisePlan, RunPrompt},
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

/// The precision of the noise that probes of the score field start from.
pub(crate) const PROBE_PRECISION: NoisePrecision = NoisePrecision::F32;

/// The prompts of both classes, and the detectors for a model.
pub(crate) struct Draft {
    pub(crate) blueprint: Blueprint,
    pub(crate) detectors: Vec<Built>,
    pub(crate) memorized: PromptList,
    pub(crate) non_memorized: PromptList,
}

impl Draft {
    pub(crate) fn read(experiment: &Experiment, source: &ModelSource, entry: &ModelEntry) -> Result<Self> {
        let file = experiment.file();
        // Prompts first: a bad list is the user's own, and small.
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
        let blueprint = Blueprint::read(source, entry.schedule_check())?;
        let kind = blueprint.schedule().parameterization();
        let build = |entry: &DetectorEntry| {
            let protocol = entry.protocol(&file.protocol).resolve(kind)?;
            Ok(Built { entry: entry.clone(), protocol, detector: entry.build(protocol, &blueprint)? })
        };
        let detectors = file.detectors.iter().map(build).collect::<Result<_>>()?;
        Ok(Self { blueprint, detectors, memorized, non_memorized })
    }

    fn prompts(&self) -> Vec<RunPrompt> {
        let mut prompts = RunPrompt::list(&self.memorized.texts());
        let others = RunPrompt::list(&self.non_memorized.texts());
        let memorized = self.memorized.texts();
        prompts.extend(others.into_iter().filter(|p| !memorized.contains(&p.text)));
        prompts
    }

    /// What is asked, for each precision of the noise that a detector or probe needs.
    pub(crate) fn agendas(&self, experiment: &Experiment, model: &AskedModel) -> Vec<(NoisePrecision, Agenda)> {
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
            want(PROBE_PRECISION, probe.measure(&self.blueprint), None);
        }
        let agenda = |(precision, measures)| {
            let noise = noise_plan(experiment, precision);
            (precision, Agenda::new(model.clone(), noise, measures, self.prompts(), file.batch))
        };
        wanted.into_iter().map(agenda).collect()
    }
}

pub(crate) fn noise_plan(experiment: &Experiment, precision: NoisePrecision) -> NoisePlan {
    let noise = &experiment.file().noise;
    NoisePlan {
        generator: experiment.generator(),
        precision,
        seeds: noise.seeds.clone(),
        generations: noise.generations,
        sharing: noise.sharing,
    }
}
