//! Aligned plain text.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::Exporter;
use super::layout::{Align, Entry, Layout, Mark, one_line};
use crate::table::ResultTable;

/// Blanks between columns.
const GAP: usize = 2;

/// Characters of a cell at most: one long prompt would make every line as wide.
const MOST_IN_CELL: usize = 100;

/// Characters of the title, a note or a line of provenance at most.
const MOST_IN_LINE: usize = 1_000;

/// Writes columns aligned by the width that terminals give each character; no colour.
#[derive(Debug, Clone, Copy)]
pub struct Terminal;

impl Exporter for Terminal {
    fn extension(&self) -> &'static str {
        "txt"
    }

    fn write(&self, table: &ResultTable, out: &mut dyn Write) -> io::Result<()> {
        let layout = Layout::new(table);
        let headers: Vec<String> = layout.headers.iter().map(|(header, _)| cut(header, MOST_IN_CELL)).collect();
        let rows: Vec<Vec<String>> = layout.rows.iter().map(|cells| cells.iter().map(entry).collect()).collect();
        let widths: Vec<usize> = (0..headers.len())
            .map(|column| {
                let cells = rows.iter().map(|row| row[column].width());
                cells.fold(headers[column].width(), usize::max)
            })
            .collect();
        let aligns: Vec<Align> = layout.headers.iter().map(|(_, align)| *align).collect();

        writeln!(out, "{}\n", cut(&layout.title, MOST_IN_LINE))?;
        line(out, &headers, &widths, &aligns)?;
        let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
        line(out, &rule, &widths, &aligns)?;
        for row in &rows {
            line(out, row, &widths, &aligns)?;
        }
        if !layout.notes.is_empty() {
            writeln!(out)?;
        }
        for (mark, note) in &layout.notes {
            writeln!(out, "{} {}", sign(*mark), cut(note, MOST_IN_LINE))?;
        }
        if !layout.provenance.is_empty() {
            writeln!(out)?;
        }
        for origin in layout.provenance {
            let (key, value) = (one_line(&origin.key), one_line(&origin.value));
            writeln!(out, "{}: {}", cut(&key, MOST_IN_LINE), cut(&value, MOST_IN_LINE))?;
        }
        Ok(())
    }
}

fn line(out: &mut dyn Write, cells: &[String], widths: &[usize], aligns: &[Align]) -> io::Result<()> {
    let mut text = String::new();
    for (column, cell) in cells.iter().enumerate() {
        let blanks = " ".repeat(widths[column] - cell.width());
        if column > 0 {
            text.push_str(&" ".repeat(GAP));
        }
        match aligns[column] {
            Align::Left => text.extend([cell.as_str(), &blanks]),
            Align::Right => text.extend([&blanks, cell.as_str()]),
        }
    }
    writeln!(out, "{}", text.trim_end())
}

fn entry(entry: &Entry) -> String {
    let marks: String = entry.marks.iter().map(|&mark| sign(mark)).collect();
    cut(&entry.shown.plain(), MOST_IN_CELL) + &marks
}

/// The beginning of a text that is longer than `most` characters.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn sign(mark: Mark) -> String {
    match mark {
        Mark::Note(number) => format!("[{number}]"),
        Mark::Quoted => "†".to_owned(),
    }
}
