//! Opening a file and choosing its reader.

use std::{fs::File, io::Read, path::Path};

use crate::{
    csv_text,
    error::{Error, Result},
    format::Format,
    json, parquet,
    table::{Columns, Table},
    text,
};

/// Bytes of a table that are read at most.
pub const MOST_BYTES: u64 = 256 << 20;

/// Reads a table in the form that the file's name says.
///
/// # Errors
/// Anything but a regular file of at most [`MOST_BYTES`] in its form, with the place where it is not.
pub fn read_table(path: &Path, columns: Columns) -> Result<Table> {
    let format = Format::of(path)?;
    let (file, length) = open(path)?;
    let name = path.display().to_string();
    if length > MOST_BYTES {
        return Err(Error::TooLarge { file: name, bytes: length, most: MOST_BYTES });
    }
    if format == Format::Parquet {
        return parquet::read(&name, file, columns);
    }
    let mut bytes = Vec::with_capacity(length as usize);
    // A file may grow while it is read.
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    read_bytes(&name, &bytes, format)
}

/// Reads a table from memory; `file` is what messages call it. Parquet is read from files only.
///
/// # Errors
/// As [`read_table`].
pub fn read_bytes(file: &str, bytes: &[u8], format: Format) -> Result<Table> {
    let text = text::decode(file, bytes, format)?;
    match format {
        Format::Lines => {
            csv_text::refuse_table(file, &text)?;
            text::list(file, &text)
        }
        Format::Csv => csv_text::read(file, &text, None),
        Format::Tsv => csv_text::read(file, &text, Some(b'\t')),
        Format::JsonLines => json::read_lines(file, &text),
        Format::Json => json::read_array(file, &text),
        Format::Parquet => Err(Error::form(file, "is read as a file only")),
    }
}

/// Opens a regular file, or says what is there instead. Nothing else is opened: a pipe would wait for a writer.
fn open(path: &Path) -> Result<(File, u64)> {
    let fail = |source| Error::Read { path: path.to_owned(), source };
    let meta = std::fs::metadata(path).map_err(fail)?;
    if !meta.is_file() {
        let what = if meta.is_dir() { "a folder" } else { "a pipe or a device" };
        return Err(Error::NotAFile { path: path.to_owned(), what });
    }
    Ok((File::open(path).map_err(fail)?, meta.len()))
}
