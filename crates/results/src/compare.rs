//! Two results folders side by side.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::Serialize;

pub use crate::differing::Difference;
use crate::{
    differing::differing_settings,
    error::{Error, Result},
    files,
    folder::{Folder, Results},
    manifest::Manifest,
    table::{Cell, CellValue, Column, ColumnKind, ResultTable},
};

/// How two results folders differ.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Numbers that stand in both.
    pub compared: usize,
    /// Settings that are not the same; a hint at why numbers differ.
    pub settings: Vec<Difference>,
    /// Cells that differ by more than the tolerance.
    pub cells: Vec<Difference>,
    /// Experiments, tables and rows that only one side has.
    pub unmatched: Vec<String>,
    /// What the two are called: their folders.
    #[serde(skip)]
    names: [String; 2],
}

impl Comparison {
    /// Whether the results agree; settings alone do not count.
    pub fn agrees(&self) -> bool {
        self.cells.is_empty() && self.unmatched.is_empty()
    }

    /// The differences as a table.
    ///
    /// # Errors
    /// A row that does not fit the columns: a defect of this program.
    pub fn table(&self, tolerance: f64) -> Result<ResultTable> {
        let columns = vec![
            Column::new("what", "What differs", ColumnKind::Text),
            Column::new("first", &self.names[0], ColumnKind::Text),
            Column::new("second", &self.names[1], ColumnKind::Text),
        ];
        let mut table = ResultTable::new("comparison", "Differences between two results folders", columns)?;
        for difference in self.settings.iter().chain(&self.cells) {
            let cells = [&difference.what, &difference.first, &difference.second].map(Cell::text);
            table.push_row(cells.to_vec())?;
        }
        for missing in &self.unmatched {
            table.push_row(vec![Cell::text(missing), Cell::text(""), Cell::text("")])?;
        }
        table.set_provenance("numbers compared", self.compared.to_string());
        table.set_provenance("tolerance", format!("{tolerance} (relative above 1)"));
        Ok(table)
    }
}

/// Compares the folders of one experiment, or two folders that hold experiments. `tolerance`: how far two numbers,
/// spreads or interval ends may lie apart; for numbers above 1 in size, relative to it.
///
/// # Errors
/// Where a folder holds no experiment, where the two have none in common ([`Error::NothingInCommon`]), and where a
/// manifest or table cannot be read.
pub fn compare(first: &Path, second: &Path, tolerance: f64) -> Result<Comparison> {
    let names = [first, second].map(|folder| folder.display().to_string());
    let mut comparison = Comparison { names, ..Comparison::default() };
    let (a, b) = (experiments(first)?, experiments(second)?);
    if !a.keys().any(|name| b.contains_key(name)) {
        return Err(Error::NothingInCommon {
            first: first.to_owned(),
            first_names: a.into_keys().collect(),
            second: second.to_owned(),
            second_names: b.into_keys().collect(),
        });
    }
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for name in names {
        match (a.get(name), b.get(name)) {
            (Some(a), Some(b)) => comparison.experiment(name, a, b, tolerance)?,
            (one, _) => comparison.only_one(&format!("experiment {name}"), Side::of(one.is_some())),
        }
    }
    Ok(comparison)
}

/// An experiment with its manifest.
type Known = (Folder, Manifest);

/// Folders with a manifest: the folder itself, or those in it; by the experiment's name.
///
/// # Errors
/// Where there is none, or a manifest cannot be read.
pub fn experiments(folder: &Path) -> Result<BTreeMap<String, Known>> {
    let mut found = BTreeMap::new();
    for place in Results::new(folder).experiments()? {
        let manifest = place.manifest()?;
        found.insert(manifest.experiment.clone(), (place, manifest));
    }
    if found.is_empty() {
        return Err(Error::NoResults {
            folder: folder.to_owned(),
            reason: "holds no manifest.json, nor does a folder in it; give a results folder of a complete run".into(),
        });
    }
    Ok(found)
}

/// Most bytes of a table in JSON.
pub const TABLE_LIMIT: u64 = 64 << 20;

/// The tables of an experiment by name; an experiment of figures alone has none.
fn tables(folder: &Folder) -> Result<BTreeMap<String, ResultTable>> {
    let mut tables = BTreeMap::new();
    for path in Folder::files(&folder.tables(), ".json") {
        let table: ResultTable = files::read_json(&path, TABLE_LIMIT)?;
        tables.insert(table.name().to_owned(), table);
    }
    Ok(tables)
}

/// One of the two sides.
#[derive(Clone, Copy)]
enum Side {
    First,
    Second,
}

impl Side {
    /// The side that has something.
    fn of(first_has_it: bool) -> Self {
        if first_has_it { Self::First } else { Self::Second }
    }
}

impl Comparison {
    fn only_one(&mut self, what: &str, side: Side) {
        let [first, second] = &self.names;
        let name = match side {
            Side::First => first,
            Side::Second => second,
        };
        self.unmatched.push(format!("{what}: only in {name}"));
    }

    fn experiment(&mut self, name: &str, first: &Known, second: &Known, tolerance: f64) -> Result<()> {
        let named = |difference: Difference| Difference { what: format!("{name}: {}", difference.what), ..difference };
        self.settings.extend(differing_settings(&first.1, &second.1).into_iter().map(named));
        let (a, b) = (tables(&first.0)?, tables(&second.0)?);
        for table in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
            match (a.get(table), b.get(table)) {
                (Some(a), Some(b)) => self.table_pair(a, b, tolerance),
                (one, _) => self.only_one(&format!("{name}: table {table}"), Side::of(one.is_some())),
            }
        }
        Ok(())
    }

    fn table_pair(&mut self, first: &ResultTable, second: &ResultTable, tolerance: f64) {
        let (a, b) = (keyed_rows(first), keyed_rows(second));
        for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
            let (Some(row_a), Some(row_b)) = (a.get(key), b.get(key)) else {
                self.only_one(&format!("{}: row {key}", first.name()), Side::of(a.contains_key(key)));
                continue;
            };
            for (column, cell) in first.columns().iter().zip(row_a.iter()) {
                let other = second.column_index(&column.key).and_then(|i| row_b.get(i));
                let Some(other) = other else {
                    self.only_one(&format!("{}: column {}", first.name(), column.key), Side::First);
                    continue;
                };
                let (x, y) = (numbers(&cell.value), numbers(&other.value));
                self.compared += usize::from(x[0].is_some() && y[0].is_some());
                if !x.iter().zip(&y).all(|(x, y)| near(*x, *y, tolerance)) {
                    let what = format!("{}: {key}: {}", first.name(), column.key);
                    self.cells.push(Difference { what, first: show(&x), second: show(&y) });
                }
            }
        }
    }
}

/// Rows by what their text and count cells say; repeated ones are numbered.
fn keyed_rows(table: &ResultTable) -> BTreeMap<String, &Vec<Cell>> {
    let mut rows = BTreeMap::new();
    for row in table.rows() {
        let label = |(column, cell): (&Column, &Cell)| match (&column.kind, &cell.value) {
            (ColumnKind::Text, CellValue::Text { text }) => Some(text.clone()),
            (ColumnKind::Integer, CellValue::Integer { value }) => Some(format!("{}={value}", column.key)),
            _ => None,
        };
        let labels: Vec<String> = table.columns().iter().zip(row).filter_map(label).collect();
        let key = labels.join(" | ");
        let mut numbered = key.clone();
        let mut repeat = 1;
        while rows.contains_key(&numbered) {
            repeat += 1;
            numbered = format!("{key} ({repeat})");
        }
        rows.insert(numbered, row);
    }
    rows
}

/// Value, standard deviation, and the ends of the interval.
fn numbers(value: &CellValue) -> [Option<f64>; 4] {
    match value {
        CellValue::Measured { value, std, interval, .. } => {
            let spread = interval.as_ref();
            [Some(*value), *std, spread.map(|i| i.low), spread.map(|i| i.high)]
        }
        CellValue::Paper { value, std, .. } => [Some(*value), *std, None, None],
        other => [other.number(), None, None, None],
    }
}

fn near(a: Option<f64>, b: Option<f64>, tolerance: f64) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0),
        (None, None) => true,
        _ => false,
    }
}

fn show(numbers: &[Option<f64>; 4]) -> String {
    let text = |number: Option<f64>| number.map(|n| format!("{n:.4}"));
    let Some(value) = text(numbers[0]) else { return "missing".into() };
    let std = text(numbers[1]).map_or_else(String::new, |std| format!(" ± {std}"));
    let interval = text(numbers[2]).zip(text(numbers[3]));
    value + &std + &interval.map_or_else(String::new, |(low, high)| format!(" [{low}, {high}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerance_is_absolute_below_one_and_relative_above() {
        assert!(near(Some(0.9), Some(0.9009), 1e-3));
        assert!(!near(Some(0.9), Some(0.902), 1e-3));
        assert!(near(Some(1000.0), Some(1000.9), 1e-3));
        assert!(!near(Some(1.0), None, 1.0));
    }
}
