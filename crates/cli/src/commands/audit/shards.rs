//! Audits and calibrations that several processes share: the measurements behind the scores, in parts.

use memscope_eval::{
    audit::AuditPlan,
    shard::{ShardPlan, SingleTask, Work},
};
use memscope_model::{Blueprint, Execution};
use memscope_results::shards::ShardChoice;

use super::{input::Target, measure::Measuring};
use crate::{commands::shard, costs, exit_code::UserError};

/// Runs a part into the shards of the results folder; `name` is the command's. What is drawn as evidence depends on all
/// scores, so that it is left to the run that follows the merge.
pub(crate) fn run(
    measuring: &mut Measuring,
    targets: &[Target],
    (name, choice): (&str, ShardChoice),
) -> anyhow::Result<()> {
    let (scores, plan, costs) = (measuring.scores, &measuring.asked.plan, measuring.model.costs);
    let statistic = plan.settings.statistic;
    if statistic.draws_all() {
        let message = format!(
            "--shard: {statistic} asks two models about pictures that one of them draws first, so that it has no parts; run \
             it as a whole (after a stop the same command goes on), or choose another --statistic"
        );
        return Err(UserError::input(message).into());
    }
    let (shard, results) = (shard::resolve(choice)?, shard::results(scores.results.as_deref())?);
    let execution = measuring.model.options().execution;
    let mut works = vec![];
    for target in targets {
        let base = target.base.as_ref().filter(|_| statistic.needs_base());
        for source in std::iter::once(&target.source).chain(base) {
            works.push(work(plan, measuring.blueprint(source)?, execution)?);
        }
    }
    let shared = ShardPlan::new(works, plan.settings.of_scores())?;
    if costs.dry_run {
        return shard::show_costs(&shared, shard, &results, (name, scores.json, costs));
    }
    costs::check(&shared.costs(shard, &results)?, costs)?;
    let place = shard::Place { results: &results, name, command: &shard::own_command() };
    shard::run(&shared, &place, shard, scores.json, measuring.progress)
}

/// What is asked of one model.
fn work(plan: &AuditPlan, blueprint: Blueprint, execution: Execution) -> anyhow::Result<Box<dyn Work + '_>> {
    Ok(match plan.detection(&blueprint)? {
        Some(detection) => {
            let prompts = plan.prompts();
            Box::new(SingleTask { blueprint, execution, task: move |model| detection.task(model, &prompts) })
        }
        None => Box::new(SingleTask { blueprint, execution, task: move |model| plan.picture_losses(model) }),
    })
}
