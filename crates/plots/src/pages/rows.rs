//! Rows of a table, read by the keys of its columns.

use memscope_results::{
    ResultTable,
    table::{Cell, CellValue},
};

use super::inside::shown;

/// Whether a table has all of these columns.
pub(super) fn has(table: &ResultTable, keys: &[&str]) -> bool {
    keys.iter().all(|key| table.column_index(key).is_some())
}

/// The columns of a row by key.
pub(super) struct Row<'a> {
    pub(super) table: &'a ResultTable,
    pub(super) cells: &'a [Cell],
}

impl<'a> Row<'a> {
    pub(super) fn all(table: &'a ResultTable) -> impl Iterator<Item = Self> {
        table.rows().iter().map(move |cells| Self { table, cells })
    }

    pub(super) fn cell(&self, key: &str) -> Option<&'a CellValue> {
        Some(&self.cells.get(self.table.column_index(key)?)?.value)
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.cell(key)?.number()
    }

    pub(super) fn text(&self, key: &str) -> String {
        self.cell(key).map_or_else(String::new, |cell| shown(&cell.plain()))
    }
}

/// The smallest n of a table.
pub(super) fn least_n(table: &ResultTable) -> Option<f64> {
    Row::all(table).filter_map(|row| row.number("n")).reduce(f64::min)
}

/// The models of a table, in its order.
pub(super) fn models(table: &ResultTable) -> Vec<String> {
    let mut models: Vec<String> = Row::all(table).map(|row| row.text("model")).collect();
    models.dedup();
    models
}

/// Of the tables of detection with the paper's numbers, that of the first experiment with ranks, or else the first: what a
/// reader is told at the top is from this experiment.
pub(super) fn first_detection(tables: &[ResultTable]) -> Option<&ResultTable> {
    let detection = || tables.iter().filter(|table| has(table, &["model", "n", "method", "auc", "tpr", "paper_auc"]));
    detection().find(|table| beside(tables, table, "ranks").is_some()).or_else(|| detection().next())
}

/// The table of the same experiment with this ending of its name.
pub(super) fn beside<'a>(tables: &'a [ResultTable], table: &ResultTable, suffix: &str) -> Option<&'a ResultTable> {
    let name = format!("{}-{suffix}", table.name());
    tables.iter().find(|other| other.name() == name)
}
