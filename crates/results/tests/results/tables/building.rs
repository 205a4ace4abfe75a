//! What a table accepts and refuses.

use memscope_results::stats::{Ddof, Interval, Summary};
use memscope_results::table::{Cell, CellValue, Column, ColumnKind, ResultTable, TableError};

use super::sample;

fn columns() -> Vec<Column> {
    vec![Column::new("prompt", "Prompt", ColumnKind::Text), Column::new("auc", "AUC", ColumnKind::Measured)]
}

fn table() -> ResultTable {
    ResultTable::new("t", "T", columns()).expect("valid")
}

fn message<T: std::fmt::Debug>(result: Result<T, TableError>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn names_and_keys_are_checked() {
    for name in ["", "a/b", "..", ".hidden", "a b"] {
        assert!(message(ResultTable::new(name, "T", columns())).contains("table name"));
    }
    assert_eq!(message(ResultTable::new("t", "T", vec![])), "table t: no columns");
    let key = |key: &str| vec![Column::new(key, "K", ColumnKind::Text)];
    for bad in ["", "AUC", "tpr@1", "a b"] {
        assert!(message(ResultTable::new("t", "T", key(bad))).contains("column key"));
    }
    let mut twice = columns();
    twice.push(Column::new("auc_std", "StD", ColumnKind::Number));
    assert_eq!(message(ResultTable::new("t", "T", twice)), "table t: field \"auc_std\" occurs twice");
}

#[test]
fn rows_must_fit_the_columns() {
    let mut table = table();
    assert_eq!(message(table.push_row(vec![Cell::text("a")])), "table t, row 0: 1 cells for 2 columns");
    assert_eq!(
        message(table.push_row(vec![Cell::text("a"), Cell::text("b")])),
        "table t, row 0, column auc: a text cell in a column of kind measured"
    );
    let other = sample::table();
    let foreign = other.rows()[0][2].notes[0];
    assert_eq!(
        message(table.push_row(vec![Cell::text("a").with_note(foreign), Cell::number(1.0, 3)])),
        "table t, row 0, column prompt: there is no footnote 0"
    );
    assert!(table.rows().is_empty());
}

#[test]
fn numbers_that_are_not_finite_become_missing() {
    let mut table = table();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        table.push_row(vec![Cell::text("a"), Cell::number(value, 3)]).expect("fits");
    }
    let reasons: Vec<_> = table.rows().iter().map(|row| row[1].value.clone()).collect();
    let missing = |reason: &str| CellValue::Missing { reason: reason.into() };
    assert_eq!(reasons, ["not finite (NaN)", "not finite (inf)", "not finite (-inf)"].map(missing));
}

#[test]
fn a_spread_that_is_not_finite_is_left_out_and_said_so() {
    let mut table = table();
    let value = CellValue::Measured {
        value: 0.5,
        std: Some(f64::NAN),
        interval: Some(Interval { low: 0.0, high: f64::INFINITY }),
        decimals: 3,
    };
    table.push_row(vec![Cell::text("a"), value.into()]).expect("fits");
    let cell = table.cell(0, "auc").expect("there");
    let expected = CellValue::Measured { value: 0.5, std: None, interval: None, decimals: 3 };
    assert_eq!(cell.value, expected);
    let notes: Vec<&str> = cell.notes.iter().map(|note| table.footnotes()[note.index()].as_str()).collect();
    assert_eq!(notes, ["standard deviation not finite (NaN), left out", "interval not finite (0 to inf), left out"]);
}

#[test]
fn footnotes_and_provenance_are_kept_once() {
    let mut table = table();
    assert_eq!(table.footnote("x"), table.footnote("x"));
    table.set_provenance("seed", "42");
    table.set_provenance("dtype", "f32");
    table.set_provenance("seed", "51");
    let provenance: Vec<_> = table.provenance().iter().map(|o| (o.key.as_str(), o.value.as_str())).collect();
    assert_eq!(provenance, [("seed", "51"), ("dtype", "f32")]);
}

#[test]
fn json_reads_back_as_the_same_table() {
    let table = sample::table();
    let json = serde_json::to_string(&table).expect("serialisable");
    assert_eq!(serde_json::from_str::<ResultTable>(&json).expect("valid"), table);
}

#[test]
fn json_is_checked_like_a_table_built_by_hand() {
    let json = serde_json::to_string(&sample::table()).expect("serialisable");
    let read = |json: String| serde_json::from_str::<ResultTable>(&json).expect_err("refused").to_string();
    assert!(read(json.replacen("\"key\":\"n\"", "\"key\":\"auc\"", 1)).contains("occurs twice"));
    assert!(read(json.replacen("\"notes\":[0]", "\"notes\":[9]", 1)).contains("there is no footnote 9"));
    assert!(read(json.replacen("\"title\"", "\"headline\"", 1)).contains("headline"));
}

#[test]
fn the_schema_names_every_cell() {
    let schema = serde_json::to_string(&schemars::schema_for!(ResultTable)).expect("serialisable");
    for word in ["text", "integer", "number", "measured", "paper", "missing", "footnotes", "provenance"] {
        assert!(schema.contains(&format!("\"{word}\"")), "{word}");
    }
}

#[test]
fn a_summary_becomes_a_cell() {
    let summary = Summary::of(&[0.5, 0.7], Ddof::Sample).expect("finite");
    let cell = Cell::measured(summary, None, 3);
    assert!((cell.value.number().expect("a number") - 0.6).abs() < 1e-12);
}
