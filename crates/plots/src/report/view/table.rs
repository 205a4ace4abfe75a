use super::Ids;
use crate::report::{ColumnContent, ColumnSource, ReportCell, ReportColumn, ReportError, ReportTable};

pub(in crate::report) struct TableView<'a> {
    pub(in crate::report) id: String,
    pub(in crate::report) table: &'a ReportTable,
    pub(in crate::report) rows: Vec<Vec<CellView<'a>>>,
    pub(in crate::report) notes: Vec<NoteView<'a>>,
}

pub(in crate::report) struct CellView<'a> {
    pub(in crate::report) cell: &'a ReportCell,
    pub(in crate::report) class: String,
    pub(in crate::report) is_header: bool,
    pub(in crate::report) marks: Vec<MarkView<'a>>,
}

/// A mark behind a cell. The first of its kind can be returned to.
pub(in crate::report) struct MarkView<'a> {
    pub(in crate::report) mark: &'a str,
    pub(in crate::report) id: Option<String>,
    pub(in crate::report) target: Option<String>,
}

pub(in crate::report) struct NoteView<'a> {
    pub(in crate::report) mark: &'a str,
    pub(in crate::report) text: &'a str,
    pub(in crate::report) id: String,
    pub(in crate::report) back: Option<String>,
    /// In which columns it is marked.
    marked: Marked,
}

/// Where a note is marked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marked {
    Nowhere,
    InDetails,
    InSight,
}

impl NoteView<'_> {
    /// Whether only columns of detail have its mark: it is shown with them.
    pub(in crate::report) fn is_detail(&self) -> bool {
        self.marked == Marked::InDetails
    }
}

impl<'a> TableView<'a> {
    pub(in crate::report) fn new(table: &'a ReportTable, ids: &mut Ids) -> Result<Self, ReportError> {
        let id = ids.unique(&format!("table {}", table.name));
        let notes = table.notes.iter().enumerate();
        let mut notes: Vec<NoteView<'a>> = notes
            .map(|(index, (mark, text))| {
                let id = format!("{id}--note-{index}");
                NoteView { mark, text, id, back: None, marked: Marked::Nowhere }
            })
            .collect();
        let mut rows = Vec::with_capacity(table.rows.len());
        for (row, cells) in table.rows.iter().enumerate() {
            if cells.len() != table.columns.len() {
                let (expected, found) = (table.columns.len(), cells.len());
                return Err(ReportError::RowWidth { table: table.name.clone(), row, expected, found });
            }
            let cells = table.columns.iter().zip(cells).enumerate();
            rows.push(cells.map(|(index, (column, cell))| CellView::new(index, column, cell, &mut notes)).collect());
        }
        Ok(Self { id, table, rows, notes })
    }
}

impl<'a> CellView<'a> {
    fn new(index: usize, column: &ReportColumn, cell: &'a ReportCell, notes: &mut [NoteView<'a>]) -> Self {
        let marks = cell.marks.iter().map(|mark| MarkView::new(mark, column, notes)).collect();
        let is_header = index == 0 && column.content == ColumnContent::Text;
        Self { cell, class: class(column, cell.missing), is_header, marks }
    }

    pub(in crate::report) fn text(&self) -> &str {
        if self.cell.missing && self.cell.text.is_empty() { "–" } else { &self.cell.text }
    }

    /// In scientific notation, which stays short and which scripts can read.
    pub(in crate::report) fn sort_key(&self) -> Option<String> {
        self.cell.sort.filter(|value| value.is_finite()).map(|value| format!("{value:e}"))
    }
}

impl<'a> MarkView<'a> {
    fn new(mark: &'a str, column: &ReportColumn, notes: &mut [NoteView<'a>]) -> Self {
        let Some(note) = notes.iter_mut().find(|note| note.mark == mark) else {
            return Self { mark, id: None, target: None };
        };
        if !column.detail {
            note.marked = Marked::InSight;
        } else if note.marked == Marked::Nowhere {
            note.marked = Marked::InDetails;
        }
        let id = note.back.is_none().then(|| format!("{}-back", note.id));
        if id.is_some() {
            note.back.clone_from(&id);
        }
        Self { mark, id, target: Some(note.id.clone()) }
    }
}

impl ReportColumn {
    /// Class of the heading.
    pub(in crate::report) fn class(&self) -> String {
        class(self, false)
    }

    /// Whether the heading must say that the column is the paper's because the label does not.
    pub(in crate::report) fn is_unmarked_paper(&self) -> bool {
        self.source == ColumnSource::Paper && !self.label.to_lowercase().contains("paper")
    }
}

fn class(column: &ReportColumn, missing: bool) -> String {
    let words = [
        (column.content == ColumnContent::Number, "num"),
        (column.source == ColumnSource::Paper, "paper"),
        (column.detail, "detail"),
        (missing, "missing"),
    ];
    let words: Vec<&str> = words.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word).collect();
    words.join(" ")
}
