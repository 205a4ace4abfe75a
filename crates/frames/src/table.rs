//! A table: named columns of cells.

use memscope_text::excerpt;

use crate::error::{Error, Result};

/// Which columns are wanted. A format that stores columns apart (Parquet) reads no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns<'a> {
    /// All.
    All,
    /// Those of these names, in any case, where they are there.
    Only(&'a [&'a str]),
}

/// One value, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing, or null.
    Empty,
    /// Text.
    Text(String),
    /// A number or a truth value of a format that tells them from text.
    Bare(String),
    /// A list or an object of JSON.
    Nested(String),
}

impl Cell {
    /// What was written; `None` for an empty cell.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Empty => None,
            Self::Text(text) | Self::Bare(text) | Self::Nested(text) => Some(text),
        }
    }
}

/// A named column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, as written.
    pub name: String,
    /// One cell a row.
    pub cells: Vec<Cell>,
}

impl Column {
    /// A column.
    pub fn new(name: &str, cells: Vec<Cell>) -> Self {
        Self { name: name.to_owned(), cells }
    }
}

/// A table as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The file, as messages call it.
    pub file: String,
    /// Its columns, all of one length.
    pub columns: Vec<Column>,
    /// Columns that were not read because their values are no text or number.
    pub left_out: Vec<String>,
    /// Whether a comma between digits can be a decimal comma: the delimiter is another one.
    pub(crate) decimal_comma: bool,
}

/// Names that a column of prompts has, in any case.
pub const PROMPT_NAMES: [&str; 3] = ["prompt", "caption", "text"];

/// Names listed in a message at most.
const MOST_NAMES: usize = 20;

impl Table {
    /// A table of columns of equal length.
    pub(crate) fn new(file: &str, columns: Vec<Column>) -> Self {
        Self { file: file.to_owned(), columns, left_out: vec![], decimal_comma: false }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.cells.len())
    }

    /// The column of a name; where none is spelled like that, the one that differs in case only. `flag` is the option
    /// that chooses it.
    ///
    /// # Errors
    /// [`Error::NoColumn`] or [`Error::SeveralColumns`], with the names there are.
    pub fn column(&self, name: &str, flag: &str) -> Result<&Column> {
        let exact: Vec<&Column> = self.columns.iter().filter(|column| column.name == name).collect();
        let alike = || self.columns.iter().filter(|column| column.name.eq_ignore_ascii_case(name)).collect();
        let found: Vec<&Column> = if exact.is_empty() { alike() } else { exact };
        match found.as_slice() {
            [column] => Ok(column),
            [] => Err(self.no_column(&format!("'{}'", excerpt(name)), flag)),
            several => Err(self.several(several, flag)),
        }
    }

    fn names<'c>(columns: impl IntoIterator<Item = &'c Column>) -> String {
        let names: Vec<String> = columns.into_iter().map(|column| format!("'{}'", excerpt(&column.name))).collect();
        match names.len() {
            0 => "none".to_owned(),
            count if count > MOST_NAMES => {
                format!("{} and {} more", names[..MOST_NAMES].join(", "), count - MOST_NAMES)
            }
            _ => names.join(", "),
        }
    }

    fn no_column(&self, wanted: &str, flag: &str) -> Error {
        let mut columns = Self::names(&self.columns);
        if !self.left_out.is_empty() {
            columns.push_str(&format!(" (and {} that hold no text or numbers)", self.left_out.len()));
        }
        Error::NoColumn { file: self.file.clone(), wanted: wanted.to_owned(), columns, flag: flag.to_owned() }
    }

    fn several(&self, columns: &[&Column], flag: &str) -> Error {
        let columns = Self::names(columns.iter().copied());
        Error::SeveralColumns { file: self.file.clone(), columns, flag: flag.to_owned() }
    }
}

/// The cells of the prompts: of the column that is asked for, or of the one called `prompt`, `caption` or `text` in any
/// case. Where rows of a file name the field differently, each row's only one counts. A prompt is `None` where the cell
/// is empty.
///
/// # Errors
/// No such column, several of them in one row, or a cell that holds a list, an object or a truth value.
pub fn prompt_column(table: &Table, chosen: Option<&str>) -> Result<Vec<Option<String>>> {
    const FLAG: &str = "--column";
    let columns = match chosen {
        Some(name) => vec![table.column(name, FLAG)?],
        None => table.columns.iter().filter(|c| PROMPT_NAMES.iter().any(|n| c.name.eq_ignore_ascii_case(n))).collect(),
    };
    if columns.is_empty() {
        return Err(table.no_column("'prompt', 'caption' or 'text'", FLAG));
    }
    (0..table.rows())
        .map(|row| {
            let filled: Vec<&Column> = columns.iter().copied().filter(|c| c.cells[row] != Cell::Empty).collect();
            match filled.as_slice() {
                [] => Ok(None),
                [column] => match &column.cells[row] {
                    Cell::Nested(found) => Err(Error::Value {
                        file: table.file.clone(),
                        row: row + 1,
                        column: excerpt(&column.name),
                        found: format!("'{}' is a list or an object", excerpt(found)),
                        expected: "a prompt".into(),
                    }),
                    cell => Ok(cell.text().map(str::to_owned)),
                },
                several => Err(table.several(several, FLAG)),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, &[&str])]) -> Table {
        let cell = |text: &&str| if text.is_empty() { Cell::Empty } else { Cell::Text((*text).to_owned()) };
        let column = |(name, cells): &(&str, &[&str])| Column::new(name, cells.iter().map(cell).collect());
        Table::new("t.csv", columns.iter().map(column).collect())
    }

    #[test]
    fn the_prompts_column_is_found_in_any_case_or_asked_for() {
        let of = |name: &str| prompt_column(&table(&[("n", &["1", "2"]), (name, &["red", ""])]), None).unwrap();
        for name in ["prompt", "Prompt", "CAPTION", "Text"] {
            assert_eq!(of(name), [Some("red".to_owned()), None]);
        }
        let two = table(&[("prompt", &["a"]), ("caption", &["b"])]);
        let message = prompt_column(&two, None).unwrap_err().to_string();
        assert!(message.contains("'prompt', 'caption'") && message.contains("--column"), "{message}");
        assert_eq!(prompt_column(&two, Some("caption")).unwrap(), [Some("b".to_owned())]);
        let message = prompt_column(&two, Some("title")).unwrap_err().to_string();
        assert!(message.contains("no column 'title'"), "{message}");
    }

    #[test]
    fn rows_may_name_the_field_differently() {
        let mixed = table(&[("caption", &["a", ""]), ("prompt", &["", "b"])]);
        assert_eq!(prompt_column(&mixed, None).unwrap(), [Some("a".to_owned()), Some("b".to_owned())]);
    }
}
