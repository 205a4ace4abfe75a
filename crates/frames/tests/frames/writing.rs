//! What is written can be read again.

use std::fs;

use memscope_frames::{Columns, Error, FrameColumn, Table, read_table, write_table};

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
        let scores = FrameColumn::new("score".into(), vec![Some(0.25), None]);
        write_table(&path, &table.columns, vec![scores]).unwrap();
        let back = read(&path);
        let text = |column: &str, row: usize| back.column(column, "").unwrap().cells[row].text().map(str::to_owned);
        assert_eq!(text("id", 0).as_deref(), Some("7"), "{name}");
        assert_eq!(text("id", 1).as_deref(), Some("3"), "{name}");
        assert_eq!(text("caption", 0).as_deref(), Some("12\" ruler, old"), "{name}");
        assert_eq!((text("caption", 1), text("score", 1)), (None, None), "{name}");
        assert_eq!(text("score", 0).as_deref(), Some("0.25"), "{name}");
    }
}

#[test]
fn a_failed_write_keeps_what_was_there_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.csv");
    fs::write(&path, "old").unwrap();
    let uneven = vec![FrameColumn::new("a".into(), vec![1.0, 2.0]), FrameColumn::new("b".into(), vec![1.0])];
    assert!(matches!(write_table(&path, &[], uneven), Err(Error::Write { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(matches!(write_table(&folder.path().join("out.xlsx"), &[], vec![]), Err(Error::OutputExtension { .. })));
}
