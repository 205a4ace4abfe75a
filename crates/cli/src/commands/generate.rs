use memscope_eval::{
    MeasurementStore,
    plan::{CachePolicy, ModelPlan, StoredMeasurements},
    run::execute,
    tasks::Generate as GenerateTask,
};
use memscope_model::Sampling;

use crate::{args::Generate, costs, exit_code::UserError, loading, output::print, progress::Progress};

/// `memscope generate`.
pub(crate) fn run(args: &Generate) -> anyhow::Result<()> {
    if !args.guidance.is_finite() {
        return Err(UserError::input(format!("--guidance {} is not a number", args.guidance)).into());
    }
    let mut progress = Progress::install()?;
    let task = task(args);
    // Images are drawn anew each time: their names do not say what is on them.
    let mut store = MeasurementStore::in_memory();
    let plan = || {
        let blueprint = loading::blueprint(&args.model, &progress)?;
        let (execution, stored) = (args.model.options().execution, (&store, StoredMeasurements::Known));
        Ok(ModelPlan::of_task(&blueprint, execution, &task, stored, CachePolicy::Replace))
    };
    if args.model.costs.dry_run {
        return costs::show_one(&args.model, args.json, plan);
    }
    let model = loading::open(&args.model, &plan()?)?;
    if let Some(cut) = model.tokenizer().encode(&args.prompt).cut {
        tracing::warn!("the model does not read the end of the prompt: '{cut}'");
    }
    execute(&task, &model, &mut store, CachePolicy::Replace, &mut progress)?;
    task.paths().iter().try_for_each(|path| print(&format!("{}\n", path.display())))
}

fn task(args: &Generate) -> GenerateTask {
    GenerateTask {
        prompt: args.prompt.clone(),
        generator: args.generator,
        seed: args.seed,
        count: usize::from(args.count),
        sampling: Sampling { steps: usize::from(args.steps), guidance: args.guidance },
        folder: args.out.clone(),
    }
}
