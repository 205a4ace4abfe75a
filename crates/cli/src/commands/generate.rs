use memscope_eval::{
    Error as EvalError, MeasurementStore,
    plan::{ModelPlan, StoredMeasurements},
    run::execute,
    task::CachePolicy,
    tasks::Generate as GenerateTask,
};
use memscope_results::files::Existing;

use crate::{args::Generate, costs, exit_code::UserError, loading, output::print_data, progress::Progress};

/// `memscope generate`.
pub(crate) fn run(args: &Generate) -> anyhow::Result<()> {
    let mut progress = Progress::install()?;
    let task = task(args)?;
    if !args.overwrite && !args.model.costs.dry_run {
        refuse_existing(&task)?;
    }
    // Images are drawn anew each time: their names do not hold the weights.
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
    match execute(&task, &model, &mut store, CachePolicy::Replace, &mut progress) {
        Err(EvalError::Stopped) => return Err(UserError::interrupted("stopped; no picture was drawn").into()),
        done => done?,
    };
    let paths: String = task.paths().iter().map(|path| format!("{}\n", path.display())).collect();
    print_data(paths.as_bytes())
}

/// Nothing is replaced that the user did not name.
fn refuse_existing(task: &GenerateTask) -> anyhow::Result<()> {
    match task.paths().iter().find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => {
            let path = path.display();
            let message = format!("{path} is there already; give --overwrite to replace it, or another --out folder");
            Err(UserError::output(message).into())
        }
        None => Ok(()),
    }
}

fn task(args: &Generate) -> anyhow::Result<GenerateTask> {
    Ok(GenerateTask {
        prompt: args.prompt.clone(),
        generator: args.generator,
        seed: args.seed,
        count: usize::from(args.count),
        sampling: args.sampling.sampling(),
        model: format!("{} {}", args.model.source()?, args.model.options().execution.dtype),
        folder: args.out.clone(),
        existing: Existing::of_flag(args.overwrite),
    })
}
