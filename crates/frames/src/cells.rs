//! The cells of a column, in one piece: lists of many prompts take little more than their text.

/// One value, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'t> {
    /// Nothing, or null.
    Empty,
    /// Text.
    Text(&'t str),
    /// A number or a truth value of a format that tells them from text.
    Bare(&'t str),
    /// A list or an object of JSON.
    Nested(&'t str),
}

impl<'t> Cell<'t> {
    /// What was written; `None` for an empty cell.
    pub fn text(self) -> Option<&'t str> {
        match self {
            Self::Empty => None,
            Self::Text(text) | Self::Bare(text) | Self::Nested(text) => Some(text),
        }
    }
}

/// Cells in order: their texts one after another, and five and a half bytes for each.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cells {
    texts: String,
    /// Bytes of each text.
    lengths: Vec<u32>,
    kinds: Vec<Kind>,
    /// Where the text of each [`GROUP`]-th cell begins.
    starts: Vec<usize>,
}

/// Cells whose places are found from one start.
const GROUP: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Empty,
    Text,
    Bare,
    Nested,
}

impl Cells {
    /// Number of cells.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The cell of a row; [`Cell::Empty`] beyond the last.
    pub fn get(&self, row: usize) -> Cell<'_> {
        let Some(kind) = self.kinds.get(row) else { return Cell::Empty };
        let first = row - row % GROUP;
        let before: usize = self.lengths[first..row].iter().map(|length| *length as usize).sum();
        let start = self.starts[row / GROUP] + before;
        let text = &self.texts[start..start + self.lengths[row] as usize];
        match kind {
            Kind::Empty => Cell::Empty,
            Kind::Text => Cell::Text(text),
            Kind::Bare => Cell::Bare(text),
            Kind::Nested => Cell::Nested(text),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Cell<'_>> + Clone {
        let mut rest = self.texts.as_str();
        self.kinds.iter().zip(&self.lengths).map(move |(kind, length)| {
            let (text, after) = rest.split_at(*length as usize);
            rest = after;
            match kind {
                Kind::Empty => Cell::Empty,
                Kind::Text => Cell::Text(text),
                Kind::Bare => Cell::Bare(text),
                Kind::Nested => Cell::Nested(text),
            }
        })
    }

    /// Adds a cell. Of a text longer than 4 GiB, which no format holds, the beginning is kept.
    pub fn push(&mut self, cell: Cell) {
        let (kind, text) = match cell {
            Cell::Empty => (Kind::Empty, ""),
            Cell::Text(text) => (Kind::Text, text),
            Cell::Bare(text) => (Kind::Bare, text),
            Cell::Nested(text) => (Kind::Nested, text),
        };
        let most = (u32::MAX as usize).min(text.len());
        let text = &text[..text.floor_char_boundary(most)];
        if self.len().is_multiple_of(GROUP) {
            self.starts.push(self.texts.len());
        }
        self.texts.push_str(text);
        self.lengths.push(text.len() as u32);
        self.kinds.push(kind);
    }

    /// Adds empty cells until there are so many.
    pub(crate) fn fill(&mut self, len: usize) {
        while self.len() < len {
            self.push(Cell::Empty);
        }
    }

    /// Gives back what was taken for cells to come.
    pub fn shrink_to_fit(&mut self) {
        self.texts.shrink_to_fit();
        self.lengths.shrink_to_fit();
        self.kinds.shrink_to_fit();
        self.starts.shrink_to_fit();
    }
}

impl<'t> FromIterator<Cell<'t>> for Cells {
    fn from_iter<I: IntoIterator<Item = Cell<'t>>>(cells: I) -> Self {
        let mut all = Self::default();
        cells.into_iter().for_each(|cell| all.push(cell));
        all.shrink_to_fit();
        all
    }
}

impl std::fmt::Debug for Cells {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_as_they_were_put_in() {
        let texts: Vec<String> = (0..100).map(|i| "é犬x".repeat(i % 7)).collect();
        let cell = |(i, text): (usize, &'_ String)| match i % 4 {
            0 => Cell::Text(text.clone().leak()),
            1 => Cell::Bare(text.clone().leak()),
            2 => Cell::Nested(text.clone().leak()),
            _ => Cell::Empty,
        };
        let wanted: Vec<Cell> = texts.iter().enumerate().map(cell).collect();
        let mut cells: Cells = wanted.iter().copied().collect();
        assert_eq!(cells.iter().collect::<Vec<_>>(), wanted);
        assert_eq!((0..100).map(|row| cells.get(row)).collect::<Vec<_>>(), wanted);
        cells.fill(120);
        assert_eq!((cells.len(), cells.get(119), cells.get(120)), (120, Cell::Empty, Cell::Empty));
    }

    /// A list of 10⁵ prompts takes its text and less than six bytes a prompt.
    #[test]
    fn a_cell_takes_its_text_and_less_than_six_bytes() {
        let text = "a photo of a cat on a chair";
        let cells: Cells = (0..100_000).map(|_| Cell::Text(text)).collect();
        let own = cells.texts.capacity()
            + 4 * cells.lengths.capacity()
            + cells.kinds.capacity()
            + 8 * cells.starts.capacity();
        assert!(own < 100_000 * (text.len() + 6), "{own}");
    }
}
