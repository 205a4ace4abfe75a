//! Values with a delimiter, read as Python's csv module and spreadsheets read them: a quote inside an unquoted cell is a
//! character like any other.

use memscope_text::excerpt;

use crate::{
    cells::{Cell, Cells},
    error::{Error, Result},
    table::{Column, PROMPT_NAMES, Table},
};

/// Delimiters, the likeliest first.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// More columns than any table of prompts has.
const MOST_COLUMNS: usize = 10_000;

/// Reads a table with a header. `delimiter`: the one to use, or `None` to find it in the header.
pub(crate) fn read(file: &str, text: &str, delimiter: Option<u8>) -> Result<Table> {
    let (text, said) = without_hint(text);
    let delimiter = match delimiter.or(said) {
        Some(delimiter) => delimiter,
        None => find_delimiter(file, text)?,
    };
    if let Some(row) = unclosed_quote(text.as_bytes(), delimiter) {
        let place = if row == 0 { "the header".to_owned() } else { format!("row {row}") };
        return Err(Error::form(file, format!("{place}: a quote is opened at the start of a cell and never closed")));
    }
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes())
        .into_records();
    let wrong = |e: csv::Error| Error::form(file, format!("is not a CSV table: {e}"));
    let header = rows.next().transpose().map_err(wrong)?.unwrap_or_default();
    if header.len() > MOST_COLUMNS {
        return Err(Error::form(file, format!("the header has {} cells, more than {MOST_COLUMNS}", header.len())));
    }
    let mut columns = vec![Cells::default(); header.len()];
    for (i, record) in rows.enumerate() {
        let record = record.map_err(wrong)?;
        if let Some(extra) = record.iter().skip(header.len()).find(|cell| !cell.trim().is_empty()) {
            let (cells, names) = (record.len(), header.len());
            return Err(Error::form(
                file,
                format!(
                    "row {} has {cells} cells where the header has {names} (the first too many is '{}'); put a cell \
                     that holds '{}' between quotes",
                    i + 1,
                    excerpt(extra),
                    delimiter_name(delimiter)
                ),
            ));
        }
        for (at, column) in columns.iter_mut().enumerate() {
            column.push(match record.get(at) {
                None | Some("") => Cell::Empty,
                Some(text) => Cell::Text(text),
            });
        }
    }
    let columns = header.iter().zip(columns).map(|(name, cells)| Column::new(name.trim(), cells)).collect();
    let mut table = Table::new(file, columns);
    table.decimal_comma = delimiter != b',';
    Ok(table)
}

fn delimiter_name(delimiter: u8) -> &'static str {
    match delimiter {
        b'\t' => "tab",
        b';' => ";",
        _ => ",",
    }
}

/// The text after a first line `sep=;`, with which Excel is told the delimiter, and that delimiter.
fn without_hint(text: &str) -> (&str, Option<u8>) {
    let first = crate::text::lines(text).next().unwrap_or_default();
    let said = first.trim_matches('"').strip_prefix("sep=").filter(|said| said.len() == 1);
    match said.map(|said| said.as_bytes()[0]).filter(|said| DELIMITERS.contains(said)) {
        Some(said) => (text[first.len()..].trim_start_matches(['\r', '\n']), Some(said)),
        None => (text, None),
    }
}

/// The delimiter of a table: the only one that the header holds. Where it holds several, the one that gives every row as
/// many cells as the header.
fn find_delimiter(file: &str, text: &str) -> Result<u8> {
    let header = crate::text::lines(text).find(|line| !line.trim().is_empty()).unwrap_or_default();
    let outside = outside_quotes(header);
    let there: Vec<u8> = DELIMITERS.into_iter().filter(|d| outside.contains(char::from(*d))).collect();
    match there.as_slice() {
        [] => Ok(b','),
        [only] => Ok(*only),
        several => {
            let fits: Vec<u8> = several.iter().copied().filter(|d| is_even(text, *d)).collect();
            match fits.as_slice() {
                [one] => Ok(*one),
                _ => Err(Error::form(
                    file,
                    format!(
                        "the header '{}' holds several delimiters; use one of comma, semicolon and tab, and put cells \
                         that hold it between quotes",
                        excerpt(header)
                    ),
                )),
            }
        }
    }
}

fn outside_quotes(line: &str) -> String {
    let mut quoted = false;
    let keep = |c: &char| {
        quoted ^= *c == '"';
        !quoted
    };
    line.chars().filter(keep).collect()
}

/// Whether the first rows all have as many cells as the header, and more than one.
fn is_even(text: &str, delimiter: u8) -> bool {
    let reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    let lengths: Vec<usize> = reader.into_records().take(100).flatten().map(|record| record.len()).collect();
    lengths.first().is_some_and(|first| *first > 1 && lengths.iter().all(|length| length == first))
}

/// Refuses a list of prompts that is a table.
pub(crate) fn refuse_table(file: &str, text: &str) -> Result<()> {
    match looks_like_a_table(text) {
        None => Ok(()),
        Some(ending) => {
            let reason = format!("looks like a table with a header, not like one prompt a line; name it {ending}");
            Err(Error::form(file, reason))
        }
    }
}

/// The ending that a list should have whose first line is the header of a table: names without a blank, one of them of prompts,
/// and as many cells in every line. A prompt may well be `text, logo`.
fn looks_like_a_table(text: &str) -> Option<&'static str> {
    let mut filled = crate::text::lines(text).filter(|line| !line.trim().is_empty());
    let header = filled.next()?;
    filled.next()?;
    let is_header = |delimiter: char| {
        let names: Vec<&str> = header.split(delimiter).map(|name| name.trim_matches('"')).collect();
        names.len() > 1
            && names.iter().all(|name| !name.is_empty() && !name.contains(char::is_whitespace))
            && names.iter().any(|name| PROMPT_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)))
    };
    [(',', ".csv"), (';', ".csv"), ('\t', ".tsv")]
        .into_iter()
        .find_map(|(delimiter, ending)| (is_header(delimiter) && is_even(text, delimiter as u8)).then_some(ending))
}

/// The row (0: the header) of a cell that begins with a quote which nothing closes.
fn unclosed_quote(bytes: &[u8], delimiter: u8) -> Option<usize> {
    #[derive(PartialEq)]
    enum At {
        CellStart,
        Plain,
        Quoted,
        AfterQuote,
    }
    let (mut at, mut row, mut opened) = (At::CellStart, 0, 0);
    let mut ended_by_cr = false;
    for &byte in bytes {
        let line_end = byte == b'\n' || byte == b'\r';
        at = match at {
            At::Quoted if byte == b'"' => At::AfterQuote,
            At::Quoted => At::Quoted,
            At::AfterQuote if byte == b'"' => At::Quoted,
            At::CellStart if byte == b'"' => {
                opened = row;
                At::Quoted
            }
            _ if byte == delimiter => At::CellStart,
            _ if line_end => {
                row += usize::from(!(byte == b'\n' && ended_by_cr));
                At::CellStart
            }
            _ => At::Plain,
        };
        ended_by_cr = byte == b'\r';
    }
    (at == At::Quoted).then_some(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(text: &str, name: &str) -> Vec<String> {
        let table = read("t.csv", text, None).unwrap();
        let column = table.column(name, "--column").unwrap();
        column.cells.iter().map(|cell| cell.text().unwrap_or_default().to_owned()).collect()
    }

    /// Python 3.11, `csv.DictReader` on the same texts.
    #[test]
    fn quotes_are_read_as_python_reads_them() {
        let text =
            "n,prompt,source\n1,red apple,web\n2,a 12\" ruler,web\n3,\"Best\" mug ever,web\n4,\"a \"\"b\"\", c\",web\n";
        assert_eq!(column(text, "prompt"), ["red apple", "a 12\" ruler", "Best mug ever", "a \"b\", c"]);
    }

    #[test]
    fn the_delimiter_is_found_in_the_header() {
        assert_eq!(column("prompt;score\nred, round apple;0,5\n", "prompt"), ["red, round apple"]);
        assert_eq!(column("prompt\tscore\nred; apple\t1\n", "prompt"), ["red; apple"]);
        assert_eq!(column("prompt\nred; apple\n", "prompt"), ["red; apple"]);
        assert_eq!(column("sep=;\r\nprompt;n\r\nred, apple;1\r\n", "prompt"), ["red, apple"]);
        assert_eq!(column("a;b,prompt\n1;2,red\n3;4,blue; dark\n", "prompt"), ["red", "blue; dark"]);
        let error = read("t.csv", "a;b,c\n1;2,3\n", None).unwrap_err().to_string();
        assert!(error.contains("several delimiters"), "{error}");
    }

    #[test]
    fn carriage_returns_alone_end_rows() {
        assert_eq!(column("prompt,n\rred apple,1\rblack cat,2\r", "prompt"), ["red apple", "black cat"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_row() {
        let error = |text: &str| read("t.csv", text, None).unwrap_err().to_string();
        let message = error("prompt,n\nred,1\nblack, old cat,2\n");
        assert!(message.contains("row 2 has 3 cells where the header has 2"), "{message}");
        let message = error("prompt,n\nred,1\n\"black cat,2\nblue,3\n");
        assert!(message.contains("row 2") && message.contains("never closed"), "{message}");
    }

    #[test]
    fn a_header_is_no_prompt() {
        for text in ["prompt,source\nred apple,web\n", "n;Caption\r\n1;red\r\n", "\"id\"\t\"text\"\n1\tred apple\n"] {
            assert!(looks_like_a_table(text).is_some(), "{text}");
        }
        for text in [
            "text, logo\nblurry, text\n",
            "text,logo\nred apple\n",
            "prompt\nred\n",
            "red,blue\na,b\n",
            "text,logo\n",
            "",
        ] {
            assert!(looks_like_a_table(text).is_none(), "{text}");
        }
    }
}
