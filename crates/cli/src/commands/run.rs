use std::path::Path;

use anyhow::Context;
use memscope_eval::{
    Experiment, ExperimentFile, experiment,
    session::{self, Answers},
    sweep,
};

use memscope_plots::results;

use crate::{
    args::{Run, RunOptions},
    exit_code::UserError,
    output::{print, print_json, print_table},
    progress::Progress,
};

/// `memscope run`.
pub(crate) fn run(args: &Run) -> anyhow::Result<()> {
    let experiment = read(&args.file, &args.options.set)?;
    if args.dry_run {
        return dry_run(&experiment, &args.options);
    }
    measure(&experiment, &args.options, &mut Progress::install()?)
}

/// `memscope validate`.
pub(crate) fn validate(file: &Path) -> anyhow::Result<()> {
    let experiment = read(file, &[])?;
    if !experiment.file().sweep.is_empty() {
        sweep::points(&experiment)?;
    }
    print(&format!("{}: experiment '{}' is valid\n", file.display(), experiment.file().name))
}

/// `memscope schema`.
pub(crate) fn schema() -> anyhow::Result<()> {
    print_json(&experiment::schema())
}

fn read(file: &Path, set: &[String]) -> anyhow::Result<Experiment> {
    let name = file.display().to_string();
    let bytes = std::fs::read(file).map_err(|e| UserError::input(format!("cannot read {name}: {e}")))?;
    let yaml = String::from_utf8(bytes).map_err(|_| UserError::input(format!("{name} is not UTF-8")))?;
    parse(&name, &yaml, set)
}

/// Parses and checks an experiment.
pub(crate) fn parse(name: &str, yaml: &str, set: &[String]) -> anyhow::Result<Experiment> {
    Ok(ExperimentFile::parse_with(name, yaml, set)?.check(name)?)
}

/// Runs an experiment and prints its tables.
pub(crate) fn measure(experiment: &Experiment, options: &RunOptions, progress: &mut Progress) -> anyhow::Result<()> {
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
    results::write(&figures, &outcome.folder.join(FIGURES), &command(experiment))?;
    let calls: usize = outcome.manifest.models.iter().map(|model| model.cost.network_calls()).sum();
    let seconds = outcome.manifest.seconds;
    eprintln!("{calls} network calls, {seconds:.1} s; written to {}", outcome.folder.display());
    Ok(())
}

/// Folder of an experiment's figures.
const FIGURES: &str = "figures";

fn command(experiment: &Experiment) -> String {
    format!("memscope reproduce {}", experiment.file().name)
}

fn dry_run(experiment: &Experiment, options: &RunOptions) -> anyhow::Result<()> {
    let mut text = String::new();
    for (source, cost) in session::plan(experiment, &options.results)? {
        text.push_str(&format!(
            "{source}: {} measurements, {} network calls ({} predictions with a prompt, {} with the empty prompt)\n",
            cost.measurements(),
            cost.network_calls(),
            cost.conditional_calls,
            cost.unconditional_calls
        ));
    }
    print(&text)
}
