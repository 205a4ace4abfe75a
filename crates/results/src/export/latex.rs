//! LaTeX with `booktabs`.

use std::io::{self, Write};

use super::Exporter;
use super::layout::{Align, Entry, Layout, Mark, Shown, one_line};
use crate::table::{Emphasis, ResultTable};

/// Writes a `table` environment, or `table*` over both columns of a page where there are many columns; a wider one is
/// scaled down to the page. Notes stand below it, provenance and the packages that it needs as comments above it. Compiles
/// with pdflatex as it is: signs outside its fonts become commands, letters that have none their code point. A column
/// without any value is left out. The best number is bold and the second underlined only where the table says that they
/// stand out.
#[derive(Debug, Clone, Copy)]
pub struct Latex;

/// Makes what follows as narrow as its column of the page where it is wider.
const FIT: &str = r"\setlength{\tabcolsep}{4pt}\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}";

/// The most columns that fit one column of a two-column page.
const NARROW: usize = 5;

impl Exporter for Latex {
    fn extension(&self) -> &'static str {
        "tex"
    }

    fn write(&self, table: &ResultTable, out: &mut dyn Write) -> io::Result<()> {
        let mut layout = Layout::new(table);
        layout.drop_empty_columns();
        let environment = if layout.headers.len() > NARROW { "table*" } else { "table" };
        let packages = "\\usepackage[T1]{fontenc} \\usepackage{booktabs} \\usepackage{graphicx} \\usepackage{textcomp}";
        writeln!(out, "% {packages}")?;
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
        writeln!(out, "\\begin{{{environment}}}")?;
        writeln!(out, "  \\centering\\small")?;
        writeln!(out, "  \\caption{{{}}}", escape(&layout.title))?;
        writeln!(out, "  \\label{{tab:{}}}", table.name())?;
        writeln!(out, "  {FIT}{{%")?;
        writeln!(out, "  \\begin{{tabular}}{{{columns}}}")?;
        writeln!(out, "    \\toprule")?;
        row(out, layout.headers.iter().map(|(header, _)| escape(header)))?;
        writeln!(out, "    \\midrule")?;
        for cells in &layout.rows {
            row(out, cells.iter().map(entry))?;
        }
        writeln!(out, "    \\bottomrule")?;
        writeln!(out, "  \\end{{tabular}}}}")?;
        let emphasis: Vec<Emphasis> = layout.rows.iter().flatten().filter_map(|entry| entry.emphasis).collect();
        if !layout.notes.is_empty() || !emphasis.is_empty() {
            writeln!(out, "  \\par\\smallskip\\footnotesize\\raggedright")?;
        }
        if !emphasis.is_empty() {
            let second =
                if emphasis.contains(&Emphasis::Second) { ", underlined: ahead of all but the best" } else { "" };
            writeln!(out, "  Bold: ahead of all others{second}; each paired 95\\,\\% interval excludes 0.\\par")?;
        }
        for (mark, note) in &layout.notes {
            writeln!(out, "  {} {}\\par", sign(*mark), escape(note))?;
        }
        writeln!(out, "\\end{{{environment}}}")
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
            let value = match entry.emphasis {
                Some(Emphasis::Best) => format!("\\mathbf{{{value}}}"),
                Some(Emphasis::Second) => format!("\\underline{{{value}}}"),
                None => value.clone(),
            };
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
            c if c.is_ascii() => escaped.push(c),
            c => escaped.push_str(&beyond_ascii(c)),
        }
    }
    escaped
}

/// A sign that pdflatex has as a command; else the letter itself where its T1 fonts have it, or its code point.
fn beyond_ascii(c: char) -> String {
    let math = |command: &str| format!("${command}$");
    match c {
        '\u{a0}' => "~".to_owned(),
        '\u{2212}' => math("-"),
        '\u{2013}' => "--".to_owned(),
        '\u{2014}' => "---".to_owned(),
        '\u{2018}' => "`".to_owned(),
        '\u{2019}' => "'".to_owned(),
        '\u{201c}' => "``".to_owned(),
        '\u{201d}' => "''".to_owned(),
        '\u{2026}' => "\\ldots{}".to_owned(),
        '\u{2264}' => math("\\le"),
        '\u{2265}' => math("\\ge"),
        '\u{2016}' => math("\\|"),
        '\u{221a}' => math("\\surd"),
        '\u{2202}' => math("\\partial"),
        '\u{2207}' => math("\\nabla"),
        '\u{2192}' => math("\\to"),
        '\u{b1}' => math("\\pm"),
        '\u{d7}' => math("\\times"),
        '\u{b7}' => math("\\cdot"),
        '\u{b2}' => math("^2"),
        '\u{b3}' => math("^3"),
        '\u{2082}' => math("_2"),
        '\u{394}' => math("\\Delta"),
        '\u{3b1}' => math("\\alpha"),
        '\u{3b2}' => math("\\beta"),
        '\u{3b3}' => math("\\gamma"),
        '\u{3b5}' => math("\\epsilon"),
        '\u{3b8}' => math("\\theta"),
        '\u{3bb}' => math("\\lambda"),
        '\u{3c0}' => math("\\pi"),
        '\u{3c1}' => math("\\rho"),
        '\u{3c3}' => math("\\sigma"),
        '\u{3c4}' => math("\\tau"),
        c if c.is_alphabetic() && c < '\u{180}' => c.to_string(),
        c => format!("{{[}}U+{:04X}{{]}}", u32::from(c)),
    }
}
