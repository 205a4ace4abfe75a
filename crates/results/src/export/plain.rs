//! A table as words, for pages that bring their own layout.

use super::layout::{Entry, Layout, Mark, Shown};
use crate::table::ResultTable;
use crate::written::with_minus;

/// A table whose cells are texts.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainTable {
    /// Title.
    pub title: String,
    /// Headings with units.
    pub headers: Vec<String>,
    /// Cells, row by row.
    pub rows: Vec<Vec<PlainCell>>,
    /// Lines under the table: mark and text.
    pub notes: Vec<(String, String)>,
    /// Where the numbers come from: key and value.
    pub provenance: Vec<(String, String)>,
}

/// A cell as text.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainCell {
    /// What is shown, spread included.
    pub text: String,
    /// The spread at its end, with a space before it; empty where there is none.
    pub spread: String,
    /// The main number, where there is one.
    pub number: Option<f64>,
    /// Marks of the lines under the table.
    pub marks: Vec<String>,
    /// Whether there is no value.
    pub missing: bool,
}

impl PlainTable {
    /// The same cells and marks as in Markdown; numbers with the minus sign.
    pub fn new(table: &ResultTable) -> Self {
        let layout = Layout::new(table);
        let cell = |(entry, cell): (&Entry, &crate::table::Cell)| PlainCell {
            text: match entry.shown {
                Shown::Number { .. } => with_minus(&entry.shown.plain()),
                Shown::Text(_) | Shown::Missing => entry.shown.plain(),
            },
            spread: with_minus(&entry.shown.spread()),
            number: cell.value.number(),
            marks: entry.marks.iter().map(|mark| sign(*mark)).collect(),
            missing: matches!(entry.shown, Shown::Missing),
        };
        Self {
            title: layout.title.clone(),
            headers: layout.headers.iter().map(|(header, _)| header.clone()).collect(),
            rows: layout.rows.iter().zip(table.rows()).map(|(a, b)| a.iter().zip(b).map(cell).collect()).collect(),
            notes: layout.notes.iter().map(|(mark, text)| (sign(*mark), text.clone())).collect(),
            provenance: table.provenance().iter().map(|o| (o.key.clone(), o.value.clone())).collect(),
        }
    }
}

fn sign(mark: Mark) -> String {
    match mark {
        Mark::Note(number) => number.to_string(),
        Mark::Quoted => "†".to_owned(),
    }
}
