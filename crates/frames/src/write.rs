//! Writing tables, by polars.

use std::{fs::File, io, path::Path, str::FromStr};

use polars::{
    io::{csv::write::BatchedWriter as BatchedCsv, parquet::write::BatchedWriter as BatchedParquet},
    prelude::{Column as Series, CsvWriter, DataFrame, JsonFormat, JsonWriter, ParquetWriter, PolarsError, SerWriter},
};

use crate::{
    cells::Cell,
    error::{Error, Result},
    table::Column,
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

/// A table that is written piece by piece, all with the same columns.
pub struct FrameWriter {
    pieces: Pieces,
}

enum Pieces {
    Csv(BatchedCsv<File>),
    Parquet(Box<BatchedParquet<File>>),
    JsonLines(File),
}

impl FrameWriter {
    /// Begins a table with the columns of `first`, which is written as its first piece: `rows` values each. `file` is
    /// empty.
    ///
    /// # Errors
    /// Columns of other lengths or of one name, and what the file does not take.
    pub fn begin(format: OutputFormat, file: File, rows: usize, first: Vec<Series>) -> io::Result<Self> {
        let frame = DataFrame::new(rows, first).map_err(io_error)?;
        let schema = frame.schema();
        let pieces = match format {
            OutputFormat::Csv => Pieces::Csv(CsvWriter::new(file).batched(schema).map_err(io_error)?),
            OutputFormat::Parquet => {
                Pieces::Parquet(Box::new(ParquetWriter::new(file).batched(schema).map_err(io_error)?))
            }
            OutputFormat::JsonLines => Pieces::JsonLines(file),
        };
        let mut writer = Self { pieces };
        writer.write_frame(frame)?;
        Ok(writer)
    }

    /// Adds a piece with the same columns.
    ///
    /// # Errors
    /// As [`FrameWriter::begin`].
    pub fn write(&mut self, rows: usize, columns: Vec<Series>) -> io::Result<()> {
        self.write_frame(DataFrame::new(rows, columns).map_err(io_error)?)
    }

    fn write_frame(&mut self, mut frame: DataFrame) -> io::Result<()> {
        match &mut self.pieces {
            Pieces::Csv(writer) => writer.write_batch(&frame).map_err(io_error),
            Pieces::Parquet(writer) => writer.write_batch(&frame).map_err(io_error),
            Pieces::JsonLines(file) => {
                JsonWriter::new(file).with_json_format(JsonFormat::JsonLines).finish(&mut frame).map_err(io_error)
            }
        }
    }

    /// Ends the table.
    ///
    /// # Errors
    /// What the file does not take.
    pub fn finish(self) -> io::Result<()> {
        match self.pieces {
            Pieces::Csv(mut writer) => writer.finish().map_err(io_error),
            Pieces::Parquet(writer) => writer.finish().map(drop).map_err(io_error),
            Pieces::JsonLines(_) => Ok(()),
        }
    }
}

fn io_error(error: PolarsError) -> io::Error {
    match error {
        PolarsError::IO { error, .. } => io::Error::new(error.kind(), error.to_string()),
        other => io::Error::other(other.to_string()),
    }
}

/// A column of a table as it was read, to be written again. A column of bare numbers or truth values stays such; all others
/// are text.
pub struct InputColumn<'c> {
    column: &'c Column,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Integer,
    Number,
    Truth,
    Text,
}

impl<'c> InputColumn<'c> {
    /// Finds what all cells of the column are.
    pub fn new(column: &'c Column) -> Self {
        let bare = |cell: Cell| matches!(cell, Cell::Empty | Cell::Bare(_));
        let kind = match column.cells.iter().all(bare) {
            true if all::<i64>(column) => Kind::Integer,
            true if all::<f64>(column) => Kind::Number,
            true if all::<bool>(column) => Kind::Truth,
            _ => Kind::Text,
        };
        Self { column, kind }
    }

    /// The cells of some rows.
    pub fn take(&self, rows: impl Iterator<Item = usize>) -> Series {
        let name = self.column.name.as_str().into();
        let texts = rows.map(|row| self.column.cells.get(row).text());
        match self.kind {
            Kind::Integer => Series::new(name, parsed::<i64>(texts)),
            Kind::Number => Series::new(name, parsed::<f64>(texts)),
            Kind::Truth => Series::new(name, parsed::<bool>(texts)),
            Kind::Text => Series::new(name, texts.collect::<Vec<Option<&str>>>()),
        }
    }
}

/// A column of a table as it was read, for the rows at these places, see [`InputColumn`].
pub fn column_of(column: &Column, rows: &(impl Iterator<Item = usize> + Clone)) -> Series {
    InputColumn::new(column).take(rows.clone())
}

/// Whether all values are of one type.
fn all<T: FromStr>(column: &Column) -> bool {
    column.cells.iter().filter_map(Cell::text).all(|text| text.parse::<T>().is_ok())
}

fn parsed<'t, T: FromStr>(texts: impl Iterator<Item = Option<&'t str>>) -> Vec<Option<T>> {
    texts.map(|text| text.and_then(|text| text.parse().ok())).collect()
}
