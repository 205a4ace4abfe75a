//! Comma-separated values.

use std::io::{self, Write};

use super::Exporter;
use crate::table::{Cell, CellValue, Column, ColumnKind, ResultTable};

/// Writes raw numbers, one header line of keys. A column's spread stands in columns of its own (`auc`, `auc_std`,
/// `auc_low`, `auc_high`), whether or not any row has one, so that a reader can rely on the header. Missing values are
/// empty; their reasons, footnotes and provenance are in the JSON.
#[derive(Debug, Clone, Copy)]
pub struct Csv;

impl Exporter for Csv {
    fn extension(&self) -> &'static str {
        "csv"
    }

    fn write(&self, table: &ResultTable, out: &mut dyn Write) -> io::Result<()> {
        line(out, table.columns().iter().flat_map(Column::fields))?;
        for cells in table.rows() {
            line(out, table.columns().iter().zip(cells).flat_map(|(column, cell)| fields(column.kind, cell)))?;
        }
        Ok(())
    }
}

/// One string per field of the column, in the order of [`Column::fields`].
fn fields(kind: ColumnKind, cell: &Cell) -> Vec<String> {
    let value = match &cell.value {
        CellValue::Text { text } => text.clone(),
        CellValue::Integer { value } => value.to_string(),
        other => number(other.number()),
    };
    let mut fields = vec![value];
    match kind {
        ColumnKind::Text | ColumnKind::Integer | ColumnKind::Number => {}
        ColumnKind::Measured => {
            let (std, interval) = match cell.value {
                CellValue::Measured { std, interval, .. } => (std, interval),
                _ => (None, None),
            };
            fields.extend([
                number(std),
                number(interval.map(|range| range.low)),
                number(interval.map(|range| range.high)),
            ]);
        }
        ColumnKind::Paper => match &cell.value {
            CellValue::Paper { std, quoted, source, .. } => {
                fields.extend([number(*std), quoted.to_string(), source.clone()]);
            }
            _ => fields.extend([const { String::new() }; 3]),
        },
    }
    fields
}

/// The shortest digits that read back as the same number.
fn number(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn line(out: &mut dyn Write, fields: impl Iterator<Item = String>) -> io::Result<()> {
    let quoted: Vec<String> = fields.map(quote).collect();
    writeln!(out, "{}", quoted.join(","))
}

/// Quotes a field that holds a separator, a quote or a line break (RFC 4180), or that white space surrounds.
fn quote(field: String) -> String {
    if field.contains([',', '"', '\n', '\r']) || field.trim() != field {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}
