//! One shard of what a command would do.

use std::{env, path::Path};

use memscope_eval::{
    Experiment,
    shard::{ShardPlan, plan_experiments, run_shard},
};
use memscope_results::{
    Results,
    shards::{Shard, ShardChoice, ShardVariables},
};

use super::run::provide;
use crate::{
    args::{CostArgs, RunOptions},
    costs::{self, Item},
    exit_code::UserError,
    messages::note,
    output::print_json,
    progress::Progress,
};

/// Where a shard's folder is, and how a user repeats the whole command.
pub(crate) struct Place<'p> {
    pub(crate) results: &'p Results,
    /// The plan's name below shards/.
    pub(crate) name: &'p str,
    pub(crate) command: &'p str,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Report {
    shard: String,
    folder: String,
    units: usize,
    records: usize,
    network_calls: usize,
    was_done: bool,
}

/// The part that is meant.
pub(crate) fn resolve(choice: ShardChoice) -> anyhow::Result<Shard> {
    let variables = ShardVariables(|name: &str| env::var(name).ok());
    variables.resolve(choice).map_err(|reason| UserError::input(format!("--shard {choice}: {reason}")).into())
}

/// The name of the plan of some experiments.
pub(crate) fn plan_name<'e>(experiments: impl IntoIterator<Item = &'e Experiment>) -> String {
    const LONGEST: usize = 80;
    let names: Vec<&str> = experiments.into_iter().map(|experiment| experiment.file().name.as_str()).collect();
    let name = names.join("+");
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}+", &name[..end]),
        None => name,
    }
}

/// The results folder of a command that needs none without shards.
pub(crate) fn results(given: Option<&Path>) -> anyhow::Result<Results> {
    let missing = || UserError::input("--shard needs a folder for the shards: give --results DIR");
    Ok(Results::new(given.ok_or_else(missing)?))
}

/// Runs a shard.
pub(crate) fn run(
    plan: &ShardPlan,
    place: &Place,
    shard: Shard,
    json: bool,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let shards = place.results.shards(place.name);
    shards.claim(&plan.record(shard.count(), place.command))?;
    let folder = shards.folder(shard);
    let described = format!("shard {shard} of {} ({} units in all)", place.name, plan.units());
    tracing::info!("{described}");
    progress.log_to(folder.log(), &format!("{described}, process {}", std::process::id()));
    let outcome = run_shard(plan, (place.results, place.name), shard, place.command, progress);
    match &outcome {
        Ok(outcome) => progress.write_log(&format!(
            "done: {} units, {} records, {} network calls",
            outcome.units, outcome.records, outcome.calls
        )),
        Err(error) => progress.write_log(&format!("ended: {error}")),
    }
    let outcome = outcome?;
    if json {
        return print_json(&Report {
            shard: shard.to_string(),
            folder: outcome.folder.display().to_string(),
            units: outcome.units,
            records: outcome.records,
            network_calls: outcome.calls,
            was_done: outcome.was_done,
        });
    }
    let (units, records, calls) = (outcome.units, outcome.records, outcome.calls);
    let was = if outcome.was_done { " was done already" } else { "" };
    note(&format!(
        "shard {shard}{was}: {units} units, {records} records, {calls} network calls; written to {}",
        outcome.folder.display()
    ));
    Ok(())
}

/// Runs a shard of some experiments.
pub(crate) fn run_experiments(
    experiments: &[(&str, &Experiment)],
    options: &RunOptions,
    choice: ShardChoice,
) -> anyhow::Result<()> {
    let shard = resolve(choice)?;
    if experiments.is_empty() {
        return Err(UserError::input("--shard: nothing of this asks a network; run it as a whole").into());
    }
    if options.answers.is_some() {
        return Err(UserError::input(
            "--answers is no option of a shard, which keeps its measurements apart until they are merged",
        )
        .into());
    }
    let name = plan_name(experiments.iter().map(|(_, experiment)| *experiment));
    let results = Results::new(&options.results);
    let mut progress = Progress::install()?;
    experiments.iter().try_for_each(|(_, experiment)| provide(experiment, &progress))?;
    let plan = plan_experiments(&experiments.iter().map(|(_, experiment)| *experiment).collect::<Vec<_>>())?;
    if options.costs.dry_run {
        return show_costs(&plan, shard, &results, (&name, options.json, options.costs));
    }
    costs::check(&plan.costs(shard, &results)?, options.costs)?;
    let place = Place { results: &results, name: &name, command: &own_command() };
    run(&plan, &place, shard, options.json, &mut progress)
}

/// Prints what a shard would cost.
pub(crate) fn show_costs(
    plan: &ShardPlan,
    shard: Shard,
    results: &Results,
    (name, json, costs): (&str, bool, CostArgs),
) -> anyhow::Result<()> {
    let plans = plan.costs(shard, results)?;
    let label = format!("{name} {shard}");
    let items: Vec<_> = plans.into_iter().map(|plan| (label.clone(), Item::Plan(Box::new(plan)))).collect();
    costs::show(&items, json, costs)
}

/// The command that this process was started with, without its `--shard`.
pub(crate) fn own_command() -> String {
    let mut command = vec!["memscope".to_owned()];
    let mut is_value = false;
    for argument in env::args_os().skip(1) {
        let argument = argument.to_string_lossy().into_owned();
        if std::mem::take(&mut is_value) {
            continue;
        }
        match argument.as_str() {
            "--shard" => is_value = true,
            text if text.starts_with("--shard=") => {}
            _ => command.push(argument),
        }
    }
    quoted(&command)
}

/// A command as a shell takes it.
pub(crate) fn quoted(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,%@+".contains(c);
    let quote = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    command.iter().map(quote).collect::<Vec<_>>().join(" ")
}
