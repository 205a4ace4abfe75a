use memscope_eval::manifest::seconds_now;
use memscope_results::{
    ResultTable, Results,
    shards::{PlanStatus, ShardState, ShardStatus},
    table::{Cell, Column, ColumnKind},
};

use super::merge::plans;
use crate::{
    args::Status,
    output::{print_json, print_table},
    progress::duration,
};

/// `memscope status`.
pub(crate) fn run(args: &Status) -> anyhow::Result<()> {
    let now = seconds_now();
    let plans = plans(&Results::new(&args.results), None)?;
    let all = plans.iter().map(|shards| shards.status(now)).collect::<memscope_results::Result<Vec<_>>>()?;
    if args.json {
        return print_json(&all);
    }
    all.iter().try_for_each(|status| print_table(&table(status)?))
}

fn table(status: &PlanStatus) -> anyhow::Result<ResultTable> {
    let text = |key: &str, header: &str| Column::new(key, header, ColumnKind::Text);
    let integer = |key: &str, header: &str| Column::new(key, header, ColumnKind::Integer);
    let columns = vec![
        integer("shard", "Shard"),
        text("state", "State"),
        integer("done", "Done"),
        integer("total", "Of"),
        Column::new("rate", "Rate", ColumnKind::Number).with_unit("1/s"),
        text("left", "Left"),
        text("written", "Last wrote"),
        integer("attempts", "Begun"),
        text("where", "Where"),
        text("message", "What is wrong"),
    ];
    let mut table = ResultTable::new("shards", format!("Shards of {}", status.plan), columns)?;
    for shard in &status.shards {
        table.push_row(row(shard))?;
    }
    let count = |state| status.shards.iter().filter(|shard| shard.state == state).count();
    let counts = ShardState::ALL.map(|state| format!("{} {}", count(state), state.name()));
    table.set_provenance("shards", counts.join(", "));
    if count(ShardState::Running) > 0 {
        let left = status
            .seconds_left
            .map_or_else(|| "time left not known yet".to_owned(), |seconds| format!("{} left", duration(seconds)));
        table.set_provenance("running", format!("{:.2} a second together, {left}", status.rate));
    }
    for (i, hardware) in status.hardware.iter().enumerate() {
        table.set_provenance(format!("hardware {}", i + 1), hardware.to_string());
    }
    let next = match (status.merged, status.shards.iter().all(|shard| shard.state == ShardState::Done)) {
        (true, _) => format!("merged; {} writes the tables", status.command),
        (false, true) => "memscope merge".into(),
        (false, false) => format!("{} --shard I/{} for those that are not done", status.command, status.shards.len()),
    };
    table.set_provenance("next", next);
    Ok(table)
}

fn row(shard: &ShardStatus) -> Vec<Cell> {
    let place = match shard.job.is_empty() {
        true => shard.host.clone(),
        false => format!("{} (job {})", shard.host, shard.job),
    };
    vec![
        Cell::integer(shard.shard as i64),
        Cell::text(shard.state.name()),
        Cell::integer(shard.done as i64),
        Cell::integer(shard.total as i64),
        Cell::number(shard.rate, 2),
        Cell::text(shard.seconds_left.map_or_else(String::new, duration)),
        Cell::text(shard.silent.map_or_else(String::new, |seconds| format!("{} ago", duration(seconds as f64)))),
        Cell::integer(shard.attempts as i64),
        Cell::text(place),
        Cell::text(&shard.message),
    ]
}
