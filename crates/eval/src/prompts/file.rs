//! Lists in files: the user's own, and the published ones in the cache.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use memscope_frames::{Cell, Cells, Columns, Format, Table, prompt_column};
use memscope_hub::lists::PaperList;
use memscope_results::Warning;

use super::{KnownPrompt, PromptList, PromptRows, PromptTexts};
use crate::error::{Error, Result};

/// A published list that was downloaded.
///
/// # Errors
/// The list is not in the cache or not the published one, or has no such column.
pub fn published(list: PaperList, column: Option<&str>) -> Result<PromptFile> {
    let table = memscope_frames::read_bytes(&list.to_string(), &list.read()?, Format::of(list.file())?)?;
    from_table(table, column)
}

/// A prompt file: its prompts, and all its columns in their order.
#[derive(Clone, Debug)]
pub struct PromptFile {
    /// The prompts, each once.
    pub texts: PromptTexts,
    /// The file as it was read.
    pub table: Table,
    /// For every row of the table, the position of its prompt.
    pub rows: PromptRows,
    /// Remarks.
    pub warnings: Vec<Warning>,
}

impl PromptFile {
    /// The prompts with the sets that they belong to.
    pub fn into_list(self) -> PromptList {
        let file = &self.table.file;
        let groups = self.table.columns.iter().find(|column| column.name == GROUP);
        let whole: Arc<str> = file.as_str().into();
        let mut sets: Vec<Option<Arc<str>>> = vec![None; self.texts.len()];
        for (row, at) in self.rows.iter().enumerate() {
            let Some(set) = at.and_then(|at| sets.get_mut(at)).filter(|set| set.is_none()) else { continue };
            let group = groups.and_then(|groups| groups.cells.get(row).text());
            *set = Some(group.map_or_else(|| whole.clone(), |group| format!("{file} {group}").into()));
        }
        let known = self.texts.iter().zip(sets);
        let prompts = known.map(|(text, set)| KnownPrompt::new(text, set.unwrap_or_else(|| whole.clone()))).collect();
        PromptList { prompts, warnings: self.warnings }
    }
}

/// The prompts of a file: a table with a column `prompt`, `caption` or `text`, or the one named, in the form that the
/// file's name says; or a text with one prompt a line.
///
/// # Errors
/// The file cannot be read in its form, has no such column or several, or holds no prompt.
pub fn read_file(path: &Path, column: Option<&str>) -> Result<PromptFile> {
    from_table(memscope_frames::read_table(path, Columns::All)?, column)
}

/// As [`read_file`], without a column's name.
///
/// # Errors
/// As [`read_file`].
pub fn read(path: &Path) -> Result<PromptList> {
    Ok(read_file(path, None)?.into_list())
}

/// Reads a prompt list from memory: UTF-8, one prompt a line, surrounding whitespace removed. Blank lines are skipped
/// and repeated prompts count once, both with a warning. A missing final newline loses nothing.
///
/// # Errors
/// The bytes are no text, or hold no prompt.
pub fn parse(file: &str, bytes: &[u8]) -> Result<PromptFile> {
    from_table(memscope_frames::read_bytes(file, bytes, Format::Lines)?, None)
}

/// The caption of a picture in a text file of its own: one prompt, whose lines count as one.
///
/// # Errors
/// The file is not there, too long, or no text.
pub(crate) fn read_caption(path: &Path) -> Result<String> {
    const LIMIT: u64 = 1 << 16;
    let bytes = memscope_results::files::read_file(path, LIMIT)?;
    let refuse = |reason: &str| Error::Prompts { file: path.display().to_string(), reason: reason.to_owned() };
    let text = std::str::from_utf8(&bytes).map_err(|_| refuse("is not UTF-8; save the file as UTF-8"))?;
    if text.contains('\0') {
        return Err(refuse("holds a zero byte; this is not a text file"));
    }
    // A byte-order mark is no part of a caption.
    let text = text.trim_start_matches('\u{feff}');
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The field of published lists that names a prompt's group.
const GROUP: &str = "overfit_type";

fn from_table(table: Table, column: Option<&str>) -> Result<PromptFile> {
    let file = table.file.clone();
    let cells = trimmed(prompt_column(&table, column)?);
    let mut place_of: HashMap<&str, usize> = HashMap::new();
    // The rows of prompts that come again.
    let mut repeated: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut first_rows: Vec<u32> = vec![];
    let mut blank = 0;
    let rows = cells.iter().enumerate().map(|(row, cell)| {
        let Some(prompt) = cell.text().filter(|prompt| !prompt.is_empty()) else {
            blank += 1;
            return None;
        };
        let at = *place_of.entry(prompt).or_insert_with(|| {
            first_rows.push(row as u32);
            first_rows.len() - 1
        });
        let first = first_rows[at] as usize;
        if first != row {
            repeated.entry(at).or_insert_with(|| vec![first + 1]).push(row + 1);
        }
        Some(at)
    });
    let rows: PromptRows = rows.collect();
    drop(place_of);
    if first_rows.is_empty() {
        return Err(Error::Prompts { file, reason: "holds no prompt; write one prompt a line".into() });
    }
    let texts = PromptTexts::of_rows(cells, first_rows);
    let mut warnings = vec![];
    if blank > 0 {
        warnings.push(Warning::BlankLines { list: file.clone(), count: blank });
    }
    warnings.extend(repeated.into_iter().map(|(at, lines)| Warning::DuplicatePrompt {
        list: file.clone(),
        prompt: texts.get(at).to_owned(),
        lines,
    }));
    Ok(PromptFile { texts, table, rows, warnings })
}

/// The cells without space around them; the same ones where there is none.
fn trimmed(cells: Arc<Cells>) -> Arc<Cells> {
    let is_trimmed = |cell: Cell| cell.text().is_none_or(|text| text.trim() == text);
    if cells.iter().all(is_trimmed) {
        return cells;
    }
    Arc::new(cells.iter().map(|cell| cell.text().map_or(Cell::Empty, |text| Cell::Text(text.trim()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_order_and_markup() {
        let list = parse("p.txt", "  <i>Mothers</i> 15\u{2032} \nsecond\n\n<i>Mothers</i> 15\u{2032}\nlast".as_bytes())
            .unwrap()
            .into_list();
        assert_eq!(list.texts(), ["<i>Mothers</i> 15\u{2032}", "second", "last"]);
        assert_eq!(list.warnings[0], Warning::BlankLines { list: "p.txt".into(), count: 1 });
        assert!(matches!(&list.warnings[1], Warning::DuplicatePrompt { lines, .. } if lines == &[1, 4]));
    }

    #[test]
    fn groups_of_a_list_are_sets() {
        let json = b"{\"caption\": \"a\", \"overfit_type\": \"TV\"}\n{\"caption\": \"b\", \"overfit_type\": \"MV\"}";
        let table = memscope_frames::read_bytes("l", json, Format::JsonLines).unwrap();
        let list = from_table(table, None).unwrap().into_list();
        assert_eq!(list.prompts.iter().map(|p| &*p.set).collect::<Vec<_>>(), ["l TV", "l MV"]);
    }

    #[test]
    fn a_caption_is_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let caption = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_caption(&path).map_err(|e| e.to_string())
        };
        assert_eq!(caption(b"\xef\xbb\xbfa cat,\r\nasleep\r").unwrap(), "a cat, asleep");
        assert!(caption(b"caf\xe9").unwrap_err().contains("UTF-8"));
        assert!(caption(b"a\0c").unwrap_err().contains("zero byte"));
    }

    #[test]
    fn unusable_lists_say_why() {
        let empty = parse("p.txt", b"\n  \n").unwrap_err().to_string();
        assert_eq!(empty, "p.txt: holds no prompt; write one prompt a line");
        let latin1 = parse("p.txt", b"one\ncaf\xe9\n").unwrap_err().to_string();
        assert_eq!(latin1, "p.txt: line 2 is not UTF-8; save the file as UTF-8");
    }
}
