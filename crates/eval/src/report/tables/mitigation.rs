//! What mitigations gave, method by method.

use memscope_results::{
    ResultTable,
    stats::Bootstrap,
    table::{Cell, Column, ColumnKind},
};

use super::{ModelScores, with_interval};
use crate::{
    error::Result,
    score::{MethodResult, MitigationResult, Quantity},
    spec::ReportSettings,
    tasks::VERBATIM,
};

/// A column of a quantity.
struct Shown {
    key: &'static str,
    header: &'static str,
    quantity: Quantity,
    decimals: u8,
    absent: &'static str,
}

const NO_PICTURE: &str = "no prompt has a training picture of the drawn size";
const NO_JUDGE: &str = "no judge: give mitigation.judges";

const SHOWN: [Shown; 7] = [
    Shown { key: "verbatim", header: "Verbatim", quantity: Quantity::Verbatim, decimals: 3, absent: NO_PICTURE },
    Shown { key: "distance", header: "RMS to training", quantity: Quantity::Distance, decimals: 3, absent: NO_PICTURE },
    Shown {
        key: "diversity",
        header: "Diversity",
        quantity: Quantity::Diversity,
        decimals: 3,
        absent: "one picture a prompt",
    },
    Shown { key: "similarity", header: "Similarity", quantity: Quantity::Similarity, decimals: 3, absent: NO_JUDGE },
    Shown { key: "copies", header: "Copies", quantity: Quantity::Copies, decimals: 3, absent: NO_JUDGE },
    Shown { key: "alignment", header: "Alignment", quantity: Quantity::Alignment, decimals: 3, absent: NO_JUDGE },
    Shown { key: "quality", header: "Quality", quantity: Quantity::Quality, decimals: 2, absent: NO_JUDGE },
];

/// The mean over prompts with its interval.
pub(super) fn mean_cell(values: &[f64], bootstrap: Bootstrap, decimals: u8, absent: &str) -> Result<Cell> {
    if values.is_empty() {
        return Ok(Cell::missing(absent));
    }
    let mean = bootstrap.mean(values)?;
    Ok(with_interval(mean.value, mean.interval, decimals))
}

fn mitigated(models: &[ModelScores]) -> impl Iterator<Item = (&ModelScores, &MitigationResult)> {
    models.iter().filter_map(|model| Some((model, model.mitigation.as_ref()?)))
}

/// Remarks that every table of mitigations has.
fn remarks(table: &mut ResultTable, models: &[ModelScores]) {
    for (model, result) in mitigated(models) {
        let judges = match result.judges.is_empty() {
            true => "no judges: similarity, alignment and quality are absent".to_owned(),
            false => result.judges.join("; "),
        };
        let without = match result.without_picture {
            0 => String::new(),
            count => format!(", {count} of them without a training picture"),
        };
        let (prompts, images) = (result.prompts.len(), result.images);
        table.set_provenance(
            format!("mitigation on {}", model.model),
            format!("{prompts} prompts{without}, {images} pictures each; {judges}"),
        );
    }
}

/// One row per model and method.
pub(super) fn table(name: String, title: &str, models: &[ModelScores], report: &ReportSettings) -> Result<ResultTable> {
    let mut columns =
        vec![Column::new("model", "Model", ColumnKind::Text), Column::new("method", "Method", ColumnKind::Text)];
    columns.extend(SHOWN.iter().map(|shown| Column::new(shown.key, shown.header, ColumnKind::Measured)));
    columns.push(Column::new("reached", "Target reached", ColumnKind::Number));
    columns.push(Column::new("steps", "Steps", ColumnKind::Number));
    columns.push(Column::new("calls", "Calls", ColumnKind::Number));
    let mut table = ResultTable::new(name, title, columns)?;
    let spread = table.footnote("mean over prompts [95 % bootstrap interval over prompts]");
    let verbatim =
        table.footnote(format!("share of pictures whose pixel RMS to the training picture is at most {VERBATIM}"));
    let diversity = table.footnote("mean pixel RMS between two pictures of a prompt");
    let threshold = mitigated(models).find_map(|(_, result)| result.copy_threshold);
    let copies = threshold.map(|threshold| format!("; copies are those above {threshold}")).unwrap_or_default();
    let similarity =
        table.footnote(format!("greatest similarity of a prompt's pictures to a training picture{copies}"));
    let calls = table.footnote("network calls (samples) a prompt, mitigation and drawing");
    for (model, result) in mitigated(models) {
        for method in &result.methods {
            let mut cells = vec![Cell::text(&model.model), Cell::text(&method.label)];
            for shown in &SHOWN {
                let values = method.known(result.prompts.len(), shown.quantity);
                let cell = mean_cell(&values, report.bootstrap(), shown.decimals, shown.absent)?.with_note(spread);
                cells.push(match shown.quantity {
                    Quantity::Verbatim => cell.with_note(verbatim),
                    Quantity::Diversity => cell.with_note(diversity),
                    Quantity::Similarity | Quantity::Copies => cell.with_note(similarity),
                    _ => cell,
                });
            }
            cells.push(plain(method, result, Quantity::Reached, 2, "it has no target"));
            cells.push(plain(method, result, Quantity::Steps, 1, "nothing is optimised"));
            cells.push(plain(method, result, Quantity::Calls, 0, "not drawn").with_note(calls));
            table.push_row(cells)?;
        }
    }
    remarks(&mut table, models);
    Ok(table)
}

pub(super) fn plain(
    method: &MethodResult,
    result: &MitigationResult,
    quantity: Quantity,
    decimals: u8,
    absent: &str,
) -> Cell {
    let values = method.known(result.prompts.len(), quantity);
    match values.is_empty() {
        true => Cell::missing(absent),
        false => Cell::number(values.iter().sum::<f64>() / values.len() as f64, decimals),
    }
}

/// Every method minus none, and minus the first configuration of M, paired over prompts.
pub(super) fn differences(
    name: String,
    title: &str,
    models: &[ModelScores],
    report: &ReportSettings,
) -> Result<ResultTable> {
    let mut columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("difference", "Difference", ColumnKind::Text),
    ];
    for shown in &SHOWN {
        columns.push(Column::new(shown.key, shown.header, ColumnKind::Measured));
        columns.push(Column::new(format!("{}_p", shown.key), "p", ColumnKind::Number));
    }
    let mut table = ResultTable::new(name, format!("{title}: paired differences"), columns)?;
    let spread = table
        .footnote("mean difference over prompts [95 % paired bootstrap interval]; p two-sided from the same resamples");
    for (model, result) in mitigated(models) {
        let none = result.methods.iter().find(|method| method.is_none);
        let m = result.methods.iter().find(|method| method.is_anisotropy);
        for reference in [none, m].into_iter().flatten() {
            for method in result.methods.iter().filter(|method| method.label != reference.label) {
                let difference = format!("{} − {}", method.label, reference.label);
                let mut cells = vec![Cell::text(&model.model), Cell::text(difference)];
                for shown in &SHOWN {
                    let values = paired(method, reference, result.prompts.len(), shown.quantity);
                    if values.is_empty() {
                        cells.extend([Cell::missing(shown.absent), Cell::missing(shown.absent)]);
                        continue;
                    }
                    let mean = report.bootstrap().mean(&values)?;
                    cells.push(with_interval(mean.value, mean.interval, shown.decimals).with_note(spread));
                    cells.push(Cell::number(mean.p, 3));
                }
                table.push_row(cells)?;
            }
        }
    }
    remarks(&mut table, models);
    Ok(table)
}

/// The differences of the prompts that have both numbers.
fn paired(first: &MethodResult, second: &MethodResult, prompts: usize, quantity: Quantity) -> Vec<f64> {
    let of = |method: &MethodResult| method.by_prompt(prompts, |unit| quantity.of(unit));
    of(first).into_iter().zip(of(second)).filter_map(|(a, b)| Some(a? - b?)).collect()
}

/// Seconds a prompt: the mitigation with its drawing, and how many times that of none.
///
/// # Errors
/// The name is no file stem.
pub fn mitigation_times(name: &str, models: &[ModelScores]) -> Result<Option<ResultTable>> {
    let columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("method", "Method", ColumnKind::Text),
        Column::new("mitigating", "Mitigating", ColumnKind::Number).with_unit("s"),
        Column::new("drawing", "Drawing", ColumnKind::Number).with_unit("s"),
        Column::new("times", "Times none", ColumnKind::Number),
        Column::new("calls", "Calls", ColumnKind::Number),
    ];
    let mut table = ResultTable::new(format!("{name}-mitigation-times"), "Seconds a prompt", columns)?;
    for (model, result) in mitigated(models) {
        let prompts = result.prompts.len();
        let mean = |method: &MethodResult, number: &dyn Fn(&crate::score::MitigatedPrompt) -> f64| {
            let values: Vec<f64> = method.by_prompt(prompts, |unit| Some(number(unit))).into_iter().flatten().collect();
            values.iter().sum::<f64>() / values.len().max(1) as f64
        };
        let total = |method: &MethodResult| mean(method, &|unit| unit.record.seconds.0 + unit.record.seconds.1);
        let none = result.methods.iter().find(|method| method.is_none).map(total);
        for method in &result.methods {
            table.push_row(vec![
                Cell::text(&model.model),
                Cell::text(&method.label),
                Cell::number(mean(method, &|unit| unit.record.seconds.0), 2),
                Cell::number(mean(method, &|unit| unit.record.seconds.1), 2),
                none.map_or_else(
                    || Cell::missing("none is not among the methods"),
                    |none| Cell::number(total(method) / none, 2),
                ),
                Cell::number(mean(method, &|unit| unit.record.calls as f64), 0),
            ])?;
        }
    }
    Ok(Some(table).filter(|table| !table.rows().is_empty()))
}
