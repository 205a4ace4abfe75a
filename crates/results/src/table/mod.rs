//! The one result struct: what every experiment ends in and every export, figure and report starts from.

mod cell;
mod column;
mod error;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use cell::{Cell, CellValue, Emphasis, FootnoteId};
pub use column::{Column, ColumnKind};
pub use error::TableError;

use crate::stats::Interval;

/// A table of results with its footnotes and its origin.
///
/// Every row has one cell per column and every cell fits its column. Numbers are finite: one that is not becomes a
/// missing cell that says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Unchecked")]
#[schemars(!try_from, deny_unknown_fields)]
pub struct ResultTable {
    /// Short name, also the stem of exported files.
    name: String,
    /// Title for people.
    title: String,
    /// Columns, left to right.
    columns: Vec<Column>,
    /// Rows, top to bottom, one cell per column.
    rows: Vec<Vec<Cell>>,
    /// Footnotes; cells refer to them by position, from 0.
    footnotes: Vec<String>,
    /// Where the numbers come from: model, weights hash, preset, noise, dtype and so on, in the order given.
    provenance: Vec<Origin>,
}

/// One fact about where a table comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// What the fact is about, e.g. `dtype`.
    pub key: String,
    /// The fact, e.g. `f32`.
    pub value: String,
}

impl ResultTable {
    /// A table without rows. `name` must do as a file stem; column keys must be distinct identifiers.
    ///
    /// # Errors
    /// The name is no file stem, there is no column, or a key is no identifier or comes twice.
    pub fn new(name: impl Into<String>, title: impl Into<String>, columns: Vec<Column>) -> Result<Self, TableError> {
        let name = name.into();
        if !is_file_stem(&name) {
            return Err(TableError::BadName { name });
        }
        if columns.is_empty() {
            return Err(TableError::NoColumns { table: name });
        }
        let mut seen: Vec<String> = Vec::new();
        for column in &columns {
            if !is_identifier(&column.key) {
                return Err(TableError::BadKey { table: name, key: column.key.clone() });
            }
            for field in column.fields() {
                if seen.contains(&field) {
                    return Err(TableError::DuplicateKey { table: name, key: field });
                }
                seen.push(field);
            }
        }
        Ok(Self { name, title: title.into(), columns, rows: Vec::new(), footnotes: Vec::new(), provenance: Vec::new() })
    }

    /// Adds a row. Values that are not finite become missing; a spread that is not finite is dropped with a footnote.
    ///
    /// # Errors
    /// The row has another number of cells than there are columns, a cell of another kind than its column, or a footnote
    /// that the table does not have.
    pub fn push_row(&mut self, cells: Vec<Cell>) -> Result<(), TableError> {
        if cells.len() != self.columns.len() {
            return Err(TableError::RowWidth {
                table: self.name.clone(),
                row: self.rows.len(),
                expected: self.columns.len(),
                found: cells.len(),
            });
        }
        for (column, cell) in self.columns.iter().zip(&cells) {
            if !column.kind.accepts(&cell.value) {
                return Err(TableError::CellKind {
                    table: self.name.clone(),
                    row: self.rows.len(),
                    column: column.key.clone(),
                    expected: column.kind,
                    found: cell.value.kind(),
                });
            }
            if let Some(note) = cell.notes.iter().find(|note| note.index() >= self.footnotes.len()) {
                return Err(TableError::NoFootnote {
                    table: self.name.clone(),
                    row: self.rows.len(),
                    column: column.key.clone(),
                    index: note.index(),
                });
            }
        }
        let row = cells.into_iter().map(|cell| self.finite(cell)).collect();
        self.rows.push(row);
        Ok(())
    }

    /// Adds a footnote, or finds it if the table has it already.
    pub fn footnote(&mut self, text: impl Into<String>) -> FootnoteId {
        let text = text.into();
        let index = self.footnotes.iter().position(|known| *known == text).unwrap_or_else(|| {
            self.footnotes.push(text);
            self.footnotes.len() - 1
        });
        FootnoteId::new(index)
    }

    /// States where the numbers come from; a later value for the same key replaces the earlier one in its place.
    pub fn set_provenance(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let (key, value) = (key.into(), value.into());
        match self.provenance.iter_mut().find(|origin| origin.key == key) {
            Some(origin) => origin.value = value,
            None => self.provenance.push(Origin { key, value }),
        }
    }

    /// Short name, also the stem of exported files.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Title for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Columns, left to right.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Rows, top to bottom, one cell per column.
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// Footnotes in the order of their ids.
    pub fn footnotes(&self) -> &[String] {
        &self.footnotes
    }

    /// Where the numbers come from, in the order given.
    pub fn provenance(&self) -> &[Origin] {
        &self.provenance
    }

    /// The same with only some columns, in the order given.
    ///
    /// # Errors
    /// [`TableError::NoColumn`] for a key that no column has.
    pub fn select(&self, keys: &[String]) -> Result<Self, TableError> {
        let place = |key: &String| {
            self.column_index(key).ok_or_else(|| TableError::NoColumn {
                table: self.name.clone(),
                key: key.clone(),
                known: self.columns.iter().map(|column| column.key.clone()).collect(),
            })
        };
        let places = keys.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let columns = places.iter().map(|at| self.columns[*at].clone()).collect();
        let mut table = Self::new(self.name.clone(), self.title.clone(), columns)?;
        table.provenance.clone_from(&self.provenance);
        for row in &self.rows {
            let mut cells: Vec<Cell> = places.iter().map(|at| row[*at].clone()).collect();
            for cell in &mut cells {
                let texts = cell.notes.iter().filter_map(|note| self.footnotes.get(note.index()));
                cell.notes = texts.map(|text| table.footnote(text)).collect();
            }
            table.push_row(cells)?;
        }
        Ok(table)
    }

    /// Position of the column with this key.
    pub fn column_index(&self, key: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.key == key)
    }

    /// The cell in row `row` (from 0) of the column with this key.
    pub fn cell(&self, row: usize, key: &str) -> Option<&Cell> {
        self.rows.get(row)?.get(self.column_index(key)?)
    }

    fn finite(&mut self, mut cell: Cell) -> Cell {
        if let Some(value) = cell.value.number().filter(|value| !value.is_finite()) {
            cell.value = CellValue::Missing { reason: format!("not finite ({value})") };
            return cell;
        }
        let mut dropped = Vec::new();
        if let CellValue::Measured { std, .. } | CellValue::Paper { std, .. } = &mut cell.value
            && let Some(value) = std.take_if(|std| !std.is_finite())
        {
            dropped.push(format!("standard deviation not finite ({value}), left out"));
        }
        if let CellValue::Measured { interval, .. } = &mut cell.value
            && let Some(Interval { low, high }) =
                interval.take_if(|interval| !(interval.low.is_finite() && interval.high.is_finite()))
        {
            dropped.push(format!("interval not finite ({low} to {high}), left out"));
        }
        for text in dropped {
            let note = self.footnote(text);
            cell = cell.with_note(note);
        }
        cell
    }
}

/// A table as read, before its rows are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    name: String,
    title: String,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    footnotes: Vec<String>,
    provenance: Vec<Origin>,
}

impl TryFrom<Unchecked> for ResultTable {
    type Error = TableError;

    fn try_from(raw: Unchecked) -> Result<Self, TableError> {
        let mut table = Self::new(raw.name, raw.title, raw.columns)?;
        table.footnotes = raw.footnotes;
        table.provenance = raw.provenance;
        raw.rows.into_iter().try_for_each(|row| table.push_row(row))?;
        Ok(table)
    }
}

fn is_identifier(key: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !key.is_empty() && key.chars().all(allowed)
}

/// Letters, digits, `_`, `-` and `.`, not starting with a dot: safe as the stem of a file on every system.
fn is_file_stem(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(allowed)
}
