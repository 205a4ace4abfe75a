//! Writing tables, by polars.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
};

use polars::prelude::{
    Column as Series, CsvWriter, DataFrame, JsonFormat, JsonWriter, ParquetWriter, PolarsError, SerWriter,
};

use crate::{
    error::{Error, Result},
    table::{Cell, Column},
};

/// A form that is written, by the ending of the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// Comma-separated values with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    JsonLines,
}

impl OutputFormat {
    /// The form that a name says, in any case.
    ///
    /// # Errors
    /// [`Error::OutputExtension`] for any other ending.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().map(|e| e.to_string_lossy().to_lowercase()).as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("parquet") => Ok(Self::Parquet),
            Some("jsonl") => Ok(Self::JsonLines),
            _ => Err(Error::OutputExtension { path: path.to_owned() }),
        }
    }
}

/// Writes columns of `rows` values each; the file is replaced as a whole, or not at all.
///
/// # Errors
/// The file cannot be written; its former content is kept.
pub fn write_frame(path: &Path, rows: usize, columns: Vec<Series>) -> Result<()> {
    let format = OutputFormat::of(path)?;
    let fail = |source| Error::Write { path: path.to_owned(), source };
    let partial = partial(path);
    let result = write(format, &partial, rows, columns).and_then(|()| fs::rename(&partial, path));
    result.map_err(|source| {
        // The error that is told is the one that came first.
        let _ = fs::remove_file(&partial);
        fail(source)
    })
}

/// A name of its own in the same folder, so that two writers do not share one.
fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}.partial", std::process::id()))
}

fn write(format: OutputFormat, partial: &Path, rows: usize, columns: Vec<Series>) -> std::io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).open(partial)?;
    let other = |e: PolarsError| match e {
        PolarsError::IO { error, .. } => std::io::Error::new(error.kind(), error.to_string()),
        other => std::io::Error::other(other.to_string()),
    };
    let mut frame = DataFrame::new(rows, columns).map_err(other)?;
    match format {
        OutputFormat::Csv => CsvWriter::new(&mut file).finish(&mut frame).map_err(other)?,
        OutputFormat::Parquet => drop(ParquetWriter::new(&mut file).finish(&mut frame).map_err(other)?),
        OutputFormat::JsonLines => {
            JsonWriter::new(&mut file).with_json_format(JsonFormat::JsonLines).finish(&mut frame).map_err(other)?;
        }
    }
    file.sync_all()
}

/// Writes a table's columns, then `more`. Columns of bare numbers or truth values stay such; all others are text.
///
/// # Errors
/// As [`write_frame`].
pub fn write_table(path: &Path, columns: &[Column], more: Vec<Series>) -> Result<()> {
    let rows = columns.first().map(|column| column.cells.len()).or_else(|| more.first().map(Series::len));
    let columns = columns.iter().map(series).chain(more).collect();
    write_frame(path, rows.unwrap_or(0), columns)
}

fn series(column: &Column) -> Series {
    let name = column.name.as_str().into();
    let bare = column.cells.iter().all(|cell| matches!(cell, Cell::Empty | Cell::Bare(_)));
    let texts = || column.cells.iter().map(Cell::text);
    if bare {
        if let Some(values) = parsed::<i64>(texts()) {
            return Series::new(name, values);
        }
        if let Some(values) = parsed::<f64>(texts()) {
            return Series::new(name, values);
        }
        if let Some(values) = parsed::<bool>(texts()) {
            return Series::new(name, values);
        }
    }
    Series::new(name, texts().map(|text| text.map(str::to_owned)).collect::<Vec<_>>())
}

/// All values of one type, if they are.
fn parsed<'t, T: std::str::FromStr>(texts: impl Iterator<Item = Option<&'t str>>) -> Option<Vec<Option<T>>> {
    texts.map(|text| text.map(|text| text.parse().ok()).map_or(Some(None), |value| value.map(Some))).collect()
}
