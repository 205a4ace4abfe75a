//! Runs every point of a sweep, and gathers their tables.

use std::path::{Path, PathBuf};

use polars::prelude::Column as FrameColumn;

use super::{
    Observer,
    experiment::{COMPLETE, FORMATS, begin, run_into},
};
use crate::{
    error::{Error, Result},
    export::ExportSet,
    frames::write_frame,
    manifest::write_atomically,
    plan::CachePolicy,
    spec::{Experiment, SweepAxis, SweepPoint, TableKind, points},
    table::{Cell, CellValue, Column, ColumnKind, ResultTable},
};

/// What a sweep left behind.
#[derive(Debug)]
pub struct SweepOutcome {
    /// The results folder.
    pub folder: PathBuf,
    /// Every point's detection table, with a column for each axis.
    pub table: ResultTable,
}

/// The folder of a point, counted from 0, below the sweep's.
pub fn point_folder(folder: &Path, point: usize) -> PathBuf {
    folder.join("points").join(format!("{:03}", point + 1))
}

/// Runs every point into `results/NAME/points/NNN` and gathers their detection tables.
///
/// # Errors
/// When a point makes no valid experiment, or running one fails.
pub fn run_sweep(
    experiment: &Experiment,
    results: &Path,
    policy: CachePolicy,
    observer: &mut dyn Observer,
) -> Result<SweepOutcome> {
    let file = experiment.file();
    let points = points(experiment)?;
    let folder = results.join(&file.name);
    begin(&folder, experiment)?;
    let target = ExportSet::open(&folder.join("tables"), &format!("{}-sweep", file.name), FORMATS)?;
    let mut table = None;
    for (i, point) in points.iter().enumerate() {
        let place = point_folder(&folder, i);
        // What an earlier point has measured anew counts for the later ones.
        let policy = if i == 0 { policy } else { CachePolicy::Reuse };
        let outcome = run_into(&place, &point.experiment, results, policy, observer)?;
        let detection = TableKind::Detection.name(&file.name);
        if let Some(part) = outcome.tables.iter().find(|table| table.name() == detection) {
            gather(&mut table, &file.title, &file.sweep, point, part)?;
        }
    }
    let table = table.ok_or_else(|| Error::Experiment { file: file.name.clone(), reason: "no sweep point".into() })?;
    target.write(&table)?;
    write_long(&folder.join("sweep.csv"), file.sweep.len(), &table)?;
    write_atomically(&folder.join(COMPLETE), b"")?;
    Ok(SweepOutcome { folder, table })
}

/// Appends a point's rows, its values in front.
fn gather(
    table: &mut Option<ResultTable>,
    title: &str,
    axes: &[SweepAxis],
    point: &SweepPoint,
    part: &ResultTable,
) -> Result<()> {
    let table = match table {
        Some(table) => table,
        None => {
            let mut columns: Vec<Column> =
                axes.iter().map(|axis| Column::new(axis.key(), axis.field.as_str(), ColumnKind::Text)).collect();
            columns.extend_from_slice(part.columns());
            table.insert(ResultTable::new(format!("{}-sweep", part.name()), format!("{title}: sweep"), columns)?)
        }
    };
    for origin in part.provenance() {
        table.set_provenance(&origin.key, &origin.value);
    }
    for row in part.rows() {
        let mut cells: Vec<Cell> = point.values.iter().map(Cell::text).collect();
        for cell in row {
            let notes = cell.notes.iter().filter_map(|note| part.footnotes().get(note.index()));
            let notes: Vec<_> = notes.map(|text| table.footnote(text)).collect();
            cells.push(notes.into_iter().fold(cell.value.clone().into(), Cell::with_note));
        }
        table.push_row(cells)?;
    }
    Ok(())
}

/// One row per point, row and number: the axes, model, n, method, statistic, value, std, low, high.
fn write_long(path: &Path, axes: usize, table: &ResultTable) -> Result<()> {
    let labels = axes + 3;
    let mut texts: Vec<Vec<String>> = vec![vec![]; labels + 1];
    let mut numbers: [Vec<Option<f64>>; 4] = Default::default();
    for row in table.rows() {
        for (column, cell) in table.columns().iter().zip(row).skip(labels) {
            let CellValue::Measured { value, std, interval, .. } = &cell.value else { continue };
            for (texts, cell) in texts.iter_mut().zip(&row[..labels]) {
                texts.push(cell.value.plain());
            }
            texts[labels].push(column.key.clone());
            let spread = interval.as_ref();
            let all = [Some(*value), *std, spread.map(|i| i.low), spread.map(|i| i.high)];
            numbers.iter_mut().zip(all).for_each(|(column, number)| column.push(number));
        }
    }
    let rows = numbers[0].len();
    let names = table.columns()[..labels].iter().map(|column| column.key.as_str()).chain(["statistic"]);
    let mut columns: Vec<FrameColumn> =
        names.zip(texts).map(|(name, values)| FrameColumn::new(name.into(), values)).collect();
    let named = ["value", "std", "low", "high"].into_iter().zip(numbers);
    columns.extend(named.map(|(name, values)| FrameColumn::new(name.into(), values)));
    write_frame(path, rows, columns)
}
