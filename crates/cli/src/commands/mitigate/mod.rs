//! `memscope mitigate`.

mod output;
mod plan;

use std::{
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use memscope_eval::{
    Error as EvalError, MeasurementStore, Result as EvalResult,
    plan::{ModelPlan, StoredMeasurements},
    prompts::KnownPrompt,
    run::execute,
    shard::{ShardPlan, Work},
    task::{CachePolicy, ModelIdentity, Task},
    tasks::{JudgeFiles, Judging, Mitigations, PictureNames, TrainingPictures},
};
use memscope_model::{Blueprint, Execution, memory::size};
use memscope_results::{
    Results, Settings,
    export::{ExportSet, Format},
    files::read_file,
    shards::ShardChoice,
};

use self::plan::{check_labels, read_prompts, task};
use super::shard;
use crate::{
    args::Mitigate,
    cached,
    commands::pictures,
    costs,
    exit_code::UserError,
    loading,
    messages::note,
    output::{print_json, print_table},
    progress::Progress,
};

/// Most bytes of a picture.
const PICTURE_LIMIT: u64 = 256 << 20;

/// `memscope mitigate`.
pub(crate) fn run(args: &Mitigate) -> anyhow::Result<()> {
    if !args.guidance.is_finite() {
        return Err(UserError::input(format!("--guidance {} is not a number", args.guidance)).into());
    }
    check_labels(args)?;
    let prompts = read_prompts(args)?;
    let training = TrainingPictures::find(&prompts, args.training_pictures.as_deref())?;
    let judges = pictures::named(args.judges.as_deref())?;
    let mut progress = Progress::install()?;
    if let Some(choice) = args.part.shard {
        let blueprint = loading::blueprint(&args.model, &progress)?;
        return run_shard(&Shared { args, blueprint, prompts, training, judges }, choice, &mut progress);
    }
    let kept = args.results.as_ref().map(Results::new);
    let plan = || -> anyhow::Result<ModelPlan> {
        let (blueprint, execution) = (loading::blueprint(&args.model, &progress)?, args.model.options().execution);
        let (store, stored, model) = match &kept {
            Some(results) => cached::peek(&blueprint, execution, &results.answers())?,
            None => {
                let model = ModelIdentity::planned(&blueprint, execution, String::new());
                (MeasurementStore::in_memory(), StoredMeasurements::Known, model)
            }
        };
        let task = task(args, &blueprint, prompts.clone(), model, names(args, kept.as_ref()))?;
        Ok(ModelPlan::of_task(&blueprint, execution, &task, (&store, stored), policy(args)))
    };
    if args.model.costs.dry_run {
        return costs::show_one(&args.model, args.json, plan);
    }
    let planned = plan()?;
    say_costs(&planned)?;
    let model = loading::open(&args.model, &planned)?;
    let identity = ModelIdentity::of(&model);
    let task = Rc::new(task(args, model.blueprint(), prompts, identity, names(args, kept.as_ref()))?);
    check_free(args, &task)?;
    for known in &task.prompts {
        if let Some(cut) = model.tokenizer().encode(&known.text).cut {
            tracing::warn!("the model does not read the end of the prompt: '{cut}'");
        }
    }
    let judging = Judging::new(task.clone(), training, judges);
    let mut store = match &kept {
        Some(results) => cached::open(&model, &results.answers())?,
        None => MeasurementStore::in_memory(),
    };
    execute(&*task, &model, &mut store, policy(args), &mut progress)?;
    execute(&judging, &model, &mut store, policy(args), &mut progress)?;
    let plain = PictureNames::Plain(args.out.clone());
    if kept.is_some() {
        copy_pictures(&task, &plain)?;
    }
    let reports = output::reports(&task, &judging, &plain, &store);
    reports.iter().for_each(output::warn);
    output::write_losses(args, &model, &reports)?;
    let summary = output::summary(args, &model, &reports, &judging.judges()?)?;
    ExportSet::open(&args.out, "summary", &[Format::Csv, Format::Markdown])?.write(&summary)?;
    note(&format!("written to {}", args.out.display()));
    if args.json { print_json(&reports) } else { print_table(&summary) }
}

/// Pictures are kept by what determines them where results are, and else have names for people at once.
fn names(args: &Mitigate, kept: Option<&Results>) -> PictureNames {
    match kept {
        Some(results) => PictureNames::ByContent(results.pictures()),
        None => PictureNames::Plain(args.out.clone()),
    }
}

/// Stored records count where results are kept; pictures for people alone are drawn anew.
fn policy(args: &Mitigate) -> CachePolicy {
    if args.results.is_some() && !args.fresh { CachePolicy::Reuse } else { CachePolicy::Replace }
}

/// What several processes share.
struct Shared<'a> {
    args: &'a Mitigate,
    blueprint: Blueprint,
    prompts: Vec<KnownPrompt>,
    training: TrainingPictures,
    judges: Option<JudgeFiles>,
}

/// The same for one plan.
struct SharedWork<'a>(&'a Shared<'a>);

impl Work for SharedWork<'_> {
    fn blueprint(&self) -> &Blueprint {
        &self.0.blueprint
    }

    fn execution(&self) -> Execution {
        self.0.args.model.options().execution
    }

    fn visit(
        &self,
        model: &ModelIdentity,
        results: &Results,
        visit: &mut dyn FnMut(&[&dyn Task]) -> EvalResult<()>,
    ) -> EvalResult<()> {
        let Shared { args, blueprint, prompts, training, judges } = self.0;
        let names = PictureNames::ByContent(results.pictures());
        let task = Rc::new(task(args, blueprint, prompts.clone(), model.clone(), names)?);
        let judging = Judging::new(task.clone(), training.clone(), judges.clone());
        visit(&[&*task, &judging])
    }
}

/// Runs a part of it into the shards of the results folder.
fn run_shard(shared: &Shared, choice: ShardChoice, progress: &mut Progress) -> anyhow::Result<()> {
    let args = shared.args;
    let results = shard::results(args.results.as_deref())?;
    let shard = shard::resolve(choice)?;
    let plan = ShardPlan::new(vec![Box::new(SharedWork(shared))], Settings::new())?;
    if args.model.costs.dry_run {
        return shard::show_costs(&plan, shard, &results, ("mitigate", args.json, args.model.costs));
    }
    costs::check(&plan.costs(shard, &results)?, args.model.costs)?;
    let place = shard::Place { results: &results, name: "mitigate", command: &shard::own_command() };
    shard::run(&plan, &place, shard, args.json, progress)
}

/// Time and memory, before anything is loaded.
fn say_costs(plan: &ModelPlan) -> anyhow::Result<()> {
    let estimate = plan.estimate(plan.calibrate()?.as_ref());
    let seconds = estimate.seconds.map_or_else(|| "an unknown time".to_owned(), |s| format!("about {s:.0} s"));
    note(&format!(
        "at most {} network calls, {seconds} and {} of memory",
        estimate.drawing_calls,
        size(estimate.memory.total())
    ));
    Ok(())
}

/// Refuses to replace files; removes them where that is wanted, so that they are made anew.
fn check_free(args: &Mitigate, task: &Mitigations) -> anyhow::Result<()> {
    let plain = PictureNames::Plain(args.out.clone());
    let others = ["loss.csv", "loss.svg", "summary.csv", "summary.md"].map(|name| args.out.join(name));
    let pictures = (0..task.units()).flat_map(|unit| task.pictures_as(unit, &plain));
    for path in pictures.chain(others) {
        if fs::symlink_metadata(&path).is_err() {
            continue;
        }
        if !args.overwrite {
            let message = format!("{} is there; give another --out, or --overwrite", path.display());
            return Err(UserError::output(message).into());
        }
        fs::remove_file(&path).map_err(|source| EvalError::Write { path, source })?;
    }
    Ok(())
}

/// Copies what was drawn to its names for people.
fn copy_pictures(task: &Mitigations, names: &PictureNames) -> anyhow::Result<()> {
    let copy = |(from, to): (PathBuf, PathBuf)| -> anyhow::Result<()> {
        let folder = to.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(folder).map_err(|source| EvalError::Write { path: folder.to_owned(), source })?;
        Ok(memscope_results::files::write_file(&to, &read_file(&from, PICTURE_LIMIT)?)?)
    };
    (0..task.units())
        .flat_map(|unit| task.pictures(unit).into_iter().zip(task.pictures_as(unit, names)))
        .try_for_each(copy)
}
