//! Result tables as files and as text: one format per file behind [`Exporter`].

mod csv;
mod flat;
mod format;
mod json;
mod latex;
mod layout;
mod markdown;
mod plain;
mod set;
mod terminal;

use std::io::{self, Write};

pub use crate::export_error::ExportError;
pub use csv::Csv;
pub use flat::FlatTable;
pub use format::{Format, UnknownFormat};
pub use json::Json;
pub use latex::Latex;
pub use markdown::Markdown;
pub use plain::{PlainCell, PlainTable};
pub use set::ExportSet;
pub use terminal::Terminal;

use crate::table::ResultTable;

/// Writes a result table in one format.
pub trait Exporter {
    /// File name extension, without the dot.
    fn extension(&self) -> &'static str;

    /// Writes the whole table; the output ends with a line break.
    ///
    /// # Errors
    /// The output takes no more.
    fn write(&self, table: &ResultTable, out: &mut dyn Write) -> io::Result<()>;
}
