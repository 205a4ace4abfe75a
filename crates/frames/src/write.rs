//! Writing tables, by polars.

use std::{fs::File, io, path::Path};

use polars::{
    io::{csv::write::BatchedWriter as BatchedCsv, parquet::write::BatchedWriter as BatchedParquet},
    prelude::{Column as Series, CsvWriter, DataFrame, JsonFormat, JsonWriter, ParquetWriter, PolarsError, SerWriter},
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

/// A table that is written piece by piece, all with the same columns.
pub struct FrameWriter {
    pieces: Pieces,
}

enum Pieces {
    Csv(BatchedCsv<File>),
    Parquet(BatchedParquet<File>),
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
            OutputFormat::Parquet => Pieces::Parquet(ParquetWriter::new(file).batched(schema).map_err(io_error)?),
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

/// A column of a table as it was read, for the rows at these places. A column of bare numbers or truth values stays such;
/// all others are text.
pub fn column_of(column: &Column, rows: impl Iterator<Item = usize> + Clone) -> Series {
    let cells = || rows.clone().map(|row| &column.cells[row]);
    let name = column.name.as_str().into();
    let texts = || cells().map(Cell::text);
    if cells().all(|cell| matches!(cell, Cell::Empty | Cell::Bare(_))) {
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
    Series::new(name, texts().collect::<Vec<Option<&str>>>())
}

/// All values of one type, if they are.
fn parsed<'t, T: std::str::FromStr>(texts: impl Iterator<Item = Option<&'t str>>) -> Option<Vec<Option<T>>> {
    texts.map(|text| text.map(|text| text.parse().ok()).map_or(Some(None), |value| value.map(Some))).collect()
}
