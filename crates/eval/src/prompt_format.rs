//! How a prompt list is written: one prompt a line, a CSV column, or JSON lines.

use std::{io::Cursor, path::Path};

use polars::prelude::{CsvReadOptions, SerReader};
use serde::Deserialize;

/// The form of a prompt list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListFormat {
    /// One prompt a line.
    Lines,
    /// CSV with a header and a column `prompt`.
    Csv,
    /// One JSON object a line with a field `caption` or `prompt`.
    JsonLines,
}

/// A prompt as its list has it.
#[derive(Debug, PartialEq)]
pub(crate) struct Listed {
    /// Line or row, from 1.
    pub(crate) line: usize,
    /// The prompt, as it is written.
    pub(crate) text: String,
    /// The group within the list, where it names one.
    pub(crate) group: Option<String>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(alias = "prompt")]
    caption: String,
    #[serde(default)]
    overfit_type: Option<String>,
}

impl ListFormat {
    /// By the extension `.csv` or `.jsonl`; everything else is a text.
    pub(crate) fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Self::Csv,
            Some("jsonl") => Self::JsonLines,
            _ => Self::Lines,
        }
    }

    /// The prompts in order, blank ones too; the reason where the text is not of this form. A missing final newline
    /// loses nothing.
    pub(crate) fn read(self, text: &str) -> Result<Vec<Listed>, String> {
        match self {
            Self::Lines => Ok(text.lines().enumerate().map(|(i, line)| Listed::new(i + 1, line)).collect()),
            Self::Csv => csv(text),
            Self::JsonLines => text
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.trim().is_empty())
                .map(|(i, line)| {
                    let object: Object = serde_json::from_str(line).map_err(|e| format!("line {}: {e}", i + 1))?;
                    Ok(Listed { line: i + 1, text: object.caption, group: object.overfit_type })
                })
                .collect(),
        }
    }
}

impl Listed {
    fn new(line: usize, text: &str) -> Self {
        Self { line, text: text.to_owned(), group: None }
    }
}

fn csv(text: &str) -> Result<Vec<Listed>, String> {
    // Every column as text: a prompt may look like a number.
    let options = CsvReadOptions::default().with_has_header(true).with_infer_schema_length(Some(0));
    let frame = options.into_reader_with_file_handle(Cursor::new(text.as_bytes())).finish();
    let frame = frame.map_err(|e| format!("is not a CSV table: {e}"))?;
    let column = frame.column("prompt").map_err(|_| "has no column 'prompt'".to_owned())?;
    let prompts = column.str().map_err(|e| e.to_string())?;
    Ok(prompts.iter().enumerate().map(|(i, prompt)| Listed::new(i + 1, prompt.unwrap_or_default())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(format: ListFormat, text: &str) -> Vec<String> {
        format.read(text).unwrap().into_iter().map(|listed| listed.text).collect()
    }

    #[test]
    fn all_forms_give_the_same_prompts() {
        let expected = ["a \"red\" hat, 15\u{2032}", "<i>12</i>"];
        assert_eq!(texts(ListFormat::Lines, "a \"red\" hat, 15\u{2032}\n<i>12</i>"), expected);
        let csv = ",prompt,urls\n0,\"a \"\"red\"\" hat, 15\u{2032}\",\"['x', 'y']\"\n1,<i>12</i>,['z']\n";
        assert_eq!(texts(ListFormat::Csv, csv), expected);
        let json = "{\"caption\": \"a \\\"red\\\" hat, 15\\u2032\", \"url\": 1}\n{\"prompt\": \"<i>12</i>\"}";
        assert_eq!(texts(ListFormat::JsonLines, json), expected);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(ListFormat::Csv.read("a,b\n1,2\n").unwrap_err(), "has no column 'prompt'");
        assert!(ListFormat::JsonLines.read("{\"caption\": \"a\"}\n{}").unwrap_err().starts_with("line 2: "));
    }
}
