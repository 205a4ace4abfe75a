//! Snapshots of every format.

use memscope_results::export::Format;
use memscope_results::table::ResultTable;

use super::sample;

fn written(table: &ResultTable, format: Format) -> String {
    let mut out = Vec::new();
    format.exporter().write(table, &mut out).expect("writing to memory");
    String::from_utf8(out).expect("text")
}

#[test]
fn markdown() {
    insta::assert_snapshot!(written(&sample::table(), Format::Markdown));
}

#[test]
fn csv() {
    insta::assert_snapshot!(written(&sample::table(), Format::Csv));
}

#[test]
fn json() {
    insta::assert_snapshot!(written(&sample::table(), Format::Json));
}

#[test]
fn latex() {
    insta::assert_snapshot!(written(&sample::table(), Format::Latex));
}

#[test]
fn text() {
    insta::assert_snapshot!(written(&sample::table(), Format::Text));
}

#[test]
fn a_table_without_rows() {
    let all: Vec<String> = Format::ALL.iter().map(|&format| written(&sample::empty(), format)).collect();
    insta::assert_snapshot!(all.join("\n=====\n"));
}

#[test]
fn markdown_rows_have_one_cell_per_column() {
    let text = written(&sample::table(), Format::Markdown);
    let rows = text.lines().filter(|line| line.starts_with('|'));
    for row in rows {
        let separators = row.replace("\\\\", "").replace("\\|", "").matches('|').count();
        assert_eq!(separators, sample::table().columns().len() + 1, "{row}");
    }
}

#[test]
fn text_columns_line_up() {
    use unicode_width::UnicodeWidthStr;
    let text = written(&sample::table(), Format::Text);
    let lines: Vec<&str> = text.lines().collect();
    let rule = lines.iter().position(|line| line.starts_with('─')).expect("a rule");
    // The last column is aligned right, so that all lines end together.
    let ends: Vec<usize> = lines[rule - 1..rule + 3].iter().map(|line| line.width()).collect();
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
}

#[test]
fn names_of_formats() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert_eq!(
        "xls".parse::<Format>().expect_err("no such format").to_string(),
        "unknown table format \"xls\"; expected markdown, csv, json, latex or text"
    );
}
