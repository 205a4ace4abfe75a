//! `memscope submit`: an experiment in shards, by a batch system or on this machine.

mod local;
mod script;
mod slurm;

use std::path::Path;

use anyhow::Context;
use memscope_eval::{
    Experiment,
    manifest::seconds_now,
    shard::{ShardPlan, plan_experiments},
};
use memscope_results::{
    Results,
    shards::{PlanRecord, Shard, ShardState, Shards},
};

use super::{
    reproduce,
    run::{self, provide},
    shard::{plan_name, quoted},
};
use crate::{
    args::{Engine, RunOptions, Submit},
    exit_code::UserError,
    progress::Progress,
};

/// Shards where nothing says how many.
const USUAL_SHARDS: usize = 8;

/// `memscope submit`.
pub(crate) fn run(args: &Submit) -> anyhow::Result<()> {
    if args.options.fresh || args.options.json || args.options.costs.dry_run || args.options.answers.is_some() {
        let message = "--fresh, --json, --dry-run and --answers are no options of submit; give a new --results folder, or --print";
        return Err(UserError::input(message).into());
    }
    let target = Target::of(args)?;
    let mut progress = Progress::install()?;
    // The nodes are offline: what they need is brought now.
    target.experiments.iter().try_for_each(|(_, experiment)| provide(experiment, &progress))?;
    let experiments: Vec<&Experiment> = target.experiments.iter().map(|(_, experiment)| experiment).collect();
    let plan = plan_experiments(&experiments)?;
    let count = args.shards.unwrap_or(if args.devices.is_empty() { USUAL_SHARDS } else { args.devices.len() });
    Shard::new(1, count).map_err(|reason| UserError::input(format!("--shards {count}: {reason}")))?;
    let results = Results::new(&args.options.results);
    let shards = results.shards(&target.name);
    let record = plan.record(count, &quoted(&target.command(&args.options)));
    let request = Request { args, target: &target, plan: &plan, results: &results, shards: &shards, record: &record };
    match args.engine {
        Engine::Slurm => slurm::submit(&request),
        Engine::Local => local::run(&request, &mut progress),
    }
}

/// What is to be submitted.
struct Request<'r> {
    args: &'r Submit,
    target: &'r Target,
    plan: &'r ShardPlan<'static>,
    results: &'r Results,
    shards: &'r Shards,
    record: &'r PlanRecord,
}

impl Request<'_> {
    /// Says whose shards these are, or, where nothing is to be written, only that they are no others'.
    fn claim(&self) -> anyhow::Result<()> {
        if self.args.print {
            self.shards.check(self.record)?;
        } else {
            self.shards.claim(self.record)?;
        }
        Ok(())
    }

    /// The shards that are not done, with their states.
    fn missing(&self) -> anyhow::Result<Vec<(usize, ShardState)>> {
        if !self.shards.is_begun() {
            return Ok((1..=self.record.shards).map(|shard| (shard, ShardState::Missing)).collect());
        }
        let all = self.shards.status(seconds_now())?.shards;
        Ok(all.iter().filter(|shard| shard.state != ShardState::Done).map(|shard| (shard.shard, shard.state)).collect())
    }

    /// Whether the tables are there.
    fn is_complete(&self) -> anyhow::Result<bool> {
        let merged = self.shards.merged()?.is_some_and(|merged| merged.plan == self.record.hash);
        let complete =
            |(_, experiment): &(String, Experiment)| self.results.experiment(&experiment.file().name).is_complete();
        Ok(merged && self.target.experiments.iter().all(complete))
    }

    /// What merges the shards.
    fn merge_command(&self) -> Vec<String> {
        let mut command = vec![program(), "merge".into(), self.args.options.results.display().to_string()];
        command.extend(["--plan".into(), self.target.name.clone()]);
        command.extend(self.args.allow_mixed.then(|| "--allow-mixed".into()));
        command
    }

    /// What writes the tables once the shards are merged.
    fn run_command(&self) -> Vec<String> {
        let mut command = self.target.command(&self.args.options);
        command[0] = program();
        command
    }
}

/// This program.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| "memscope".into(), |path| path.display().to_string())
}

/// What is run.
struct Target {
    /// `run FILE` or `reproduce TARGET`.
    arguments: [String; 2],
    /// The plan's name.
    name: String,
    /// With their names.
    experiments: Vec<(String, Experiment)>,
}

impl Target {
    fn of(args: &Submit) -> anyhow::Result<Self> {
        let given = args.experiment.as_str();
        if Path::new(given).is_file() {
            let experiment = run::read(Path::new(given), &args.options)?;
            let name = experiment.file().name.clone();
            let arguments = ["run".into(), given.into()];
            return Ok(Self { arguments, name: name.clone(), experiments: vec![(name, experiment)] });
        }
        let experiments = reproduce::experiments(given, &args.options)
            .with_context(|| format!("'{given}' is neither a file nor a target of reproduce"))?;
        if experiments.is_empty() {
            return Err(UserError::input(format!("'{given}' asks no network; run it as a whole")).into());
        }
        let name = plan_name(experiments.iter().map(|(_, experiment)| experiment));
        Ok(Self { arguments: ["reproduce".into(), given.into()], name, experiments })
    }

    /// The command that runs all of it in one process.
    fn command(&self, options: &RunOptions) -> Vec<String> {
        let mut command = vec!["memscope".to_owned()];
        command.extend(self.arguments.clone());
        command.extend(["--results".into(), options.results.display().to_string()]);
        options.set.iter().for_each(|set| command.extend(["--set".into(), set.clone()]));
        command.extend(options.accept_schedule.then(|| "--accept-schedule".into()));
        command.extend(options.costs.ignore_memory.then(|| "--ignore-memory".into()));
        if let Some(dtype) = options.dtype {
            command.extend(["--dtype".into(), dtype.to_string()]);
        }
        if let Some(device) = options.device {
            command.extend(["--device".into(), device.to_string()]);
        }
        command
    }
}
