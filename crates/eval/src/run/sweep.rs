//! Runs every point of a sweep, and gathers their tables.

use std::path::Path;

use memscope_frames::FrameColumn;
use memscope_results::{
    Manifest, OpenRun, ResultTable, Results, Warning,
    export::ExportSet,
    figures::FigureData,
    table::{Cell, CellValue, Column, ColumnKind},
};

use super::{
    Observer, Outcome,
    experiment::run_into,
    gathered::{begin, manifest_of},
};
use crate::{
    error::{Error, Result},
    manifest::utc_now,
    report::{FORMATS, figures::sweep_figures},
    spec::{Experiment, SweepAxis, SweepPoint, TableKind, points},
    table_file::write_columns,
    task::CachePolicy,
};

/// What a sweep left behind.
#[derive(Debug)]
pub struct SweepOutcome {
    /// The right to write into the results folder.
    pub open: OpenRun,
    /// Every point's detection table, with a column for each axis.
    pub table: ResultTable,
    /// The numbers of its figures, not drawn yet.
    pub figures: Vec<FigureData>,
    /// The manifest, not written yet.
    pub manifest: Manifest,
}

impl SweepOutcome {
    /// Ends the run: the manifest, then COMPLETE.
    ///
    /// # Errors
    /// When a file cannot be written; the folder is then incomplete.
    pub fn commit(self) -> Result<Manifest> {
        Ok(self.open.commit(self.manifest)?)
    }
}

/// Runs every point into `results/NAME/points/NNN` and gathers their detection tables. `draw` is given each point before it
/// is complete, so that its figures can be drawn into it.
///
/// # Errors
/// When a point makes no valid experiment, running one fails, or `draw` does.
pub fn run_sweep<E: From<Error>>(
    experiment: &Experiment,
    results: impl Into<Results>,
    policy: CachePolicy,
    command: &str,
    observer: &mut dyn Observer,
    mut draw: impl FnMut(&mut Outcome) -> std::result::Result<(), E>,
) -> std::result::Result<SweepOutcome, E> {
    let file = experiment.file();
    let points = points(experiment)?;
    let results = results.into();
    let folder = results.experiment(&file.name);
    let mut open = begin(&folder, experiment)?;
    let mut manifest = manifest_of(file, command);
    let target = ExportSet::open(&folder.tables(), &format!("{}-sweep", file.name), FORMATS).map_err(Error::from)?;
    let mut table = None;
    for (i, point) in points.iter().enumerate() {
        // What an earlier point has measured anew counts for the later ones.
        let policy = if i == 0 { policy } else { CachePolicy::Reuse };
        let mut outcome = run_into(&folder.point(i), &point.experiment, &results, policy, command, observer)?;
        let detection = TableKind::Detection.name(&file.name);
        if let Some(part) = outcome.tables.iter().find(|table| table.name() == detection) {
            gather(&mut table, &file.title, &file.sweep, point, part)?;
        }
        draw(&mut outcome)?;
        let point = outcome.commit()?;
        manifest.device = point.device;
        manifest.seconds += point.seconds;
        for model in point.models {
            // Points may vary the models, too; a model of several points stands once.
            if !manifest.models.iter().any(|known| known.source == model.source) {
                manifest.models.push(model);
            }
        }
        for warning in point.warnings {
            if !manifest.warnings.contains(&warning) {
                manifest.warnings.push(warning);
            }
        }
    }
    let table = table.ok_or_else(|| Error::Experiment { file: file.name.clone(), reason: "no sweep point".into() })?;
    open.adopt(target.write(&table).map_err(Error::from)?).map_err(Error::from)?;
    write_long(&folder.sweep_table(), file.sweep.len(), &table)?;
    open.adopt([folder.sweep_table()]).map_err(Error::from)?;
    manifest.finished = utc_now();
    let figures = sweep_figures(&file.name, &table);
    if figures.is_empty() {
        let reason = "no axis of the sweep has numbers: there is no figure of AUC and TPR over it".to_owned();
        manifest.warnings.push(Warning::FigureLeftOut { reason });
    }
    Ok(SweepOutcome { open, table, figures, manifest })
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
    write_columns(path, rows, columns)
}
