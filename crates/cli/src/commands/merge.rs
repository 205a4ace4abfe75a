use memscope_eval::shard::{MergeOptions, merge};
use memscope_results::{Results, shards::Shards};

use crate::{args::Merge, exit_code::UserError, messages::note, output::print_json, progress::Progress};

/// What `--json` prints of a plan.
#[derive(serde::Serialize)]
struct Report {
    plan: String,
    shards: Vec<usize>,
    missing: Vec<usize>,
    records: usize,
    new_records: usize,
    pictures: usize,
    hardware: Vec<String>,
    /// What writes the tables now.
    command: String,
}

/// `memscope merge`.
pub(crate) fn run(args: &Merge) -> anyhow::Result<()> {
    let results = Results::new(&args.results);
    let options = MergeOptions { partial: args.partial, allow_mixed: args.allow_mixed };
    let mut progress = Progress::install()?;
    let mut reports = vec![];
    for shards in plans(&results, args.plan.as_deref())? {
        let report = merge(&results, &shards, options, &mut progress)?;
        let merged = report.merged;
        let missing = match merged.missing.len() {
            0 => String::new(),
            count => format!(", {count} missing"),
        };
        note(&format!(
            "{}: {} shards{missing}, {} records ({} new), {} pictures; now: {}",
            shards.name(),
            merged.shards.len(),
            merged.records,
            report.new_records,
            merged.pictures,
            report.command
        ));
        reports.push(Report {
            plan: shards.name(),
            shards: merged.shards,
            missing: merged.missing,
            records: merged.records,
            new_records: report.new_records,
            pictures: merged.pictures,
            hardware: merged.hardware.iter().map(ToString::to_string).collect(),
            command: report.command,
        });
    }
    if args.json { print_json(&reports) } else { Ok(()) }
}

/// The plans below a results folder, or the one that is named.
pub(crate) fn plans(results: &Results, name: Option<&str>) -> anyhow::Result<Vec<Shards>> {
    let mut all = results.sharded_plans()?;
    let names: Vec<String> = all.iter().map(Shards::name).collect();
    if let Some(name) = name {
        all.retain(|shards| shards.name() == name);
    }
    if all.is_empty() {
        let folder = results.path().display();
        let message = match (names.as_slice(), name) {
            ([], _) => format!("{folder} holds no shards; give the folder that they were given with --results"),
            (names, Some(name)) => format!("{folder} holds no shards of '{name}'; it holds: {}", names.join(", ")),
            (_, None) => format!("{folder} holds no shards"),
        };
        return Err(UserError::input(message).into());
    }
    Ok(all)
}
