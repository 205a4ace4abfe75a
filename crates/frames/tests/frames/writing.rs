//! What is written can be read again.

use std::fs::{self, File};

use memscope_frames::{Columns, Error, FrameColumn, FrameWriter, OutputFormat, Table, column_of, read_table};

fn read(path: &std::path::Path) -> Table {
    read_table(path, Columns::All).unwrap()
}

#[test]
fn a_table_keeps_its_columns_and_row_order_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.jsonl");
    fs::write(
        &input,
        "{\"id\": 7, \"caption\": \"12\\\" ruler, old\", \"ok\": true}\n{\"id\": 3, \"caption\": null}\n",
    )
    .unwrap();
    let table = read(&input);
    for name in ["out.csv", "out.parquet", "out.jsonl"] {
        let path = folder.path().join(name);
        let mut columns: Vec<FrameColumn> = table.columns.iter().map(|column| column_of(column, &(0..2))).collect();
        columns.push(FrameColumn::new("score".into(), vec![Some(0.25), None]));
        let format = OutputFormat::of(&path).unwrap();
        FrameWriter::begin(format, File::create(&path).unwrap(), 2, columns).unwrap().finish().unwrap();
        let back = read(&path);
        let text = |column: &str, row: usize| back.column(column, "").unwrap().cells.get(row).text().map(str::to_owned);
        assert_eq!(text("id", 0).as_deref(), Some("7"), "{name}");
        assert_eq!(text("caption", 0).as_deref(), Some("12\" ruler, old"), "{name}");
        assert_eq!(text("score", 0).as_deref(), Some("0.25"), "{name}");
        assert_eq!(text("id", 1).as_deref(), Some("3"), "{name}");
        assert_eq!((text("caption", 1), text("score", 1)), (None, None), "{name}");
    }
}

#[test]
fn what_makes_no_table_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.csv");
    let uneven = vec![FrameColumn::new("a".into(), vec![1.0, 2.0]), FrameColumn::new("b".into(), vec![1.0])];
    assert!(FrameWriter::begin(OutputFormat::Csv, File::create(&path).unwrap(), 2, uneven).is_err());
    assert!(matches!(OutputFormat::of(&folder.path().join("out.xlsx")), Err(Error::OutputExtension { .. })));
}
