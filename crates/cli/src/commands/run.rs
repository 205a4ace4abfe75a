use std::path::{Path, PathBuf};

use anyhow::Context;
use memscope_eval::{
    Experiment, ExperimentFile,
    estimate::Planner,
    experiment,
    session::{self, Answers},
    sweep,
};

use memscope_hub::FetchPlan;
use memscope_model::ModelSource;
use memscope_plots::results;

use crate::{
    args::{Run, RunOptions},
    costs::{self, Item},
    downloads,
    exit_code::UserError,
    output::{print, print_json, print_table},
    progress::Progress,
};

/// `memscope run`.
pub(crate) fn run(args: &Run) -> anyhow::Result<()> {
    let (name, yaml) = text(&args.file)?;
    let file = ExperimentFile::parse_with(&name, &yaml, &args.options.set)?;
    let experiment = check(&name, file, &args.options)?;
    let title = experiment.file().name.clone();
    if args.options.costs.dry_run {
        return dry_run(&[(&title, &experiment)], &args.options);
    }
    let mut progress = Progress::install()?;
    provide(&experiment, &progress)?;
    check_memory(&[(&title, &experiment)], &args.options)?;
    measure(&experiment, &args.options, &format!("memscope run {name}"), &mut progress)
}

/// `memscope validate`.
pub(crate) fn validate(file: &Path) -> anyhow::Result<()> {
    let (name, yaml) = text(file)?;
    let experiment = ExperimentFile::parse(&name, &yaml)?.check(&name)?;
    if !experiment.file().sweep.is_empty() {
        sweep::points(&experiment)?;
    }
    print(&format!("{}: experiment '{}' is valid\n", file.display(), experiment.file().name))
}

/// `memscope schema`.
pub(crate) fn schema() -> anyhow::Result<()> {
    print_json(&experiment::schema())
}

fn text(file: &Path) -> anyhow::Result<(String, String)> {
    let name = file.display().to_string();
    let bytes = std::fs::read(file).map_err(|e| UserError::input(format!("cannot read {name}: {e}")))?;
    let yaml = String::from_utf8(bytes).map_err(|_| UserError::input(format!("{name} is not UTF-8")))?;
    Ok((name, yaml))
}

/// Checks an experiment under the options of the command line.
pub(crate) fn check(name: &str, mut file: ExperimentFile, options: &RunOptions) -> anyhow::Result<Experiment> {
    file.models.iter_mut().for_each(|entry| entry.accept_schedule |= options.accept_schedule);
    if let Some(dtype) = options.dtype {
        file.network.dtype = dtype.to_string();
    }
    if let Some(device) = options.device {
        file.network.device = device.to_string();
    }
    Ok(file.check(name)?)
}

/// Makes sure that everything an experiment reads is there before it starts: first its prompts, which are small, then
/// its models, which are downloaded where the cache lacks them.
pub(crate) fn provide(experiment: &Experiment, progress: &Progress) -> anyhow::Result<()> {
    let points = match experiment.file().sweep.is_empty() {
        true => vec![experiment.clone()],
        false => sweep::points(experiment)?.into_iter().map(|point| point.experiment).collect(),
    };
    points.iter().try_for_each(Experiment::check_prompts)?;
    points.iter().flat_map(Experiment::models).try_for_each(|(source, _)| downloads::provide(source, progress))
}

/// Runs an experiment and prints its tables; `command` is how a user repeats it.
pub(crate) fn measure(
    experiment: &Experiment,
    options: &RunOptions,
    command: &str,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let answers = if options.fresh { Answers::Fresh } else { Answers::Reuse };
    if !experiment.file().sweep.is_empty() {
        let outcome = sweep::run(experiment, &options.results, answers, progress)
            .with_context(|| format!("sweep '{}'", experiment.file().name))?;
        if options.json {
            print_json(&outcome.table)?
        } else {
            print_table(&outcome.table)?
        }
        eprintln!("written to {}", outcome.folder.display());
        return Ok(());
    }
    let outcome = session::run(experiment, &options.results, answers, progress)
        .with_context(|| format!("experiment '{}'", experiment.file().name))?;
    for table in outcome.tables.iter().chain(&outcome.timing) {
        if options.json { print_json(table)? } else { print_table(table)? }
    }
    let figures = results::figures(experiment, &outcome)?;
    results::write(&figures, &outcome.folder.join(FIGURES), command)?;
    let calls: usize = outcome.manifest.models.iter().map(|model| model.cost.network_calls()).sum();
    let seconds = outcome.manifest.seconds;
    eprintln!("{calls} network calls, {seconds:.1} s; written to {}", outcome.folder.display());
    Ok(())
}

/// Folder of an experiment's figures.
const FIGURES: &str = "figures";

/// An experiment, or every point of its sweep, with the folder of its results.
fn points(experiment: &Experiment, options: &RunOptions) -> anyhow::Result<Vec<(PathBuf, Experiment)>> {
    let folder = options.results.join(&experiment.file().name);
    if experiment.file().sweep.is_empty() {
        return Ok(vec![(folder, experiment.clone())]);
    }
    let points = sweep::points(experiment)?.into_iter().enumerate();
    Ok(points.map(|(i, point)| (sweep::point_folder(&folder, i), point.experiment)).collect())
}

/// What experiments would ask of their models, one after the other.
fn plan(
    experiments: &[(&str, &Experiment)],
    options: &RunOptions,
    mut missing: impl FnMut(&ModelSource) -> anyhow::Result<Option<FetchPlan>>,
) -> anyhow::Result<Vec<(String, Item)>> {
    let mut planner = Planner::new(&options.results);
    let mut items = vec![];
    for (name, experiment) in experiments {
        let points = points(experiment, options)?;
        let count = points.len();
        for (i, (folder, experiment)) in points.into_iter().enumerate() {
            let label = if count > 1 { format!("{name} {}/{count}", i + 1) } else { (*name).to_owned() };
            experiment.check_prompts()?;
            // A later point of a sweep finds what an earlier one has asked anew.
            let answers = if options.fresh && i == 0 { Answers::Fresh } else { Answers::Reuse };
            for (source, entry) in experiment.models() {
                let item = match missing(source)? {
                    Some(download) => Item::Download(download),
                    None => Item::Plan(Box::new(planner.plan(&experiment, &folder, answers, (source, entry))?)),
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
