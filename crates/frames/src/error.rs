//! What can be wrong with a table.

use std::{io, path::PathBuf};

/// The result of reading or writing a table.
pub type Result<T> = std::result::Result<T, Error>;

/// What is wrong with a table, where, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder, pipe or device where a file belongs.
    #[error("{path} is {what}, not a file; give a regular file")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The file is larger than what is read.
    #[error("{file} has {bytes} bytes; at most {most} are read; split it")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// The name's ending says a format that is not read.
    #[error(
        "{file}: files that end in .{extension} are not read; use .txt (one prompt a line), .csv, .tsv, .jsonl, .json or .parquet"
    )]
    Extension {
        /// The file.
        file: String,
        /// What its name ends in.
        extension: String,
    },
    /// The text is not of its form.
    #[error("{file}: {reason}")]
    Form {
        /// The file.
        file: String,
        /// What is wrong, where, and how to mend it.
        reason: String,
    },
    /// No column has the name.
    #[error("{file} has no column {wanted}; its columns are {columns}; choose one with {flag}")]
    NoColumn {
        /// The file.
        file: String,
        /// The name or names looked for.
        wanted: String,
        /// What there is.
        columns: String,
        /// The option that names a column.
        flag: String,
    },
    /// Several columns could be meant.
    #[error("{file} has several columns that may be meant: {columns}; choose one with {flag}")]
    SeveralColumns {
        /// The file.
        file: String,
        /// Their names.
        columns: String,
        /// The option that names a column.
        flag: String,
    },
    /// A cell does not hold what its column should.
    #[error("{file}: row {row}, column '{column}': {found}; expected {expected}")]
    Value {
        /// The file.
        file: String,
        /// The row, counted from 1 without the header.
        row: usize,
        /// The column.
        column: String,
        /// What is there.
        found: String,
        /// What belongs there.
        expected: String,
    },
    /// The name of an output file has no known ending.
    #[error("{path}: the name of an output table must end in .csv, .parquet or .jsonl")]
    OutputExtension {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    pub(crate) fn form(file: &str, reason: impl Into<String>) -> Self {
        Self::Form { file: file.to_owned(), reason: reason.into() }
    }
}
