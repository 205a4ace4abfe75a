//! What Markdown, LaTeX and text share: cells as strings and footnotes numbered.

use std::collections::HashMap;

use crate::stats::Interval;
use crate::table::{CellValue, Column, ColumnKind, Emphasis, Origin, ResultTable};
use crate::written::{bounded, decimals_of, fixed, p_value};

/// Said once under a table that shows quoted numbers.
const QUOTED: &str = "quoted by the paper from Jeon et al. (2025)";

/// Where a column's cells line up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A sign after a value that leads to a line under the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Footnote by number, from 1.
    Note(usize),
    /// The dagger of quoted numbers.
    Quoted,
}

/// A cell ready to be escaped.
pub(super) enum Shown {
    /// One line of text.
    Text(String),
    /// A number with its spread.
    Number { value: String, std: Option<String>, interval: Option<(String, String)> },
    /// No value.
    Missing,
}

/// A shown cell and its marks.
pub(super) struct Entry {
    pub(super) shown: Shown,
    pub(super) marks: Vec<Mark>,
    pub(super) emphasis: Option<Emphasis>,
}

/// A table ready to be written.
pub(super) struct Layout<'a> {
    pub(super) title: String,
    pub(super) headers: Vec<(String, Align)>,
    pub(super) rows: Vec<Vec<Entry>>,
    /// Lines under the table, in the order of their marks.
    pub(super) notes: Vec<(Mark, String)>,
    pub(super) provenance: &'a [Origin],
}

impl<'a> Layout<'a> {
    pub(super) fn new(table: &'a ResultTable) -> Self {
        let headers = table.columns().iter().map(|column| {
            let align = if column.kind == ColumnKind::Text { Align::Left } else { Align::Right };
            (one_line(&column.label()), align)
        });
        // Reasons for missing cells follow the table's own footnotes, each once.
        let mut notes: Vec<String> = table.footnotes().iter().map(|note| one_line(note)).collect();
        let own = notes.len();
        let mut quotes = false;
        let mut rows = Vec::with_capacity(table.rows().len());
        for cells in table.rows() {
            let mut row = Vec::with_capacity(cells.len());
            for (column, cell) in table.columns().iter().zip(cells) {
                let mut marks: Vec<Mark> = cell.notes.iter().map(|note| Mark::Note(note.index() + 1)).collect();
                match &cell.value {
                    CellValue::Missing { reason } => {
                        let reason = one_line(reason);
                        let known = notes[own..].iter().position(|note| *note == reason);
                        let index = known.map_or(notes.len(), |index| own + index);
                        if known.is_none() {
                            notes.push(reason);
                        }
                        marks.push(Mark::Note(index + 1));
                    }
                    CellValue::Paper { quoted: true, .. } => {
                        marks.insert(0, Mark::Quoted);
                        quotes = true;
                    }
                    _ => {}
                }
                row.push(Entry { shown: show(column, &cell.value), marks, emphasis: cell.emphasis });
            }
            rows.push(row);
        }
        let quoted = quotes.then(|| (Mark::Quoted, QUOTED.to_owned()));
        let numbered = notes.into_iter().enumerate().map(|(index, note)| (Mark::Note(index + 1), note));
        Self {
            title: one_line(table.title()),
            headers: headers.collect(),
            rows,
            notes: quoted.into_iter().chain(numbered).collect(),
            provenance: table.provenance(),
        }
    }
}

impl Layout<'_> {
    /// Leaves out columns in which no row has a value, and the notes that only they referred to.
    pub(super) fn drop_empty_columns(&mut self) {
        let empty = |entry: &Entry| match &entry.shown {
            Shown::Text(text) => text.is_empty(),
            Shown::Missing => true,
            Shown::Number { .. } => false,
        };
        let kept = |column: &usize| self.rows.is_empty() || !self.rows.iter().all(|row| empty(&row[*column]));
        let kept: Vec<bool> = (0..self.headers.len()).map(|column| kept(&column)).collect();
        let mut at = kept.iter();
        self.headers.retain(|_| *at.next().unwrap_or(&true));
        for row in &mut self.rows {
            let mut at = kept.iter();
            row.retain(|_| *at.next().unwrap_or(&true));
        }
        self.renumber_notes();
    }

    /// Notes that a cell refers to, numbered from 1 in their order.
    fn renumber_notes(&mut self) {
        let marks = || self.rows.iter().flatten().flat_map(|entry| entry.marks.iter());
        let mut notes = std::mem::take(&mut self.notes);
        notes.retain(|(mark, _)| marks().any(|used| used == mark));
        let mut new = HashMap::new();
        for (mark, _) in &mut notes {
            if let Mark::Note(number) = mark {
                let next = new.len() + 1;
                new.insert(*number, next);
                *number = next;
            }
        }
        for mark in self.rows.iter_mut().flatten().flat_map(|entry| entry.marks.iter_mut()) {
            if let Mark::Note(number) = mark {
                *number = new.get(number).copied().unwrap_or(*number);
            }
        }
        self.notes = notes;
    }
}

impl Shown {
    /// The cell as plain text, before marks.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number { value, .. } => format!("{value}{}", self.spread()),
            Self::Missing => "–".to_owned(),
        }
    }

    /// The spread of a number, with a space before it; nothing where there is none.
    pub(super) fn spread(&self) -> String {
        let Self::Number { std, interval, .. } = self else { return String::new() };
        let std = std.as_ref().map_or(String::new(), |std| format!(" ± {std}"));
        let interval = interval.as_ref().map_or(String::new(), |(low, high)| format!(" [{low}, {high}]"));
        std + &interval
    }
}

fn show(column: &Column, value: &CellValue) -> Shown {
    let number = |value: f64, std: Option<f64>, interval: Option<Interval>, decimals: u8| {
        let decimals = interval.map_or(decimals, |range| decimals_of(range, decimals));
        Shown::Number {
            value: fixed(value, decimals),
            std: std.map(|std| fixed(std, decimals)),
            interval: interval.map(|range| (fixed(range.low, decimals), fixed(range.high, decimals))),
        }
    };
    match *value {
        CellValue::Text { ref text } => Shown::Text(one_line(text)),
        CellValue::Integer { value } => Shown::Number { value: value.to_string(), std: None, interval: None },
        CellValue::Number { value, decimals } => {
            let value = if column.holds_p() { p_value(value) } else { bounded(value, decimals) };
            Shown::Number { value, std: None, interval: None }
        }
        CellValue::Measured { value, std, interval, decimals } => number(value, std, interval, decimals),
        CellValue::Paper { value, std, decimals, .. } => number(value, std, None, decimals),
        CellValue::Missing { .. } => Shown::Missing,
    }
}

/// Text on one line: runs of white space become one space, and control characters, which could steer a terminal, the
/// replacement character.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
