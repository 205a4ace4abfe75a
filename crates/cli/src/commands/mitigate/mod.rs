//! `memscope mitigate`.

mod output;
mod plan;

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use memscope_eval::{
    Error as EvalError, Result as EvalResult,
    plan::ModelPlan,
    prompts::KnownPrompt,
    run::execute,
    shard::{ShardPlan, Work},
    task::{ModelIdentity, Task},
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
use super::{run::policy, shard};
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
    check_labels(args)?;
    let prompts = read_prompts(args)?;
    let training = TrainingPictures::find(&prompts, args.training_pictures.as_deref())?;
    let judges = pictures::named(args.judges.as_deref())?;
    let mut progress = Progress::install()?;
    if let Some(choice) = args.part.shard {
        let blueprint = loading::blueprint(&args.model, &progress)?;
        return run_shard(&Shared { args, blueprint, prompts, training, judges }, choice, &mut progress);
    }
    let kept = Kept::new(args)?;
    let plan = || -> anyhow::Result<(ModelPlan, Mitigations)> {
        let (blueprint, execution) = (loading::blueprint(&args.model, &progress)?, args.model.options().execution);
        let (store, stored, model) = cached::peek(&blueprint, execution, &kept.answers)?;
        let task = task(args, &blueprint, prompts.clone(), model, kept.names())?;
        let plan = ModelPlan::of_task(&blueprint, execution, &task, (&store, stored), policy(args.fresh));
        Ok((plan, task))
    };
    if args.model.costs.dry_run {
        return costs::show_one(&args.model, args.json, || Ok(plan()?.0));
    }
    let (planned, names) = plan()?;
    check_free(args, &names)?;
    say_costs(&planned)?;
    let model = loading::open(&args.model, &planned)?;
    let identity = ModelIdentity::of(&model);
    let task = Rc::new(task(args, model.blueprint(), prompts, identity, kept.names())?);
    for known in &task.prompts {
        if let Some(cut) = model.tokenizer().encode(&known.text).cut {
            tracing::warn!("the model does not read the end of the prompt: '{cut}'");
        }
    }
    let judging = Judging::new(task.clone(), training, judges);
    let mut store = cached::open(&model, &kept.answers)?;
    execute(&*task, &model, &mut store, policy(args.fresh), &mut progress)?;
    execute(&judging, &model, &mut store, policy(args.fresh), &mut progress)?;
    let plain = PictureNames::Plain(args.out.clone());
    copy_pictures(&task, &plain)?;
    let reports = output::reports(&task, &judging, &plain, &store);
    reports.iter().for_each(output::warn);
    output::write_losses(args, &model, &reports)?;
    let summary = output::summary(args, &model, &reports, &judging.judges()?)?;
    ExportSet::open(&args.out, "summary", &[Format::Csv, Format::Markdown])?.write(&summary)?;
    note(&format!("written to {}", args.out.display()));
    if args.json { print_json(&reports) } else { print_table(&summary) }
}

/// Where measurements and pictures are kept, so that the same command goes on where it was.
struct Kept {
    answers: PathBuf,
    pictures: PathBuf,
}

impl Kept {
    /// Below the results folder that is given, or in the cache.
    fn new(args: &Mitigate) -> anyhow::Result<Self> {
        let answers = cached::folder(args.results.as_deref())?;
        let pictures = match &args.results {
            Some(results) => Results::new(results).pictures(),
            None => answers.join("pictures"),
        };
        Ok(Self { answers, pictures })
    }

    fn names(&self) -> PictureNames {
        PictureNames::ByContent(self.pictures.clone())
    }
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

/// Refuses to replace files, and labels of methods that make the same file names.
fn check_free(args: &Mitigate, task: &Mitigations) -> anyhow::Result<()> {
    let plain = PictureNames::Plain(args.out.clone());
    let others = ["loss.csv", "loss.svg", "summary.csv", "summary.md"].map(|name| args.out.join(name));
    let pictures = (0..task.units()).flat_map(|unit| task.pictures_as(unit, &plain));
    let mut seen = HashSet::new();
    for path in pictures.chain(others) {
        if !args.overwrite && fs::symlink_metadata(&path).is_ok() {
            let message = format!("{} is there; give another --out, or --overwrite", path.display());
            return Err(UserError::output(message).into());
        }
        if !seen.insert(path.clone()) {
            let message = format!(
                "--method: two labels make the file name {}; let them differ in letters or digits of ASCII",
                path.display()
            );
            return Err(UserError::input(message).into());
        }
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
