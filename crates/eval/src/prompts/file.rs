//! Lists in files: the user's own, and the published ones in the cache.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use memscope_frames::{Columns, Format, Table, prompt_column};
use memscope_hub::lists::PaperList;
use memscope_results::Warning;

use super::{KnownPrompt, PromptList};
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
    pub list: PromptList,
    /// The file as it was read.
    pub table: Table,
    /// For every row of the table, the position of its prompt in the list; `None` for a blank one.
    pub rows: Vec<Option<usize>>,
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
    Ok(read_file(path, None)?.list)
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
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.split_whitespace().collect::<Vec<_>>().join(" ")),
        Err(_) => Err(Error::Prompts {
            file: path.display().to_string(),
            reason: "is not UTF-8; save the file as UTF-8".into(),
        }),
    }
}

/// The field of published lists that names a prompt's group.
const GROUP: &str = "overfit_type";

fn from_table(table: Table, column: Option<&str>) -> Result<PromptFile> {
    let file = table.file.clone();
    let texts = prompt_column(&table, column)?;
    let groups = table.columns.iter().find(|column| column.name == GROUP);
    let whole: Arc<str> = file.as_str().into();
    let mut place_of: HashMap<&str, usize> = HashMap::new();
    // The rows of prompts that come again.
    let mut repeated: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut first_row: Vec<usize> = vec![];
    let mut prompts = vec![];
    let mut rows = vec![];
    for (row, text) in texts.iter().enumerate() {
        let Some(prompt) = text.as_deref().map(str::trim).filter(|prompt| !prompt.is_empty()) else {
            rows.push(None);
            continue;
        };
        let at = *place_of.entry(prompt).or_insert_with(|| {
            let group = groups.and_then(|groups| groups.cells[row].text());
            let set = group.map_or_else(|| whole.clone(), |group| format!("{file} {group}").into());
            prompts.push(KnownPrompt::new(prompt, set));
            first_row.push(row + 1);
            prompts.len() - 1
        });
        if first_row[at] != row + 1 {
            repeated.entry(at).or_insert_with(|| vec![first_row[at]]).push(row + 1);
        }
        rows.push(Some(at));
    }
    if prompts.is_empty() {
        return Err(Error::Prompts { file, reason: "holds no prompt; write one prompt a line".into() });
    }
    let mut warnings = vec![];
    let blank = rows.iter().filter(|row| row.is_none()).count();
    if blank > 0 {
        warnings.push(Warning::BlankLines { list: file.clone(), count: blank });
    }
    warnings.extend(repeated.into_iter().map(|(at, lines)| Warning::DuplicatePrompt {
        list: file.clone(),
        prompt: prompts[at].text.to_string(),
        lines,
    }));
    Ok(PromptFile { list: PromptList { prompts, warnings }, table, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_order_and_markup() {
        let list = parse("p.txt", "  <i>Mothers</i> 15\u{2032} \nsecond\n\n<i>Mothers</i> 15\u{2032}\nlast".as_bytes())
            .unwrap()
            .list;
        assert_eq!(list.texts(), ["<i>Mothers</i> 15\u{2032}", "second", "last"]);
        assert_eq!(list.warnings[0], Warning::BlankLines { list: "p.txt".into(), count: 1 });
        assert!(matches!(&list.warnings[1], Warning::DuplicatePrompt { lines, .. } if lines == &[1, 4]));
    }

    #[test]
    fn groups_of_a_list_are_sets() {
        let json = b"{\"caption\": \"a\", \"overfit_type\": \"TV\"}\n{\"caption\": \"b\", \"overfit_type\": \"MV\"}";
        let table = memscope_frames::read_bytes("l", json, Format::JsonLines).unwrap();
        let list = from_table(table, None).unwrap().list;
        assert_eq!(list.prompts.iter().map(|p| &*p.set).collect::<Vec<_>>(), ["l TV", "l MV"]);
    }

    #[test]
    fn unusable_lists_say_why() {
        let empty = parse("p.txt", b"\n  \n").unwrap_err().to_string();
        assert_eq!(empty, "p.txt: holds no prompt; write one prompt a line");
        let latin1 = parse("p.txt", b"one\ncaf\xe9\n").unwrap_err().to_string();
        assert_eq!(latin1, "p.txt: line 2 is not UTF-8; save the file as UTF-8");
    }
}
