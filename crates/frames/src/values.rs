//! Numbers and classes, as people write them.

use memscope_text::excerpt;

use crate::{
    cells::Cell,
    error::{Error, Result},
    table::{Column, Table},
};

/// A number as written; `comma`: a comma between digits is a decimal comma. NaN and infinities are numbers here; a whole
/// number beyond 64 bits is none, as it is an identifier rather than a score.
pub fn number(text: &str, comma: DecimalComma) -> Option<f64> {
    let text = text.trim();
    match comma {
        _ if is_beyond_64_bits(text) => None,
        DecimalComma::Yes if text.matches(',').count() == 1 && !text.contains('.') => {
            text.replace(',', ".").parse().ok()
        }
        _ => text.parse().ok(),
    }
}

/// Whether a text is a whole number that no integer of 64 bits holds.
pub(crate) fn is_beyond_64_bits(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits.len() >= 19 && digits.bytes().all(|b| b.is_ascii_digit());
    whole && text.parse::<i64>().is_err() && text.parse::<u64>().is_err()
}

/// Whether a comma in a number is a decimal comma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalComma {
    /// It is.
    Yes,
    /// A comma is not part of a number.
    No,
}

/// The class that a word names: `Some(true)` for memorized. Numbers are 1 and 0; −1 stands for the negative class where
/// no 0 does, which [`Column::labels`] checks.
pub fn label(text: &str) -> Option<bool> {
    let word = text.trim().to_lowercase();
    match word.as_str() {
        "memorized" | "memorised" | "true" | "t" | "yes" | "y" => return Some(true),
        "non_memorized" | "non-memorized" | "non memorized" | "not memorized" | "nonmemorized" | "non_memorised"
        | "false" | "f" | "no" | "n" => return Some(false),
        _ => {}
    }
    match word.parse::<f64>() {
        Ok(1.0) => Some(true),
        Ok(value) if value == 0.0 || value == -1.0 => Some(false),
        _ => None,
    }
}

impl Column {
    fn wrong(&self, table: &Table, row: usize, expected: &str) -> Error {
        let found = match self.cells.get(row) {
            Cell::Empty => "the cell is empty".to_owned(),
            Cell::Nested(text) => format!("'{}' is a list or an object", excerpt(text)),
            Cell::Text(text) | Cell::Bare(text) => format!("found '{}'", excerpt(text)),
        };
        let (file, column) = (table.file.clone(), excerpt(&self.name));
        Error::Value { file, row: row + 1, column, found, expected: expected.to_owned() }
    }

    /// Finite numbers, one a row. In a table with another delimiter than the comma, `0,5` is 0.5.
    ///
    /// # Errors
    /// [`Error::Value`] for the first cell that holds none, or that is written otherwise than the column's others.
    pub fn numbers(&self, table: &Table) -> Result<Vec<f64>> {
        let texts = || self.cells.iter().filter_map(Cell::text);
        let comma = table.decimal_comma && texts().any(|text| text.contains(','));
        if comma && let Some(row) = self.cells.iter().position(|cell| cell.text().is_some_and(|t| t.contains('.'))) {
            return Err(self.wrong(table, row, "one decimal sign in the whole column, a comma or a point"));
        }
        let comma = if comma { DecimalComma::Yes } else { DecimalComma::No };
        let of = |(row, cell): (usize, Cell)| {
            let value = match cell {
                Cell::Nested(_) => None,
                cell => cell.text().and_then(|text| number(text, comma)),
            };
            let expected = match cell.text() {
                Some(text) if is_beyond_64_bits(text.trim()) => "a number within 64 bits, or one written as 1e32",
                _ => "a finite number",
            };
            value.filter(|value| value.is_finite()).ok_or_else(|| self.wrong(table, row, expected))
        };
        self.cells.iter().enumerate().map(of).collect()
    }

    /// Classes, one a row: `true` for memorized.
    ///
    /// # Errors
    /// [`Error::Value`] for the first cell that names no class, and where both −1 and 0 occur.
    pub fn labels(&self, table: &Table) -> Result<Vec<bool>> {
        const EXPECTED: &str = "a class: 1 or 0 (or 1 and -1), true or false, yes or no, memorized or non_memorized";
        let is = |cell: Cell, value: f64| cell.text().and_then(|t| t.trim().parse::<f64>().ok()) == Some(value);
        if self.cells.iter().any(|cell| is(cell, -1.0))
            && let Some(row) = self.cells.iter().position(|cell| is(cell, 0.0))
        {
            return Err(self.wrong(table, row, "1 and -1, or 1 and 0, but not both -1 and 0"));
        }
        let of =
            |(row, cell): (usize, Cell)| cell.text().and_then(label).ok_or_else(|| self.wrong(table, row, EXPECTED));
        self.cells.iter().enumerate().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(decimal_comma: bool, cells: &[&str]) -> Table {
        let cells = cells.iter().map(|text| if text.is_empty() { Cell::Empty } else { Cell::Text(text) });
        Table { decimal_comma, ..Table::new("s.csv", vec![Column::new("score", cells.collect())]) }
    }

    fn numbers(decimal_comma: bool, cells: &[&str]) -> std::result::Result<Vec<f64>, String> {
        let table = table(decimal_comma, cells);
        table.columns[0].numbers(&table).map_err(|e| e.to_string())
    }

    #[test]
    fn numbers_are_read_in_both_conventions_but_not_mixed() {
        assert_eq!(numbers(false, &["1", " 0.5", "1e-3", "-2."]).unwrap(), [1.0, 0.5, 1e-3, -2.0]);
        assert_eq!(numbers(true, &["1", "0,5", "-1,25e3"]).unwrap(), [1.0, 0.5, -1250.0]);
        assert_eq!(numbers(true, &["1", "0.5"]).unwrap(), [1.0, 0.5]);
        assert_eq!(numbers(false, &["18446744073709551615", "1e32"]).unwrap(), [18446744073709551615.0, 1e32]);
        for (comma, cells, word) in [
            (true, ["0,5", "0.5"], "row 2"),
            (false, ["0,5", "1"], "'0,5'"),
            (true, ["1.234,5", "1"], "row 1"),
            (false, ["1", "NaN"], "row 2"),
            (false, ["1", ""], "empty"),
            (false, ["1", "inf"], "finite"),
            (false, ["1", "99999999999999999999999999999999"], "64 bits"),
            (false, ["-9223372036854775809", "1"], "row 1"),
        ] {
            let message = numbers(comma, &cells).unwrap_err();
            assert!(message.contains(word) && message.contains("column 'score'"), "{message}");
        }
    }

    #[test]
    fn classes_are_read_as_people_write_them() {
        let labels = |cells: &[&str]| {
            let table = table(false, cells);
            table.columns[0].labels(&table).map_err(|e| e.to_string())
        };
        for pair in
            [["1", "0"], ["1.0", "0.0"], ["TRUE", "FALSE"], ["yes", "No"], ["1", "-1"], ["memorized", "Non-Memorized"]]
        {
            assert_eq!(labels(&pair).unwrap(), [true, false], "{pair:?}");
        }
        assert!(labels(&["1", "0", "-1"]).unwrap_err().contains("not both"));
        assert!(labels(&["1", "2"]).unwrap_err().contains("row 2"));
        assert!(labels(&["1", ""]).unwrap_err().contains("empty"));
    }
}
