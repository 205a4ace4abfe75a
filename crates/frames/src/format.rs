//! Which form a file has: by its name's ending, and for `.json` by its first character.

use std::path::Path;

use crate::error::{Error, Result};

/// The form of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One prompt a line.
    Lines,
    /// Values with a delimiter and a header; the delimiter is found in the header.
    Csv,
    /// Values with tabs and a header.
    Tsv,
    /// One JSON object (or text) a line.
    JsonLines,
    /// A JSON array of objects or texts, or JSON lines.
    Json,
    /// Apache Parquet.
    Parquet,
}

/// Endings of plain lists.
const TEXT: &[&str] = &["txt", "text", "lst", "list", "prompts", "prompt", "md"];

impl Format {
    /// The form that a file's name says, in any case. A name without an ending is a plain list.
    ///
    /// # Errors
    /// [`Error::Extension`] where the ending belongs to none of the forms.
    pub fn of(path: &Path) -> Result<Self> {
        let Some(extension) = path.extension() else { return Ok(Self::Lines) };
        let lower = extension.to_string_lossy().to_lowercase();
        Ok(match lower.as_str() {
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "jsonl" | "ndjson" | "jsonlines" => Self::JsonLines,
            "json" => Self::Json,
            "parquet" | "pq" => Self::Parquet,
            text if TEXT.contains(&text) => Self::Lines,
            _ => return Err(Error::Extension { file: path.display().to_string(), extension: lower }),
        })
    }
}
