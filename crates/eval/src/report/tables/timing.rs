use memscope_results::{
    ResultTable,
    paper::paper,
    table::{Cell, Column, ColumnKind},
    timing::{ModelTiming, TIMED_PROMPTS},
};

use crate::error::Result;

/// Seconds and network calls to score 10 prompts. A table of its own, because times differ from run to run.
///
/// # Errors
/// The name is no file stem.
pub fn timing_table(experiment: &str, models: &[ModelTiming]) -> Result<ResultTable> {
    let columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("n", "n", ColumnKind::Integer),
        Column::new("method", "Detector", ColumnKind::Text),
        Column::new("calls", "Network calls", ColumnKind::Integer),
        Column::new("seconds", "Metric", ColumnKind::Number).with_unit("s"),
        Column::new("reference_calls", "Network calls, code's window", ColumnKind::Integer),
        Column::new("reference_seconds", "Code's window", ColumnKind::Number).with_unit("s"),
        Column::new("paper_seconds", "Paper, RTX A6000", ColumnKind::Paper).with_unit("s"),
    ];
    let title = format!("Time to score {TIMED_PROMPTS} prompts");
    let mut table = ResultTable::new(format!("{experiment}-timing"), title, columns)?;
    let metric = table.footnote(
        "from the start of the first forward pass to the known score, prompts in one batch, the empty prompt's prediction shared; without text encoding and noise",
    );
    let reference = table.footnote(
        "what the released code times, one prompt after the other: its loop returns only after the next step's network calls have been issued, so eight sample-forwards per prompt and generation (here they are also completed)",
    );
    for timing in models {
        for timed in &timing.detectors {
            let n = timed.generations;
            let row = timing.paper.zip(timed.paper);
            let published = row.and_then(|(model, row)| paper().row(model, n as u32, row));
            let published = published.and_then(|cell| cell.time_s).map(|time| time.cell(&mut table));
            let no_window = || Cell::missing("the released code has no such loop for it");
            table.push_row(vec![
                Cell::text(&timing.model),
                Cell::integer(n as i64),
                Cell::text(&timed.label),
                Cell::integer(timed.calls as i64),
                Cell::number(timed.seconds, 3).with_note(metric),
                timed.reference.as_ref().map_or_else(no_window, |window| Cell::integer(window.calls as i64)),
                timed
                    .reference
                    .as_ref()
                    .map_or_else(no_window, |window| Cell::number(window.seconds, 3).with_note(reference)),
                published.unwrap_or_else(|| Cell::missing("not in the paper")),
            ])?;
        }
    }
    Ok(table)
}
