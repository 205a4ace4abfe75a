//! A table: named columns of cells.

use std::sync::Arc;

use memscope_text::excerpt;

use crate::{
    cells::{Cell, Cells},
    error::{Error, Result},
};

/// Which columns are wanted. A format that stores columns apart (Parquet) reads no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns<'a> {
    /// All.
    All,
    /// Those of these names, in any case, where they are there.
    Only(&'a [&'a str]),
}

/// A named column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, as written.
    pub name: String,
    /// One cell a row.
    pub cells: Arc<Cells>,
}

impl Column {
    /// A column.
    pub fn new(name: &str, mut cells: Cells) -> Self {
        cells.shrink_to_fit();
        Self { name: name.to_owned(), cells: Arc::new(cells) }
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

/// Whether two names are spelled alike in any case.
pub(crate) fn is_alike(a: &str, b: &str) -> bool {
    a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase))
}

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
        let alike = || self.columns.iter().filter(|column| is_alike(&column.name, name)).collect();
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
        let named = |name: &&String| is_alike(&format!("'{}'", excerpt(name)), wanted);
        if let Some(name) = self.left_out.iter().find(named) {
            let reason = format!(
                "column '{}' holds lists, decimals or another kind of values that is not read; write it as text, float64 or \
                 int64",
                excerpt(name)
            );
            return Error::form(&self.file, reason);
        }
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
/// case. Where rows of a file name the field differently, each row's only one counts.
///
/// # Errors
/// No such column, several of them in one row, or a cell that holds a list, an object or a truth value.
pub fn prompt_column(table: &Table, chosen: Option<&str>) -> Result<Arc<Cells>> {
    const FLAG: &str = "--column";
    let columns = match chosen {
        Some(name) => vec![table.column(name, FLAG)?],
        None => table.columns.iter().filter(|c| PROMPT_NAMES.iter().any(|n| is_alike(&c.name, n))).collect(),
    };
    if columns.is_empty() {
        return Err(table.no_column("'prompt', 'caption' or 'text'", FLAG));
    }
    let nested = |column: &Column, row: usize, found: &str| Error::Value {
        file: table.file.clone(),
        row: row + 1,
        column: excerpt(&column.name),
        found: format!("'{}' is a list or an object", excerpt(found)),
        expected: "a prompt".into(),
    };
    if let [column] = columns.as_slice() {
        for (row, cell) in column.cells.iter().enumerate() {
            if let Cell::Nested(found) = cell {
                return Err(nested(column, row, found));
            }
        }
        return Ok(column.cells.clone());
    }
    let of_row = |row: usize| {
        let mut filled = columns.iter().copied().filter(|column| column.cells.get(row) != Cell::Empty);
        let Some(column) = filled.next() else { return Ok(Cell::Empty) };
        if let Some(second) = filled.next() {
            let several: Vec<&Column> = [column, second].into_iter().chain(filled).collect();
            return Err(table.several(&several, FLAG));
        }
        match column.cells.get(row) {
            Cell::Nested(found) => Err(nested(column, row, found)),
            cell => Ok(cell),
        }
    };
    Ok(Arc::new((0..table.rows()).map(of_row).collect::<Result<Cells>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> Cell<'_> {
        if text.is_empty() { Cell::Empty } else { Cell::Text(text) }
    }

    fn prompts(table: &Table, chosen: Option<&str>) -> std::result::Result<Vec<Option<String>>, String> {
        let cells = prompt_column(table, chosen).map_err(|e| e.to_string())?;
        Ok(cells.iter().map(|cell| cell.text().map(str::to_owned)).collect())
    }

    fn table(columns: &[(&str, &[&str])]) -> Table {
        let column = |(name, cells): &(&str, &[&str])| Column::new(name, cells.iter().map(|text| cell(text)).collect());
        Table::new("t.csv", columns.iter().map(column).collect())
    }

    #[test]
    fn the_prompts_column_is_found_in_any_case_or_asked_for() {
        let of = |name: &str| prompts(&table(&[("n", &["1", "2"]), (name, &["red", ""])]), None).unwrap();
        for name in ["prompt", "Prompt", "CAPTION", "Text"] {
            assert_eq!(of(name), [Some("red".to_owned()), None]);
        }
        let two = table(&[("prompt", &["a"]), ("caption", &["b"])]);
        let message = prompts(&two, None).unwrap_err();
        assert!(message.contains("'prompt', 'caption'") && message.contains("--column"), "{message}");
        assert_eq!(prompts(&table(&[("Überschrift", &["a"])]), Some("überschrift")).unwrap(), [Some("a".to_owned())]);
        assert_eq!(prompts(&two, Some("caption")).unwrap(), [Some("b".to_owned())]);
        let message = prompts(&two, Some("title")).unwrap_err();
        assert!(message.contains("no column 'title'"), "{message}");
    }

    #[test]
    fn rows_may_name_the_field_differently() {
        let mixed = table(&[("caption", &["a", ""]), ("prompt", &["", "b"])]);
        assert_eq!(prompts(&mixed, None).unwrap(), [Some("a".to_owned()), Some("b".to_owned())]);
    }
}
