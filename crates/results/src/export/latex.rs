//! LaTeX with `booktabs`.

use std::io::{self, Write};

use super::Exporter;
use super::layout::{Align, Entry, Layout, Mark, Shown, one_line};
use crate::table::ResultTable;

/// Writes a `table` environment (needs the `booktabs` package), notes below it, provenance as comments above it.
/// Letters outside ASCII stay as they are, for an engine that reads UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct Latex;

impl Exporter for Latex {
    fn extension(&self) -> &'static str {
        "tex"
    }

    fn write(&self, table: &ResultTable, out: &mut dyn Write) -> io::Result<()> {
        let layout = Layout::new(table);
        for origin in layout.provenance {
            writeln!(out, "% {}: {}", one_line(&origin.key), one_line(&origin.value))?;
        }
        let columns: String = layout
            .headers
            .iter()
            .map(|(_, align)| match align {
                Align::Left => 'l',
                Align::Right => 'r',
            })
            .collect();
        writeln!(out, "\\begin{{table}}")?;
        writeln!(out, "  \\centering")?;
        writeln!(out, "  \\caption{{{}}}", escape(&layout.title))?;
        writeln!(out, "  \\label{{tab:{}}}", table.name())?;
        writeln!(out, "  \\begin{{tabular}}{{{columns}}}")?;
        writeln!(out, "    \\toprule")?;
        row(out, layout.headers.iter().map(|(header, _)| escape(header)))?;
        writeln!(out, "    \\midrule")?;
        for cells in &layout.rows {
            row(out, cells.iter().map(entry))?;
        }
        writeln!(out, "    \\bottomrule")?;
        writeln!(out, "  \\end{{tabular}}")?;
        if !layout.notes.is_empty() {
            writeln!(out, "  \\par\\footnotesize")?;
        }
        for (mark, note) in &layout.notes {
            writeln!(out, "  {} {}\\par", sign(*mark), escape(note))?;
        }
        writeln!(out, "\\end{{table}}")
    }
}

fn row(out: &mut dyn Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    let cells: Vec<String> = cells.collect();
    writeln!(out, "    {} \\\\", cells.join(" & "))
}

fn entry(entry: &Entry) -> String {
    let shown = match &entry.shown {
        Shown::Text(text) => escape(text),
        // Mathematics sets a true minus sign.
        Shown::Number { value, std, interval } => {
            let std = std.as_ref().map_or(String::new(), |std| format!(" \\pm {std}"));
            let interval = interval.as_ref().map_or(String::new(), |(low, high)| format!("\\ [{low}, {high}]"));
            format!("${value}{std}{interval}$")
        }
        Shown::Missing => "--".to_owned(),
    };
    let marks: String = entry.marks.iter().map(|&mark| sign(mark)).collect();
    shown + &marks
}

fn sign(mark: Mark) -> String {
    match mark {
        Mark::Note(number) => format!("\\textsuperscript{{{number}}}"),
        Mark::Quoted => "\\textsuperscript{\\textdagger}".to_owned(),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' => escaped.push_str("\\textless{}"),
            '>' => escaped.push_str("\\textgreater{}"),
            '|' => escaped.push_str("\\textbar{}"),
            '{' | '}' | '$' | '&' | '#' | '_' | '%' => escaped.extend(['\\', c]),
            // After the `\\` that ends a row, a star or a bracket would be read as its argument.
            '[' | ']' | '*' => escaped.extend(['{', c, '}']),
            // Keeps `--`, `` `` `` and `''` from becoming dashes and quotes.
            '-' | '`' | '\'' if escaped.ends_with(c) => escaped.extend(['{', '}', c]),
            _ => escaped.push(c),
        }
    }
    escaped
}
