//! Rows about pictures: as a table, and as a file.

use memscope_eval::write_columns;
use memscope_frames::{FrameColumn, OutputFormat};
use memscope_results::{
    ResultTable,
    table::{Cell, Column, ColumnKind},
};

use crate::{
    args::PictureOutput,
    targets::{check_free, check_writable},
};

/// A column of some rows.
pub(super) struct RowColumn<T> {
    pub(super) key: &'static str,
    pub(super) header: &'static str,
    pub(super) value: fn(&T) -> RowValue,
}

/// A value of a row.
pub(super) enum RowValue {
    Text(Option<String>),
    /// With the decimals that a table shows, and what it shows where there is none.
    Number(Option<f64>, u8, &'static str),
    Integer(i64),
}

/// Refuses to replace files, and formats that cannot be written, before anything is computed.
pub(super) fn check_output(output: &PictureOutput) -> anyhow::Result<()> {
    let Some(path) = &output.out else { return Ok(()) };
    OutputFormat::of(path)?;
    check_free(path, output.overwrite)?;
    check_writable(path)
}

/// The rows as a table for people.
pub(super) fn table<T>(name: &str, title: &str, rows: &[T], columns: &[RowColumn<T>]) -> anyhow::Result<ResultTable> {
    let kind = |column: &RowColumn<T>| match rows.first().map(column.value) {
        Some(RowValue::Number(..)) => ColumnKind::Number,
        Some(RowValue::Integer(_)) => ColumnKind::Integer,
        _ => ColumnKind::Text,
    };
    let heads = columns.iter().map(|column| Column::new(column.key, column.header, kind(column))).collect();
    let mut table = ResultTable::new(name, title, heads)?;
    for row in rows {
        let cell = |column: &RowColumn<T>| match (column.value)(row) {
            RowValue::Text(Some(text)) => Cell::text(text),
            RowValue::Text(None) => Cell::missing("none"),
            RowValue::Number(Some(value), decimals, _) => Cell::number(value, decimals),
            RowValue::Number(None, _, missing) => Cell::missing(missing),
            RowValue::Integer(value) => Cell::integer(value),
        };
        table.push_row(columns.iter().map(cell).collect())?;
    }
    Ok(table)
}

/// The rows as a file, if one is wanted; numbers in full.
pub(super) fn write<T>(output: &PictureOutput, rows: &[T], columns: &[RowColumn<T>]) -> anyhow::Result<()> {
    let Some(path) = &output.out else { return Ok(()) };
    let column = |column: &RowColumn<T>| {
        let (mut texts, mut numbers, mut integers) = (vec![], vec![], vec![]);
        for row in rows {
            match (column.value)(row) {
                RowValue::Text(text) => texts.push(text),
                RowValue::Number(number, ..) => numbers.push(number),
                RowValue::Integer(integer) => integers.push(integer),
            }
        }
        match (numbers.is_empty(), integers.is_empty()) {
            (false, _) => FrameColumn::new(column.key.into(), numbers),
            (_, false) => FrameColumn::new(column.key.into(), integers),
            _ => FrameColumn::new(column.key.into(), texts),
        }
    };
    Ok(write_columns(path, rows.len(), columns.iter().map(column).collect())?)
}
