//! Experiments as work to be shared.

use memscope_model::{Blueprint, Execution};
use memscope_results::{Folder, Results, Settings, settings_of};

use super::{ShardPlan, Work};
use crate::{
    error::Result,
    plan::{PicturePlaces, ResolvedTask},
    spec::{Experiment, points},
    task::{ModelIdentity, Task},
};

/// An experiment, or one point of its sweep, on one model.
struct ExperimentWork {
    experiment: Experiment,
    /// The point of the sweep, from 0.
    point: Option<usize>,
    /// The experiment's name.
    name: String,
    resolved: ResolvedTask,
}

impl ExperimentWork {
    fn folder(&self, results: &Results) -> Folder {
        let folder = results.experiment(&self.name);
        self.point.map_or(folder.clone(), |point| folder.point(point))
    }
}

impl Work for ExperimentWork {
    fn blueprint(&self) -> &Blueprint {
        &self.resolved.blueprint
    }

    fn execution(&self) -> Execution {
        self.experiment.execution()
    }

    fn visit(
        &self,
        model: &ModelIdentity,
        results: &Results,
        visit: &mut dyn FnMut(&[&dyn Task]) -> Result<()>,
    ) -> Result<()> {
        let (gallery, shared) = (self.folder(results).gallery(), results.pictures());
        let places = PicturePlaces { gallery: &gallery, shared: &shared };
        let tasks = self.resolved.tasks(&self.experiment, model, places)?;
        visit(&tasks.all().collect::<Vec<_>>())
    }
}

/// Everything that some experiments ask of their models, one after the other; what an earlier one measures, a later one
/// does not.
///
/// # Errors
/// When a point of a sweep makes no valid experiment, or prompts or configurations cannot be read.
pub fn plan_experiments(experiments: &[&Experiment]) -> Result<ShardPlan<'static>> {
    let mut works: Vec<Box<dyn Work>> = vec![];
    let mut settings = Settings::new();
    for experiment in experiments {
        let file = experiment.file();
        settings.extend(settings_of(file).into_iter().map(|(key, value)| (format!("{}: {key}", file.name), value)));
        let runs: Vec<(Option<usize>, Experiment)> = match file.sweep.is_empty() {
            true => vec![(None, (*experiment).clone())],
            false => points(experiment)?.into_iter().enumerate().map(|(i, p)| (Some(i), p.experiment)).collect(),
        };
        for (point, run) in runs {
            for (source, entry) in run.models() {
                let resolved = ResolvedTask::read(&run, source, entry)?;
                works.push(Box::new(ExperimentWork {
                    experiment: run.clone(),
                    point,
                    name: file.name.clone(),
                    resolved,
                }));
            }
        }
    }
    ShardPlan::new(works, settings)
}
