//! From bytes to text, and plain lists.

use std::borrow::Cow;

use crate::{
    cells::Cell,
    error::{Error, Result},
    format::Format,
    table::{Column, Table},
};

/// The text of a file: UTF-8 with or without a byte-order mark; UTF-16 with one, as spreadsheets save it, for tables.
pub(crate) fn decode<'b>(file: &str, bytes: &'b [u8], format: Format) -> Result<Cow<'b, str>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let utf16 = match bytes {
        [0xff, 0xfe, rest @ ..] => Some((rest, u16::from_le_bytes as fn([u8; 2]) -> u16)),
        [0xfe, 0xff, rest @ ..] => Some((rest, u16::from_be_bytes as fn([u8; 2]) -> u16)),
        _ => None,
    };
    match utf16 {
        Some((rest, unit)) if matches!(format, Format::Csv | Format::Tsv) => {
            if rest.len() % 2 != 0 {
                return Err(Error::form(
                    file,
                    "is UTF-16 text that ends in the middle of a character; save it as UTF-8",
                ));
            }
            let units = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
            let text: std::result::Result<String, _> = char::decode_utf16(units).collect();
            match text {
                Ok(text) if !text.contains('\0') => Ok(Cow::Owned(text)),
                _ => Err(Error::form(file, "is no UTF-16 text that can be read; save it as UTF-8")),
            }
        }
        Some(_) => Err(Error::form(file, "line 1 is not UTF-8 (the file is UTF-16); save the file as UTF-8")),
        None => {
            let text = std::str::from_utf8(bytes).map_err(|e| {
                let line = bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
                Error::form(file, format!("line {line} is not UTF-8; save the file as UTF-8"))
            })?;
            match text.find('\0') {
                Some(at) => {
                    let line = text[..at].lines().count().max(1);
                    Err(Error::form(file, format!("line {line} holds a zero byte; this is not a text file")))
                }
                None => Ok(Cow::Borrowed(text)),
            }
        }
    }
}

/// The lines of a text: they end in `\n`, `\r\n` or `\r`; a missing last line end loses nothing.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text).filter(|text| !text.is_empty());
    std::iter::from_fn(move || {
        let text = rest?;
        match text.find(['\n', '\r']) {
            None => {
                rest = None;
                Some(text)
            }
            Some(end) => {
                let width = if text[end..].starts_with("\r\n") { 2 } else { 1 };
                rest = Some(&text[end + width..]).filter(|left| !left.is_empty());
                Some(&text[..end])
            }
        }
    })
}

/// A plain list as a table with the one column `prompt`; blank lines are empty cells.
pub(crate) fn list(file: &str, text: &str) -> Result<Table> {
    if looks_like_json(text) {
        return Err(Error::form(file, "looks like JSON, not like one prompt a line; name it .jsonl or .json"));
    }
    let cells = lines(text).map(|line| match line.trim() {
        "" => Cell::Empty,
        prompt => Cell::Text(prompt),
    });
    Ok(Table::new(file, vec![Column::new("prompt", cells.collect())]))
}

/// Whether a list begins with a JSON object, or is an array. A prompt may well begin with a bracket.
fn looks_like_json(text: &str) -> bool {
    let text = text.trim_start();
    let first = lines(text).next().unwrap_or_default().trim();
    let object = first.starts_with('{') && serde_json::from_str::<serde_json::Map<_, _>>(first).is_ok();
    let values = first.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['"', '{']))
        && serde_json::from_str::<Vec<serde_json::Value>>(first).is_ok();
    object || values || (matches!(first, "[" | "{") && text.trim_end().ends_with([']', '}']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_line_ends_end_a_line() {
        for text in ["a\nb\n\nc", "a\r\nb\r\n\r\nc\r\n", "a\rb\r\rc\r", "a\rb\n\r\nc"] {
            assert_eq!(lines(text).collect::<Vec<_>>(), ["a", "b", "", "c"], "{text:?}");
        }
        assert_eq!(lines("").count(), 0);
    }

    #[test]
    fn a_prompt_may_begin_with_a_bracket() {
        assert!(!looks_like_json("[red] apple\n{black} cat"));
        assert!(looks_like_json("{\"caption\": \"red apple\"}\n{}"));
        assert!(looks_like_json("[\n \"red apple\"\n]\n"));
        assert!(looks_like_json("[\"red apple\", \"black cat\"]"));
        assert!(!looks_like_json("[1] red apple"));
    }
}
