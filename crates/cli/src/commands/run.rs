use std::path::{Path, PathBuf};

use anyhow::Context;
use memscope_eval::{
    Experiment, ExperimentFile,
    plan::{Planner, check_inputs},
    run as runs,
    spec::{self, points},
    task::CachePolicy,
};
use memscope_hub::FetchPlan;
use memscope_model::{Blueprint, ModelSource};
use memscope_plots::write_figures;
use memscope_results::{Folder, Results, settings_of};

use super::shard;
use crate::{
    args::{Run, RunOptions},
    costs::{self, Item},
    downloads,
    exit_code::UserError,
    input,
    messages::note,
    output::{Tables, print, print_json},
    progress::Progress,
};

/// `memscope run`.
pub(crate) fn run(args: &Run) -> anyhow::Result<()> {
    let experiment = read(&args.file, &args.options)?;
    let (name, title) = (args.file.display().to_string(), experiment.file().name.clone());
    if let Some(shard) = args.part.shard {
        return shard::run_experiments(&[(&title, &experiment)], &args.options, shard);
    }
    if args.options.costs.dry_run {
        return dry_run(&[(&title, &experiment)], &args.options);
    }
    if !args.options.overwrite {
        check_settings(&experiment, &args.options)?;
    }
    let mut progress = Progress::install()?;
    provide(&experiment, &progress)?;
    check_memory(&[(&title, &experiment)], &args.options)?;
    let mut tables = Tables::new(args.options.json);
    measure(&experiment, &args.options, &format!("memscope run {name}"), &mut progress, &mut tables)?;
    tables.finish()
}

/// Reads an experiment file under the options of the command line.
pub(crate) fn read(file: &Path, options: &RunOptions) -> anyhow::Result<Experiment> {
    let (name, yaml) = text(file)?;
    check(&name, ExperimentFile::parse_with(&name, &yaml, &options.set)?, options)
}

/// `memscope validate`.
pub(crate) fn validate(file: &Path) -> anyhow::Result<()> {
    let (name, yaml) = text(file)?;
    let experiment = ExperimentFile::parse(&name, &yaml)?.check(&name)?;
    for experiment in all_points(&experiment)? {
        check_inputs(&experiment)?;
        for (source, entry) in experiment.models() {
            if let Some(download) = downloads::not_cached(source) {
                tracing::warn!("{download} is not in the cache; a run downloads it first");
                continue;
            }
            Blueprint::read(source, entry.schedule_check()).with_context(|| format!("model {source}"))?;
        }
    }
    print(&format!("{}: experiment '{}' is valid\n", file.display(), experiment.file().name))
}

/// `memscope schema`.
pub(crate) fn schema() -> anyhow::Result<()> {
    print_json(&spec::schema())
}

/// Bytes of an experiment file at most.
const MOST_YAML: u64 = 4 << 20;

fn text(file: &Path) -> anyhow::Result<(String, String)> {
    let name = file.display().to_string();
    let bytes = input::read_file(file, MOST_YAML)?;
    let yaml = String::from_utf8(bytes).map_err(|_| UserError::input(format!("{name} is not UTF-8")))?;
    Ok((name, yaml))
}

/// Checks an experiment under the options of the command line.
pub(crate) fn check(name: &str, mut file: ExperimentFile, options: &RunOptions) -> anyhow::Result<Experiment> {
    file.models.iter_mut().for_each(|entry| entry.accept_schedule |= options.accept_schedule);
    if let Some(dtype) = options.dtype {
        file.network.dtype = dtype;
    }
    if let Some(device) = options.device {
        file.network.device = device;
    }
    Ok(file.check(name)?)
}

/// Refuses to replace an experiment's results by those of other settings.
pub(crate) fn check_settings(experiment: &Experiment, options: &RunOptions) -> anyhow::Result<()> {
    let file = experiment.file();
    Ok(Results::new(&options.results).experiment(&file.name).check_settings(&settings_of(file))?)
}

/// Makes sure that everything an experiment reads is there before it starts: first its prompts, which are small, then
/// its models, which are downloaded where the cache lacks them.
pub(crate) fn provide(experiment: &Experiment, progress: &Progress) -> anyhow::Result<()> {
    let points = all_points(experiment)?;
    points.iter().try_for_each(check_inputs)?;
    points.iter().flat_map(Experiment::models).try_for_each(|(source, _)| downloads::provide(source, progress))
}

/// An experiment, or every point of its sweep.
fn all_points(experiment: &Experiment) -> anyhow::Result<Vec<Experiment>> {
    Ok(match experiment.file().sweep.is_empty() {
        true => vec![experiment.clone()],
        false => points(experiment)?.into_iter().map(|point| point.experiment).collect(),
    })
}

/// Runs an experiment and adds its tables to `out`; `command` is how a user repeats it.
pub(crate) fn measure(
    experiment: &Experiment,
    options: &RunOptions,
    command: &str,
    progress: &mut Progress,
    out: &mut Tables,
) -> anyhow::Result<()> {
    let policy = policy(options.fresh);
    if !experiment.file().sweep.is_empty() {
        let draw = |point: &mut runs::Outcome| -> anyhow::Result<()> {
            point.notes.iter().for_each(|left_out| note(&format!("warning: {left_out}")));
            Ok(write_figures(&point.figures, &mut point.open, command)?)
        };
        let mut outcome = runs::run_sweep(experiment, results(options), policy, command, progress, draw)
            .with_context(|| format!("sweep '{}'", experiment.file().name))?;
        write_figures(&outcome.figures, &mut outcome.open, command)?;
        let (table, folder) = (outcome.table.clone(), outcome.open.folder().path().to_owned());
        outcome.commit()?;
        note(&format!("written to {}", folder.display()));
        return out.add(&table);
    }
    let mut outcome = runs::run(experiment, results(options), policy, command, progress)
        .with_context(|| format!("experiment '{}'", experiment.file().name))?;
    outcome.notes.iter().for_each(|left_out| note(&format!("warning: {left_out}")));
    write_figures(&outcome.figures, &mut outcome.open, command)?;
    let (calls, folder) = (outcome.calls, outcome.open.folder().path().to_owned());
    let tables: Vec<_> = outcome.tables.iter().chain(&outcome.timing).cloned().collect();
    let seconds = outcome.commit()?.seconds;
    note(&format!("{calls} network calls, {seconds:.1} s; written to {}", folder.display()));
    // Everything is on the disk before a closed pipe can end the program.
    tables.iter().try_for_each(|table| out.add(table))
}

/// The results folder with the store of measured numbers.
pub(crate) fn results(options: &RunOptions) -> Results {
    Results::new(&options.results).with_answers(options.answers.clone())
}

/// Whether stored measurements count.
pub(crate) fn policy(fresh: bool) -> CachePolicy {
    if fresh { CachePolicy::Replace } else { CachePolicy::Reuse }
}

/// An experiment, or every point of its sweep, with the folder of its results.
fn places(experiment: &Experiment, options: &RunOptions) -> anyhow::Result<Vec<(PathBuf, Experiment)>> {
    let folder = options.results.join(&experiment.file().name);
    if experiment.file().sweep.is_empty() {
        return Ok(vec![(folder, experiment.clone())]);
    }
    let points = points(experiment)?.into_iter().enumerate();
    Ok(points.map(|(i, point)| (Folder::new(&folder).point(i).path().to_owned(), point.experiment)).collect())
}

/// What experiments would ask of their models, one after the other.
fn plan(
    experiments: &[(&str, &Experiment)],
    options: &RunOptions,
    mut missing: impl FnMut(&ModelSource) -> anyhow::Result<Option<FetchPlan>>,
) -> anyhow::Result<Vec<(String, Item)>> {
    let mut planner = Planner::new(results(options));
    let mut items = vec![];
    for (name, experiment) in experiments {
        let points = places(experiment, options)?;
        let count = points.len();
        for (i, (folder, experiment)) in points.into_iter().enumerate() {
            let label = if count > 1 { format!("{name} {}/{count}", i + 1) } else { (*name).to_owned() };
            check_inputs(&experiment)?;
            // A later point of a sweep finds what an earlier one has measured anew.
            let policy = policy(options.fresh && i == 0);
            for (source, entry) in experiment.models() {
                let item = match missing(source)? {
                    Some(download) => Item::Download(download),
                    None => Item::Plan(Box::new(planner.plan(&experiment, &folder, policy, (source, entry))?)),
                };
                items.push((label.clone(), item));
            }
        }
    }
    Ok(items)
}

/// Prints what experiments would cost.
pub(crate) fn dry_run(experiments: &[(&str, &Experiment)], options: &RunOptions) -> anyhow::Result<()> {
    costs::show(&plan(experiments, options, downloads::missing)?, options.json, options.costs)
}

/// Refuses experiments that do not fit into memory before the first of them starts. Their models must be there.
pub(crate) fn check_memory(experiments: &[(&str, &Experiment)], options: &RunOptions) -> anyhow::Result<()> {
    if options.costs.ignore_memory {
        return Ok(());
    }
    costs::check_items(&plan(experiments, options, |_| Ok(None))?, options.costs)
}
