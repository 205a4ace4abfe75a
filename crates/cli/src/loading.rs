//! The model of a command: brought, planned for, loaded.

use anyhow::Context;
use memscope_eval::estimate::ModelPlan;
use memscope_model::{Blueprint, LatentDiffusion, cost::Workload};

use crate::{args::ModelArgs, costs, downloads, progress::Progress};

/// Reads the configurations of a model named on the command line; one of the Hub is downloaded first if the cache lacks
/// it.
pub(crate) fn blueprint(model: &ModelArgs, progress: &Progress) -> anyhow::Result<Blueprint> {
    let source = model.source()?;
    downloads::provide(&source, progress)?;
    Blueprint::read(&source, model.options().schedule).with_context(|| format!("model {source}"))
}

/// Loads a model named on the command line, if what is planned fits into memory.
pub(crate) fn open(model: &ModelArgs, plan: &ModelPlan) -> anyhow::Result<LatentDiffusion> {
    costs::check([plan], model.costs)?;
    LatentDiffusion::build(plan.blueprint.clone(), plan.execution)
        .with_context(|| format!("model {}", plan.blueprint.source()))
}

/// What a command without measurements plans for its model.
pub(crate) fn of_work(model: &ModelArgs, work: Workload, progress: &Progress) -> anyhow::Result<ModelPlan> {
    Ok(ModelPlan::of_work(&blueprint(model, progress)?, model.options().execution, work))
}
