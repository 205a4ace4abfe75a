//! Data to standard output.

use std::io::{self, IsTerminal, Write};

use memscope_results::{
    ResultTable,
    export::{Exporter, FlatTable, Terminal},
};

use crate::messages::visible;

/// Standard output takes no more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub(crate) struct OutputError(#[from] io::Error);

/// Prints a text for people, see [`visible`]; a closed pipe is an error that [`is_closed_pipe`] recognises.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    print_data(visible(text).as_bytes())
}

/// Prints what programs read, as it is.
pub(crate) fn print_data(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    Ok(out.write_all(bytes).and_then(|()| out.flush()).map_err(OutputError)?)
}

/// Prints the help or the version that somebody asked for.
pub(crate) fn print_help(help: &clap::Error) -> anyhow::Result<()> {
    Ok(help.print().and_then(|()| io::stdout().flush()).map_err(OutputError)?)
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from).map_err(OutputError)?;
    Ok(out.write_all(b"\n").and_then(|()| out.flush()).map_err(OutputError)?)
}

/// Prints a table for people.
pub(crate) fn print_table(table: &ResultTable) -> anyhow::Result<()> {
    let mut text = vec![];
    Terminal { width: terminal_width() }.write(table, &mut text)?;
    text.push(b'\n');
    print(&String::from_utf8_lossy(&text))
}

/// Characters of a line of the terminal; `None` where standard output is none and COLUMNS is not set.
fn terminal_width() -> Option<usize> {
    const LEAST: usize = 20;
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let found = || console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    asked.or_else(|| io::stdout().is_terminal().then(found).flatten()).map(|width: usize| width.max(LEAST))
}

/// The tables of a command: printed one by one for people, as one document of JSON for programs.
pub(crate) struct Tables {
    json: bool,
    held: Vec<FlatTable>,
}

impl Tables {
    /// `json`: hold them until [`Tables::finish`].
    pub(crate) fn new(json: bool) -> Self {
        Self { json, held: vec![] }
    }

    /// Prints a table, or holds it for the document.
    pub(crate) fn add(&mut self, table: &ResultTable) -> anyhow::Result<()> {
        if self.json {
            self.held.push(FlatTable::new(table));
            return Ok(());
        }
        print_table(table)
    }

    /// Prints the document `{"tables": [...]}`; nothing for people.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        if self.json { print_json(&serde_json::json!({ "tables": self.held })) } else { Ok(()) }
    }
}

/// Whether the reader of our output went away, as `head` does: not an error.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |OutputError(error): &OutputError| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().filter_map(|cause| cause.downcast_ref()).any(closed)
}

/// An error with its causes, each said once.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}
