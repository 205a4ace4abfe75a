//! What a run costs: printed by `--dry-run`, and checked against the memory there is before anything is loaded.

use std::collections::HashMap;

use memscope_eval::plan::{Estimate, ModelPlan, StoredMeasurements};
use memscope_hub::FetchPlan;
use memscope_model::{
    cost::Speed,
    memory::{AvailableMemory, available_memory, size},
};
use memscope_results::{
    ResultTable,
    table::{Cell, Column, ColumnKind},
};
use serde::Serialize;

use crate::{
    allocator,
    args::{CostArgs, ModelArgs},
    downloads,
    output::{print, print_json, print_table},
};

/// Refuses runs that do not fit into memory, unless the user wants them nevertheless, and prepares the allocator for the
/// others.
pub(crate) fn check<'p>(plans: impl IntoIterator<Item = &'p ModelPlan>, costs: CostArgs) -> anyhow::Result<()> {
    let available = available_memory()?.filter(|_| !costs.ignore_memory);
    plans.into_iter().try_for_each(|plan| {
        allocator::prepare_for(&plan.blueprint);
        Ok(available.map_or(Ok(()), |available| plan.check_memory(available))?)
    })
}

/// One model of a dry run.
pub(crate) enum Item {
    /// Its configurations are there. Boxed, as it is much the larger.
    Plan(Box<ModelPlan>),
    /// It would have to be downloaded first.
    Download(FetchPlan),
}

impl Item {
    /// A model named on the command line, with what is planned for it if it is there.
    pub(crate) fn of(model: &ModelArgs, plan: impl FnOnce() -> anyhow::Result<ModelPlan>) -> anyhow::Result<Self> {
        Ok(match downloads::missing(&model.source()?)? {
            Some(download) => Self::Download(download),
            None => Self::Plan(Box::new(plan()?)),
        })
    }

    fn plan(&self) -> Option<&ModelPlan> {
        match self {
            Self::Plan(plan) => Some(plan),
            Self::Download(_) => None,
        }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    models: Vec<Costs>,
    downloads: Vec<Download>,
    /// Wall time of all networks on the CPU, or at the rate that was given, in seconds.
    seconds: f64,
    /// The rate that was given in place of a measured speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    assumed_flops_per_second: Option<f64>,
    available_memory: Option<AvailableMemory>,
    covers: &'static str,
}

#[derive(Serialize)]
struct Costs {
    #[serde(skip_serializing_if = "str::is_empty")]
    experiment: String,
    #[serde(flatten)]
    estimate: Estimate,
}

#[derive(Serialize)]
struct Download {
    model: String,
    files: usize,
    /// Bytes that are missing.
    missing: u64,
    /// Bytes in all.
    total: u64,
    folder: String,
}

const COVERS: &str = "Seconds are the networks' alone, at a speed measured now with short runs of their operations on \
                      random numbers; loading, hashing, statistics, tables and figures come on top. Operations are those \
                      of matrix products. Memory is the peak expected: weights, the largest network call, and the \
                      program.";
/// The same at a rate that was given.
const COVERS_ASSUMED: &str = "Seconds are the networks' alone, at the rate that was given and nothing that was measured; \
                              loading, hashing, statistics, tables and figures come on top. Operations are those of matrix \
                              products. Memory is the peak expected on the CPU.";

/// Prints what the items would cost, each with the name of its experiment, and fails where one does not fit into memory.
pub(crate) fn show(items: &[(String, Item)], json: bool, costs: CostArgs) -> anyhow::Result<()> {
    let available = available_memory()?;
    // A model is timed once, however many experiments ask it.
    let mut speeds: HashMap<String, Option<Speed>> = HashMap::new();
    let covers = if costs.assume_flops.is_some() { COVERS_ASSUMED } else { COVERS };
    let mut report = Report {
        models: vec![],
        downloads: vec![],
        seconds: 0.0,
        assumed_flops_per_second: costs.assume_flops,
        available_memory: available,
        covers,
    };
    for (experiment, item) in items {
        match item {
            Item::Plan(plan) => {
                let estimate = match costs.assume_flops {
                    Some(rate) => {
                        let estimate = plan.estimate(None);
                        Estimate { seconds: Some(estimate.flops / rate), flops_per_second: Some(rate), ..estimate }
                    }
                    None => {
                        let name = plan.blueprint.source().to_string();
                        if !speeds.contains_key(&name) {
                            speeds.insert(name.clone(), plan.calibrate()?);
                        }
                        plan.estimate(speeds[&name].as_ref())
                    }
                };
                report.seconds += estimate.seconds.unwrap_or_default();
                report.models.push(Costs { experiment: experiment.clone(), estimate });
            }
            Item::Download(plan) => report.downloads.push(Download {
                model: plan.model().to_string(),
                files: plan.files.len(),
                missing: plan.missing,
                total: plan.total(),
                folder: plan.folder.display().to_string(),
            }),
        }
    }
    report.downloads.dedup_by(|a, b| a.folder == b.folder);
    if json {
        print_json(&report)?
    } else {
        print_report(&report)?
    }
    check_items(items, costs)
}

/// [`show`] for a command with one model.
pub(crate) fn show_one(
    model: &ModelArgs,
    json: bool,
    plan: impl FnOnce() -> anyhow::Result<ModelPlan>,
) -> anyhow::Result<()> {
    show(&[(String::new(), Item::of(model, plan)?)], json, model.costs)
}

/// [`check`] for those items that are there.
pub(crate) fn check_items(items: &[(String, Item)], costs: CostArgs) -> anyhow::Result<()> {
    check(items.iter().filter_map(|(_, item)| item.plan()), costs)
}

fn print_report(report: &Report) -> anyhow::Result<()> {
    if !report.models.is_empty() {
        print_table(&table(report)?)?;
    }
    let mut text = String::new();
    for download in &report.downloads {
        text.push_str(&format!(
            "{} is not in the cache: {} of {} would be downloaded ({} files) to {}; its costs are known then.\n",
            download.model,
            size(download.missing),
            size(download.total),
            download.files,
            download.folder
        ));
    }
    print(&text)
}

/// A number with three digits that count.
fn three_digits(value: f64) -> Cell {
    let magnitude = if value > 0.0 { value.log10().floor() } else { 0.0 };
    Cell::number(value, (2.0 - magnitude).clamp(0.0, 9.0) as u8)
}

fn table(report: &Report) -> anyhow::Result<ResultTable> {
    let integer = |key: &str, header: &str| Column::new(key, header, ColumnKind::Integer);
    let number = |key: &str, header: &str| Column::new(key, header, ColumnKind::Number);
    let with_experiment = report.models.iter().any(|costs| !costs.experiment.is_empty());
    let mut columns = vec![Column::new("model", "Model", ColumnKind::Text)];
    if with_experiment {
        columns.insert(0, Column::new("experiment", "Experiment", ColumnKind::Text));
    }
    columns.extend([
        integer("conditional", "With prompt"),
        integer("unconditional", "Empty prompt"),
        integer("own", "Own calls"),
        integer("timing", "Timing"),
        integer("drawing", "Drawing"),
        number("operations", "Operations").with_unit("TFLOP"),
        number("seconds", "Time").with_unit("s"),
        number("memory", "Memory").with_unit("GB"),
    ]);
    let mut table =
        ResultTable::new("costs", "What the run would ask of the networks (samples), and its costs", columns)?;
    let unknown = "the weights have not been hashed here yet, so measurements that may be stored are counted again";
    for Costs { experiment, estimate: e } in &report.models {
        let integer = |count: usize| Cell::integer(count as i64);
        let mut model = Cell::text(&e.model);
        if e.stored_measurements == StoredMeasurements::Unknown {
            let note = table.footnote(unknown);
            model = model.with_note(note);
        }
        let mut row = if with_experiment { vec![Cell::text(experiment)] } else { vec![] };
        row.push(model);
        let calls = [e.conditional_calls, e.unconditional_calls, e.own_calls, e.timing_calls, e.drawing_calls];
        row.extend(calls.map(integer));
        row.push(three_digits(e.flops / 1e12));
        row.push(e.seconds.map_or_else(|| Cell::missing("not known of a GPU"), three_digits));
        row.push(three_digits(e.memory.total() as f64 / 1e9));
        table.push_row(row)?;
    }
    let mut speeds: Vec<(&str, f64)> = vec![];
    for Costs { estimate: e, .. } in &report.models {
        if let Some(speed) = e.flops_per_second.filter(|_| !speeds.iter().any(|(model, _)| *model == e.model)) {
            speeds.push((&e.model, speed));
        }
    }
    let speeds: Vec<String> =
        speeds.iter().map(|(model, speed)| format!("{model} {:.0} GFLOP/s", speed / 1e9)).collect();
    let available = report
        .available_memory
        .map_or("not known".to_owned(), |available| format!("{} {}", size(available.bytes), available.bound));
    table.set_provenance("all networks", format!("{:.1} s", report.seconds));
    match report.assumed_flops_per_second {
        Some(rate) => table.set_provenance("assumed speed", format!("{:.3} TFLOP/s, not measured", rate / 1e12)),
        None => table.set_provenance("measured speed", speeds.join(", ")),
    }
    table.set_provenance("memory available", available);
    table.set_provenance("covered", report.covers);
    Ok(table)
}
