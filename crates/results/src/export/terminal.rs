//! Aligned plain text.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::Exporter;
use super::layout::{Align, Entry, Layout, Mark, Shown, one_line};
use crate::table::{ColumnKind, ResultTable};

/// Blanks between columns.
const GAP: usize = 2;

/// Characters of a cell at most: one long prompt would make every line as wide.
const MOST_IN_CELL: usize = 100;

/// Characters of a text in a table that would be too wide otherwise.
const SHORT_CELL: usize = 32;

/// Characters of the title, a note or a line of provenance at most.
const MOST_IN_LINE: usize = 1_000;

/// Columns that go first where there is too little room: a second reading of the TPR, a second test.
const DETAILS: [&str; 2] = ["tpr_reference", "auc_delong_p"];

/// Writes columns aligned by the width that terminals give each character; no colour.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Characters of a line; a table that is wider is shown with less: what is the same in every row stands above it,
    /// then details, spreads and the last columns go, and a line says so. `None` for any width.
    pub width: Option<usize>,
}

impl Exporter for Terminal {
    fn extension(&self) -> &'static str {
        "txt"
    }

    fn write(&self, table: &ResultTable, out: &mut dyn Write) -> io::Result<()> {
        let layout = Layout::new(table);
        let mut grid = Grid::new(table, &layout);
        if let Some(width) = self.width {
            grid.fit(width);
        }
        let wrapped = |text: &str| match self.width {
            Some(width) => wrap(text, width),
            None => text.to_owned(),
        };
        writeln!(out, "{}\n", wrapped(&cut(&layout.title, MOST_IN_LINE)))?;
        for line in &grid.above {
            writeln!(out, "{}", wrapped(line))?;
        }
        if !grid.above.is_empty() {
            writeln!(out)?;
        }
        grid.write(out)?;
        let notes: Vec<_> = layout.notes.iter().filter(|(mark, _)| grid.shows(*mark)).collect();
        if !notes.is_empty() || grid.has_less() {
            writeln!(out)?;
        }
        if let Some(line) = grid.left_out() {
            writeln!(out, "{}", wrapped(&line))?;
        }
        for (mark, note) in notes {
            writeln!(out, "{}", wrapped(&format!("{} {}", sign(*mark), cut(note, MOST_IN_LINE))))?;
        }
        if !layout.provenance.is_empty() {
            writeln!(out)?;
        }
        for origin in layout.provenance {
            let (key, value) = (one_line(&origin.key), one_line(&origin.value));
            writeln!(out, "{}", wrapped(&format!("{}: {}", cut(&key, MOST_IN_LINE), cut(&value, MOST_IN_LINE))))?;
        }
        Ok(())
    }
}

/// The cells of a table as texts, and what was left out of them.
struct Grid {
    columns: Vec<Shape>,
    /// What is the same in every row.
    above: Vec<String>,
    dropped: Vec<String>,
    /// What numbers are shown without.
    without: Option<&'static str>,
}

/// A column.
struct Shape {
    key: String,
    kind: ColumnKind,
    header: String,
    align: Align,
    /// With its spread and marks; with its interval only; the value alone.
    cells: Vec<[String; 3]>,
    marks: Vec<Vec<Mark>>,
}

impl Shape {
    fn width(&self) -> usize {
        self.cells.iter().map(|[cell, ..]| cell.width()).fold(self.header.width(), usize::max)
    }

    fn is_constant(&self) -> bool {
        self.cells.len() > 1 && self.cells.iter().all(|[cell, ..]| *cell == self.cells[0][0])
    }
}

impl Grid {
    fn new(table: &ResultTable, layout: &Layout) -> Self {
        let column = |(at, column): (usize, &crate::table::Column)| Shape {
            key: column.key.clone(),
            kind: column.kind,
            header: cut(&layout.headers[at].0, MOST_IN_CELL),
            align: layout.headers[at].1,
            cells: layout.rows.iter().map(|row| entry(&row[at])).collect(),
            marks: layout.rows.iter().map(|row| row[at].marks.clone()).collect(),
        };
        let columns = table.columns().iter().enumerate().map(column).collect();
        Self { columns, above: vec![], dropped: vec![], without: None }
    }

    fn width(&self) -> usize {
        self.columns.iter().map(Shape::width).sum::<usize>() + GAP * self.columns.len().saturating_sub(1)
    }

    fn drop_where(&mut self, gone: impl Fn(&Shape) -> bool) {
        let (gone, kept) = std::mem::take(&mut self.columns).into_iter().partition(|column| gone(column));
        let gone: Vec<Shape> = gone;
        self.columns = kept;
        self.dropped.extend(gone.into_iter().map(|column| column.key));
    }

    /// Shows less until a line has `width` characters; one column of names and one of numbers stay.
    fn fit(&mut self, width: usize) {
        if self.width() <= width {
            return;
        }
        let constant = |column: &Shape| column.kind == ColumnKind::Text && column.is_constant();
        for column in self.columns.iter().filter(|column| constant(column)) {
            let [cell, ..] = &column.cells[0];
            if !cell.is_empty() && !column.header.is_empty() && column.cells[0][2] != "–" {
                self.above.push(format!("{}: {cell}", column.header));
            }
        }
        if self.columns.iter().any(|column| !constant(column)) {
            self.columns.retain(|column| !constant(column));
        }
        if self.width() > width {
            self.drop_where(|column| {
                DETAILS.contains(&&*column.key) || column.cells.iter().all(|[.., c]| c.starts_with('–'))
            });
        }
        if self.width() > width {
            self.shorten(1);
        }
        if self.width() > width {
            self.drop_where(|column| column.kind == ColumnKind::Paper || column.key.starts_with("paper"));
        }
        if self.width() > width {
            self.shorten(2);
        }
        while self.width() > width && self.columns.len() > 2 {
            if let Some(last) = self.columns.pop() {
                self.dropped.push(last.key);
            }
        }
    }

    /// Shows texts cut, and numbers without what stands before this place in [`Shape::cells`].
    fn shorten(&mut self, place: usize) {
        for column in &mut self.columns {
            for (cells, marks) in column.cells.iter_mut().zip(&mut column.marks) {
                if column.kind == ColumnKind::Text {
                    cells[0] = cut(&cells[0], SHORT_CELL);
                    continue;
                }
                if column.kind == ColumnKind::Measured && cells[0] != cells[place] {
                    self.without = Some(if place == 1 { "standard deviations" } else { "spreads and intervals" });
                }
                let (shown, others) = cells.split_at_mut(1);
                shown[0].clone_from(&others[place - 1]);
                marks.clear();
            }
        }
    }

    fn shows(&self, mark: Mark) -> bool {
        self.columns.iter().flat_map(|column| &column.marks).any(|marks| marks.contains(&mark))
    }

    fn has_less(&self) -> bool {
        self.without.is_some() || !self.dropped.is_empty()
    }

    fn left_out(&self) -> Option<String> {
        let mut parts = self.dropped.clone();
        parts.extend(self.without.map(str::to_owned));
        (!parts.is_empty())
            .then(|| format!("Not shown for want of room: {}; the files and --json have them.", parts.join(", ")))
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let widths: Vec<usize> = self.columns.iter().map(Shape::width).collect();
        let line = |out: &mut dyn Write, cells: Vec<&str>| {
            let mut text = String::new();
            for (at, cell) in cells.into_iter().enumerate() {
                let blanks = " ".repeat(widths[at].saturating_sub(cell.width()));
                if at > 0 {
                    text.push_str(&" ".repeat(GAP));
                }
                match self.columns[at].align {
                    Align::Left => text.extend([cell, &blanks]),
                    Align::Right => text.extend([&*blanks, cell]),
                }
            }
            writeln!(out, "{}", text.trim_end())
        };
        line(out, self.columns.iter().map(|column| &*column.header).collect())?;
        let rules: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
        line(out, rules.iter().map(String::as_str).collect())?;
        let rows = self.columns.first().map_or(0, |column| column.cells.len());
        (0..rows).try_for_each(|row| line(out, self.columns.iter().map(|column| &*column.cells[row][0]).collect()))
    }
}

/// The forms of a cell, see [`Shape::cells`].
fn entry(entry: &Entry) -> [String; 3] {
    let marks: String = entry.marks.iter().map(|&mark| sign(mark)).collect();
    let (interval, bare) = match &entry.shown {
        Shown::Number { value, interval: Some((low, high)), .. } => (format!("{value} [{low}, {high}]"), value.clone()),
        Shown::Number { value, .. } => (value.clone(), value.clone()),
        other => (other.plain(), other.plain()),
    };
    [cut(&entry.shown.plain(), MOST_IN_CELL) + &marks, cut(&interval, MOST_IN_CELL), cut(&bare, MOST_IN_CELL)]
}

/// The beginning of a text that is longer than `most` characters.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text on lines of `width` characters, broken at blanks.
fn wrap(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.width() + 1 + word.width() <= width => line.extend([" ", word]),
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

fn sign(mark: Mark) -> String {
    match mark {
        Mark::Note(number) => format!("[{number}]"),
        Mark::Quoted => "†".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        stats::{Interval, Summary},
        table::{Cell, Column},
    };

    fn table() -> ResultTable {
        let columns = vec![
            Column::new("model", "Model", ColumnKind::Text),
            Column::new("method", "Method", ColumnKind::Text),
            Column::new("auc", "AUC", ColumnKind::Measured),
            Column::new("tpr", "TPR@1%FPR", ColumnKind::Measured),
            Column::new("tpr_reference", "TPR@1%FPR, code's rule", ColumnKind::Measured),
            Column::new("paper_auc", "AUC", ColumnKind::Paper),
        ];
        let mut table = ResultTable::new("t", "Title", columns).unwrap();
        let note = table.footnote("a note of so many words that it does not stand on one line of forty characters");
        let number = || {
            let summary = Summary { mean: 0.75, std: Some(0.125), count: 2 };
            Cell::measured(summary, Some(Interval { low: 0.5, high: 1.0 }), 3)
        };
        for method in ["Wen norm", "Anisotropy M"] {
            let cells =
                [Cell::text("embedded:emoji-eps"), Cell::text(method), number().with_note(note), number(), number()];
            table.push_row(cells.into_iter().chain([Cell::missing("not in the paper")]).collect()).unwrap();
        }
        table
    }

    fn shown(width: Option<usize>) -> String {
        let mut text = vec![];
        Terminal { width }.write(&table(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_line_fits_and_says_what_is_gone() {
        for width in [130, 80, 40, 24] {
            let text = shown(Some(width));
            assert!(text.lines().all(|line| line.width() <= width), "{width}:\n{text}");
            assert!(text.contains("Wen norm") && text.contains("AUC"), "{text}");
        }
        let wide = shown(None);
        assert!(wide.contains("code's rule") && !wide.contains("want of room"), "{wide}");
        let at_80 = shown(Some(80)).replace('\n', " ");
        assert!(at_80.contains("Model: embedded:emoji-eps") && at_80.contains("[0.500, 1.000]"), "{at_80}");
        assert!(at_80.contains("Not shown for want of room: tpr_reference"), "{at_80}");
        assert!(at_80.contains("±"), "{at_80}");
        let at_64 = shown(Some(64)).replace('\n', " ");
        assert!(
            at_64.contains("[0.500, 1.000]") && at_64.contains("standard deviations") && !at_64.contains("±"),
            "{at_64}"
        );
        let at_40 = shown(Some(40)).replace('\n', " ");
        assert!(
            at_40.contains("spreads and intervals") && !at_40.contains("±") && !at_40.contains("a note"),
            "{at_40}"
        );
    }
}
