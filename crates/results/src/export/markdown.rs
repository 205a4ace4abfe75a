//! GitHub-flavoured Markdown.

use std::io::{self, Write};

use super::Exporter;
use super::layout::{Align, Entry, Layout, Mark, one_line};
use crate::table::ResultTable;

/// Writes a heading, a pipe table, its notes, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Markdown;

impl Exporter for Markdown {
    fn extension(&self) -> &'static str {
        "md"
    }

    fn write(&self, table: &ResultTable, out: &mut dyn Write) -> io::Result<()> {
        let layout = Layout::new(table);
        writeln!(out, "## {}\n", escape(&layout.title))?;
        row(out, layout.headers.iter().map(|(header, _)| escape(header)))?;
        row(
            out,
            layout.headers.iter().map(|(_, align)| {
                let rule = match align {
                    Align::Left => "---",
                    Align::Right => "---:",
                };
                rule.to_owned()
            }),
        )?;
        for cells in &layout.rows {
            row(out, cells.iter().map(entry))?;
        }
        for (mark, note) in &layout.notes {
            writeln!(out, "\n{} {}", sign(*mark), escape(note))?;
        }
        if !layout.provenance.is_empty() {
            writeln!(out)?;
        }
        for origin in layout.provenance {
            writeln!(out, "- {}: {}", escape(&one_line(&origin.key)), escape(&one_line(&origin.value)))?;
        }
        Ok(())
    }
}

fn row(out: &mut dyn Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    write!(out, "|")?;
    for cell in cells {
        write!(out, " {cell} |")?;
    }
    writeln!(out)
}

fn entry(entry: &Entry) -> String {
    let marks: String = entry.marks.iter().map(|&mark| sign(mark)).collect();
    escape(&entry.shown.plain()) + &marks
}

fn sign(mark: Mark) -> String {
    match mark {
        Mark::Note(number) => format!("<sup>{number}</sup>"),
        Mark::Quoted => "†".to_owned(),
    }
}

/// Puts a backslash before every character that could start inline markup, HTML, an entity or a new cell.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '#') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
