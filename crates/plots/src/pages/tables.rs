//! Tables of the page.

use std::path::Path;

use memscope_results::{
    Error as ResultsError, Folder, ResultTable,
    compare::TABLE_LIMIT,
    export::{PlainCell, PlainTable},
    table::{Column, ColumnKind},
};

use super::inside::Inside;
use crate::report::{Block, ColumnContent, ColumnSource, ReportCell, ReportColumn, ReportTable};

/// Columns that most readers do not need: a second reading of the TPR, a second test, a second window of time, with how many
/// others a detector was compared, how many prompts stand behind decisions, and the strictest of their rates.
const DETAILS: [&str; 12] = [
    "tpr_reference",
    "auc_delong_p",
    "reference_calls",
    "reference_seconds",
    "auc_apart",
    "tpr_apart",
    "prompts",
    "calibration_count",
    "ordinary_count",
    "fdp_5",
    "power_5",
    "needed",
];

/// The tables of a subfolder; those that are as the run wrote them are added to `intact`.
pub(super) fn blocks(inside: &mut Inside, folder: &Path, intact: &mut Vec<ResultTable>) -> Vec<Block> {
    let mut blocks = vec![];
    for path in Folder::files(folder, ".json") {
        let read = inside.read(&path, TABLE_LIMIT).and_then(|(bytes, remark)| {
            let table: Result<ResultTable, _> = serde_json::from_slice(&bytes);
            let table = table.map_err(|e| ResultsError::Damaged { path: path.clone(), reason: e.to_string() })?;
            Ok((table, remark))
        });
        match read {
            Ok((table, remark)) => {
                blocks.push(Block::Table(shown(&table, &inside.manifest.command)));
                match remark {
                    Some(remark) => blocks.insert(blocks.len() - 1, remark),
                    None => intact.push(table),
                }
            }
            Err(error) => blocks.push(inside.notice(&error.to_string())),
        }
    }
    blocks
}

/// A table as the page shows it; `command` makes it again.
pub(super) fn shown(table: &ResultTable, command: &str) -> ReportTable {
    let plain = PlainTable::new(table);
    let column = |(column, label): (&Column, &String)| ReportColumn {
        label: label.clone(),
        content: match column.kind {
            ColumnKind::Text => ColumnContent::Text,
            _ => ColumnContent::Number,
        },
        source: match column.kind {
            ColumnKind::Paper => ColumnSource::Paper,
            _ if column.key.starts_with("paper") => ColumnSource::Paper,
            _ => ColumnSource::Run,
        },
        detail: DETAILS.contains(&column.key.as_str()),
    };
    let cell = |cell: PlainCell| {
        let text = cell.text.strip_suffix(&cell.spread).unwrap_or(&cell.text).to_owned();
        ReportCell { text, spread: cell.spread, sort: cell.number, marks: cell.marks, missing: cell.missing }
    };
    ReportTable {
        name: table.name().to_owned(),
        title: plain.title,
        columns: table.columns().iter().zip(&plain.headers).map(column).collect(),
        rows: plain.rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect(),
        notes: plain.notes,
        provenance: plain.provenance,
        command: command.to_owned(),
    }
}
