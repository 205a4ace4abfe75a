//! JSON as Python writes it: also NaN, Infinity and unpaired surrogates.

use std::{collections::HashMap, fmt};

use serde_json::{Map, Value};

use crate::{
    cells::{Cell, Cells},
    error::{Error, Result},
    table::{Column, Table},
    text::lines,
    values::is_beyond_64_bits,
};

/// Reads one object or text a line; blank lines are passed over. A line cannot be a list, so that a file that begins with one
/// is read as an array.
pub(crate) fn read_lines(file: &str, text: &str) -> Result<Table> {
    if text.trim_start().starts_with('[') {
        return read_array(file, text);
    }
    let mut rows = Rows::new(file);
    for (i, line) in lines(text).enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let value = parse(line).map_err(|e| Error::form(file, format!("line {}: {}", i + 1, reason(&e))))?;
        rows.push(value)?;
    }
    Ok(rows.table())
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
    let mut rows = Rows::new(file);
    let read = match standard(start) {
        Some(standard) => rows.read_array(&standard),
        None => rows.read_array(start),
    };
    match read {
        Ok(wrong) => wrong.map_or_else(|| Ok(rows.table()), Err),
        Err(error) if error.is_data() => Err(Error::form(file, "is not a JSON array of objects or of texts")),
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

/// Most different fields of a table.
const MOST_FIELDS: usize = 10_000;

/// The rows of a table as they are read: columns in the order in which their names first appear.
struct Rows<'f> {
    file: &'f str,
    columns: Vec<(String, Cells)>,
    place: HashMap<String, usize>,
    count: usize,
}

impl<'f> Rows<'f> {
    fn new(file: &'f str) -> Self {
        Self { file, columns: vec![], place: HashMap::new(), count: 0 }
    }

    fn push(&mut self, value: Value) -> Result<()> {
        let row = self.count;
        let object = match value {
            Value::Object(object) => object,
            text @ Value::String(_) => Map::from_iter([("prompt".to_owned(), text)]),
            other => {
                let what = kind(&other);
                let reason = format!("row {}: {what} where an object or a text belongs", row + 1);
                return Err(Error::form(self.file, reason));
            }
        };
        for (name, value) in object {
            let at = match self.place.get(&name) {
                Some(at) => *at,
                None if self.columns.len() == MOST_FIELDS => {
                    let reason = format!("row {}: more than {MOST_FIELDS} different fields", row + 1);
                    return Err(Error::form(self.file, reason));
                }
                None => {
                    self.columns.push((name.clone(), Cells::default()));
                    self.place.insert(name, self.columns.len() - 1);
                    self.columns.len() - 1
                }
            };
            let cells = &mut self.columns[at].1;
            cells.fill(row);
            match value {
                Value::Null => cells.push(Cell::Empty),
                Value::String(text) => cells.push(Cell::Text(&text)),
                Value::Bool(flag) => cells.push(Cell::Bare(&flag.to_string())),
                Value::Number(number) => cells.push(Cell::Bare(&number.to_string())),
                nested => cells.push(Cell::Nested(&nested.to_string())),
            }
        }
        self.count += 1;
        Ok(())
    }

    /// Reads the rows of an array one after the other; the first of them that is none, if there is one.
    fn read_array(&mut self, text: &str) -> serde_json::Result<Option<Error>> {
        use serde::Deserializer;
        let mut reader = serde_json::Deserializer::from_str(text);
        let wrong = reader.deserialize_any(ArrayOf(self))?;
        reader.end()?;
        Ok(wrong)
    }

    fn table(self) -> Table {
        let Self { file, columns, count, .. } = self;
        let column = |(name, mut cells): (String, Cells)| {
            cells.fill(count);
            Column::new(&name, cells)
        };
        Table::new(file, columns.into_iter().map(column).collect())
    }
}

/// An array whose elements are rows.
struct ArrayOf<'r, 'f>(&'r mut Rows<'f>);

impl<'de> serde::de::Visitor<'de> for ArrayOf<'_, '_> {
    type Value = Option<Error>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut elements: A) -> std::result::Result<Self::Value, A::Error> {
        let mut wrong = None;
        while let Some(element) = elements.next_element()? {
            if wrong.is_none() {
                wrong = self.0.push(element).err();
            }
        }
        Ok(wrong)
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
        assert_eq!(table.columns[0].cells.get(0), Cell::Text("NaN \u{1f600} \u{fffd}!"));
        assert_eq!(table.columns[1].cells.get(0), Cell::Text("NaN"));
    }

    #[test]
    fn arrays_lines_and_texts_give_the_same_table() {
        for text in ["[\"red apple\", \"black cat\"]", "\"red apple\"\n\"black cat\"\n"] {
            for table in [read_array("t", text), read_lines("t", text)].into_iter().flatten() {
                assert_eq!(table.columns[0].name, "prompt");
                assert_eq!(table.columns[0].cells.get(1), Cell::Text("black cat"));
            }
            assert!(read_lines("t", text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_field_that_rows_lack_is_empty_there() {
        let table = read_lines("t", "{\"a\": 1}\n{\"b\": true}\n{\"a\": 99999999999999999999999}").unwrap();
        let column = |at: usize| table.columns[at].cells.iter().collect::<Vec<_>>();
        assert_eq!(column(0), [Cell::Bare("1"), Cell::Empty, Cell::Text("99999999999999999999999")]);
        assert_eq!(column(1), [Cell::Empty, Cell::Bare("true"), Cell::Empty]);
    }

    #[test]
    fn deep_nesting_and_other_values_are_refused_with_their_line() {
        let deep = format!("{{\"a\": 1}}\n{{\"x\": {}{}}}", "[".repeat(300_000), "]".repeat(300_000));
        let message = read_lines("t.jsonl", &deep).unwrap_err().to_string();
        assert!(message.contains("line 2") && message.contains("nested too deeply"), "{message}");
        assert!(read_lines("t", "{\"a\": 1}\n[1]").unwrap_err().to_string().contains("row 2: a list"));
        let of_array = |text: &str| read_array("t", text).unwrap_err().to_string();
        assert!(of_array("{\n \"prompts\": []\n}").contains("one JSON object"));
        assert!(of_array("[{\"a\": 1}, 2]").contains("row 2: a number"));
        assert!(of_array("[{\"a\": 1}, 2").contains("line 1, column 12"));
        assert!(of_array("[{\"a\": 1}] x").contains("line 1, column 12"));
        for text in ["5", "\"a\"", "true", "null", "-1.5"] {
            assert!(of_array(text).contains("is not a JSON array"), "{text}");
        }
    }
}
