//! Parquet files written by pandas (`scripts/fixtures/make_frames.py`; versions in `files/versions.txt`).

use std::path::PathBuf;

use memscope_frames::{Cell, Columns, Error, prompt_column, read_table};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/frames/files").join(name)
}

#[test]
fn scores_of_every_numeric_type_are_read() {
    for kind in ["uint8", "int8", "uint16", "int16", "int64", "bool"] {
        let table = read_table(&file("scores.parquet"), Columns::Only(&[kind, "f64"])).unwrap();
        assert_eq!(table.columns.len(), 2, "{kind}: only what is asked for is read");
        assert_eq!(
            table.column(kind, "--label").unwrap().labels(&table).unwrap(),
            [true, false, true, false],
            "{kind}"
        );
    }
    for (kind, tolerance) in [("f64", 0.0), ("f32", 1e-7), ("f16", 1e-3)] {
        let table = read_table(&file("scores.parquet"), Columns::Only(&[kind])).unwrap();
        let scores = table.column(kind, "--score").unwrap().numbers(&table).unwrap();
        for (score, expected) in scores.iter().zip([0.9, 0.1, 0.8, 0.85]) {
            assert!((score - expected).abs() <= tolerance, "{kind}: {score}");
        }
    }
}

#[test]
fn categories_are_text_and_other_columns_do_not_disturb() {
    let table = read_table(&file("scores.parquet"), Columns::All).unwrap();
    let category = table.column("category", "--label").unwrap();
    assert_eq!(category.labels(&table).unwrap(), [true, false, true, false]);
    assert_eq!(table.left_out, ["urls"]);
    assert_eq!(table.column("when", "--column").unwrap().cells.get(0).text().unwrap().get(..10), Some("2026-01-01"));
    let prompts = prompt_column(&table, None).unwrap();
    let prompts: Vec<Option<&str>> = prompts.iter().map(Cell::text).collect();
    assert_eq!(prompts, [Some("red apple"), None, Some("black cat"), Some("green tree")]);
}

/// Kinds that polars was built without, beside those that are asked for.
#[test]
fn unusual_kinds_are_text_or_left_out() {
    let table = read_table(&file("unusual.parquet"), Columns::All).unwrap();
    assert_eq!(table.left_out, ["decimal", "pair", "bytes"]);
    assert_eq!(table.column("score", "--score").unwrap().numbers(&table).unwrap(), [0.9, 0.1]);
    let text = |name: &str| table.column(name, "--column").unwrap().cells.get(0).text().map(str::to_owned);
    assert_eq!(text("zone").as_deref(), Some("2026-01-01 11:00:00.000000 UTC"));
    assert_eq!(text("span").as_deref(), Some("90000000 μs"));
    let message = table.column("decimal", "--score").unwrap_err().to_string();
    assert!(message.contains("column 'decimal'") && message.contains("float64"), "{message}");
}

#[test]
fn a_column_that_is_not_there_is_named_with_those_that_are() {
    let table = read_table(&file("scores.parquet"), Columns::Only(&["score"])).unwrap();
    let message = table.column("score", "--score").unwrap_err().to_string();
    assert!(
        message.contains("no column 'score'") && message.contains("'f64'") && message.contains("--score"),
        "{message}"
    );
}

#[test]
fn a_file_that_is_no_parquet_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    std::fs::write(&path, b"PAR1 and nothing else").unwrap();
    assert!(matches!(read_table(&path, Columns::All), Err(Error::Form { .. })));
}
