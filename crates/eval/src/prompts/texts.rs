//! The texts of many prompts.

use std::sync::Arc;

use memscope_frames::{Cell, Cells};

/// Prompts in order, each once, as texts: cheap to copy, and little more than the characters are held.
#[derive(Clone, Debug, Default)]
pub struct PromptTexts {
    cells: Arc<Cells>,
    /// The row of each prompt, where not every row is a prompt of its own.
    rows: Option<Arc<[u32]>>,
}

impl PromptTexts {
    /// The prompts in the rows of a column.
    pub(super) fn of_rows(cells: Arc<Cells>, rows: Vec<u32>) -> Self {
        let each = rows.len() == cells.len();
        Self { cells, rows: (!each).then(|| rows.into()) }
    }

    /// Number of prompts.
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.cells.len(), |rows| rows.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The prompt at a position; an empty one beyond the last.
    pub fn get(&self, position: usize) -> &str {
        let row = match &self.rows {
            Some(rows) => rows.get(position).map(|row| *row as usize),
            None => Some(position),
        };
        row.and_then(|row| self.cells.get(row).text()).unwrap_or_default()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        (0..self.len()).map(|position| self.get(position))
    }
}

impl<T: AsRef<str>> FromIterator<T> for PromptTexts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut cells = Cells::default();
        texts.into_iter().for_each(|text| cells.push(Cell::Text(text.as_ref())));
        cells.shrink_to_fit();
        Self { cells: Arc::new(cells), rows: None }
    }
}

impl<T: AsRef<str>> From<&[T]> for PromptTexts {
    fn from(texts: &[T]) -> Self {
        texts.iter().collect()
    }
}

impl<T: AsRef<str>> From<&Vec<T>> for PromptTexts {
    fn from(texts: &Vec<T>) -> Self {
        texts.iter().collect()
    }
}

impl From<&PromptTexts> for PromptTexts {
    fn from(texts: &PromptTexts) -> Self {
        texts.clone()
    }
}

/// For every row of a table, the position of its prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptRows {
    /// [`NONE`] for a row without a prompt; `None` where every row is a prompt of its own.
    positions: Option<Vec<u32>>,
    len: usize,
}

const NONE: u32 = u32::MAX;

impl PromptRows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The position of a row's prompt in the list; `None` for a blank row.
    pub fn get(&self, row: usize) -> Option<usize> {
        match &self.positions {
            Some(positions) => {
                positions.get(row).filter(|position| **position != NONE).map(|position| *position as usize)
            }
            None => (row < self.len).then_some(row),
        }
    }

    /// Those of all rows.
    pub fn iter(&self) -> impl Iterator<Item = Option<usize>> {
        (0..self.len).map(|row| self.get(row))
    }
}

impl FromIterator<Option<usize>> for PromptRows {
    fn from_iter<I: IntoIterator<Item = Option<usize>>>(rows: I) -> Self {
        let positions: Vec<u32> = rows.into_iter().map(|row| row.map_or(NONE, |row| row as u32)).collect();
        let len = positions.len();
        let each = positions.iter().enumerate().all(|(row, position)| *position as usize == row);
        Self { positions: (!each).then_some(positions), len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_where_they_say_something() {
        let plain: PromptRows = [Some(0), Some(1)].into_iter().collect();
        assert!(plain.positions.is_none());
        assert_eq!(plain.iter().collect::<Vec<_>>(), [Some(0), Some(1)]);
        let blanks = [Some(0), None, Some(1), Some(0)];
        let rows: PromptRows = blanks.into_iter().collect();
        assert_eq!(rows.iter().collect::<Vec<_>>(), blanks);
        assert_eq!((rows.get(1), rows.get(4), plain.get(2)), (None, None, None));
    }

    #[test]
    fn texts_of_rows_are_those_of_the_column() {
        let cells: Arc<Cells> = Arc::new([Cell::Text("a"), Cell::Empty, Cell::Text("b")].into_iter().collect());
        let texts = PromptTexts::of_rows(cells, vec![0, 2]);
        assert_eq!(texts.iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((texts.len(), texts.get(2)), (2, ""));
        assert_eq!(["x", " y "].iter().collect::<PromptTexts>().get(1), " y ");
    }
}
