//! JSON as Python writes it: also NaN, Infinity and unpaired surrogates.

use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    table::{Cell, Column, Table},
    text::lines,
    values::is_beyond_64_bits,
};

/// Reads one object or text a line; blank lines are passed over.
pub(crate) fn read_lines(file: &str, text: &str) -> Result<Table> {
    let mut rows = vec![];
    for (i, line) in lines(text).enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let value = parse(line).map_err(|e| Error::form(file, format!("line {}: {}", i + 1, reason(&e))))?;
        rows.push(value);
    }
    table(file, rows)
}

/// Reads an array of objects or texts; a file that begins with an object is read as JSON lines.
pub(crate) fn read_array(file: &str, text: &str) -> Result<Table> {
    let start = text.trim_start();
    if start.starts_with('{') {
        // One object over several lines is not a table.
        return match parse(start) {
            Ok(Value::Object(_)) if start.trim_end().lines().count() > 1 => Err(Error::form(
                file,
                "holds one JSON object; a table is an array of objects or of texts, or one object a line",
            )),
            _ => read_lines(file, text),
        };
    }
    match parse(start) {
        Ok(Value::Array(rows)) => table(file, rows),
        Ok(_) => Err(Error::form(file, "is not a JSON array of objects or of texts")),
        Err(error) => {
            Err(Error::form(file, format!("line {}, column {}: {}", error.line(), error.column(), reason(&error))))
        }
    }
}

fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    match text {
        "recursion limit exceeded" => "values are nested too deeply (more than 127 levels)".to_owned(),
        other => format!("is not JSON: {other}"),
    }
}

/// A value, after what Python adds to JSON has been put into JSON's own terms.
fn parse(text: &str) -> serde_json::Result<Value> {
    match standard(text) {
        Some(standard) => serde_json::from_str(&standard),
        None => serde_json::from_str(text),
    }
}

/// The text with NaN, the infinities and whole numbers beyond 64 bits as texts, and unpaired surrogates as U+FFFD; `None`
/// where there are none.
fn standard(text: &str) -> Option<String> {
    let long = text.as_bytes().windows(19).any(|run| run.iter().all(u8::is_ascii_digit));
    if !long && !text.contains("NaN") && !text.contains("Infinity") && !text.contains("\\u") {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut quoted = false;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '"' => {
                quoted = !quoted;
                out.push(c);
            }
            '\\' if quoted => {
                let (escape, length) = escape(rest);
                out.push_str(escape);
                taken = length;
            }
            'N' | 'I' | '-' if !quoted => {
                match ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| rest.starts_with(word)) {
                    Some(word) => {
                        out.push_str(&format!("\"{word}\""));
                        taken = word.len();
                    }
                    None if c == '-' => {
                        taken = whole_number(rest, &mut out);
                    }
                    None => out.push(c),
                }
            }
            '0'..='9' if !quoted => taken = whole_number(rest, &mut out),
            _ => out.push(c),
        }
        rest = &rest[taken..];
    }
    Some(out)
}

/// Copies the number at the start of a text, between quotes where 64 bits do not hold it; returns its length.
fn whole_number(text: &str, out: &mut String) -> usize {
    let more = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    let end = 1 + text[1..].find(|c| !more(c)).unwrap_or(text.len() - 1);
    let number = &text[..end];
    if is_beyond_64_bits(number) {
        out.push_str(&format!("\"{number}\""));
    } else {
        out.push_str(number);
    }
    end
}

/// The escape at the start of a text and how long it is; an unpaired surrogate becomes U+FFFD.
fn escape(text: &str) -> (&str, usize) {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    match unit(text) {
        Some(0xd800..=0xdbff) => match text.get(6..).and_then(unit) {
            Some(0xdc00..=0xdfff) => (&text[..12], 12),
            _ => ("\\ufffd", 6),
        },
        Some(0xdc00..=0xdfff) => ("\\ufffd", 6),
        _ => {
            let length = 1 + text[1..].chars().next().map_or(0, char::len_utf8);
            (&text[..length], length)
        }
    }
}

/// Columns in the order in which their names first appear.
fn table(file: &str, rows: Vec<Value>) -> Result<Table> {
    let mut columns: Vec<Column> = vec![];
    let mut place: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    let count = rows.len();
    for (row, value) in rows.into_iter().enumerate() {
        let object = match value {
            Value::Object(object) => object,
            text @ Value::String(_) => Map::from_iter([("prompt".to_owned(), text)]),
            other => {
                let what = kind(&other);
                let reason = format!("row {}: {what} where an object or a text belongs", row + 1);
                return Err(Error::form(file, reason));
            }
        };
        for (name, value) in object {
            let at = match place.get(&name) {
                Some(at) => *at,
                None if columns.len() == 10_000 => {
                    return Err(Error::form(file, format!("row {}: more than 10000 different fields", row + 1)));
                }
                None => {
                    columns.push(Column::new(&name, vec![]));
                    place.insert(name, columns.len() - 1);
                    columns.len() - 1
                }
            };
            columns[at].cells.resize(row, Cell::Empty);
            columns[at].cells.push(cell(value));
        }
    }
    columns.iter_mut().for_each(|column| column.cells.resize(count, Cell::Empty));
    Ok(Table::new(file, columns))
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Empty,
        Value::String(text) => Cell::Text(text),
        Value::Bool(flag) => Cell::Bare(flag.to_string()),
        Value::Number(number) => Cell::Bare(number.to_string()),
        nested => Cell::Nested(nested.to_string()),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_adds_to_json_is_read() {
        let text = "{\"caption\": \"NaN \\ud83d\\ude00 \\ud83d!\", \"score\": NaN, \"x\": [-Infinity, Infinity]}\n";
        let table = read_lines("t.jsonl", text).unwrap();
        assert_eq!(table.columns[0].cells[0], Cell::Text("NaN \u{1f600} \u{fffd}!".into()));
        assert_eq!(table.columns[1].cells[0], Cell::Text("NaN".into()));
    }

    #[test]
    fn arrays_lines_and_texts_give_the_same_table() {
        for text in ["[\"red apple\", \"black cat\"]", "\"red apple\"\n\"black cat\"\n"] {
            let table = if text.starts_with('[') { read_array("t", text) } else { read_lines("t", text) }.unwrap();
            assert_eq!(table.columns[0].name, "prompt");
            assert_eq!(table.columns[0].cells[1], Cell::Text("black cat".into()));
        }
    }

    #[test]
    fn a_field_that_rows_lack_is_empty_there() {
        let table = read_lines("t", "{\"a\": 1}\n{\"b\": true}\n{\"a\": 99999999999999999999999}").unwrap();
        assert_eq!(
            table.columns[0].cells,
            [Cell::Bare("1".into()), Cell::Empty, Cell::Text("99999999999999999999999".into())]
        );
        assert_eq!(table.columns[1].cells, [Cell::Empty, Cell::Bare("true".into()), Cell::Empty]);
    }

    #[test]
    fn deep_nesting_and_other_values_are_refused_with_their_line() {
        let deep = format!("{{\"a\": 1}}\n{{\"x\": {}{}}}", "[".repeat(300_000), "]".repeat(300_000));
        let message = read_lines("t.jsonl", &deep).unwrap_err().to_string();
        assert!(message.contains("line 2") && message.contains("nested too deeply"), "{message}");
        assert!(read_lines("t", "{\"a\": 1}\n[1]").unwrap_err().to_string().contains("row 2: a list"));
        assert!(read_array("t", "{\n \"prompts\": []\n}").unwrap_err().to_string().contains("one JSON object"));
    }
}
