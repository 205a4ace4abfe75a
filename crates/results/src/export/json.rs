//! JSON.

use std::io::{self, Write};

use super::Exporter;
use crate::table::ResultTable;

/// Writes the table itself, indented; reading it back gives an equal table.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Exporter for Json {
    fn extension(&self) -> &'static str {
        "json"
    }

    fn write(&self, table: &ResultTable, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, table)?;
        writeln!(out)
    }
}
