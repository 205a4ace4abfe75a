//! Nothing that a file holds makes a reader panic.

use std::{fs, path::Path};

use memscope_frames::{Columns, Error, Format, prompt_column, read_bytes, read_table};
use proptest::prelude::*;

/// Reads whatever can be read, all columns as prompts, numbers and classes.
fn use_all(file: &Path) {
    if let Ok(table) = read_table(file, Columns::All) {
        let _ = prompt_column(&table, None);
        for column in &table.columns {
            let _ = (column.numbers(&table), column.labels(&table));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_a_table_or_an_error_of_bounded_length(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"\",;\t\r\n{}[]:\\uN10.".to_vec())], 0..300),
    ) {
        for format in [Format::Lines, Format::Csv, Format::Tsv, Format::JsonLines, Format::Json] {
            match read_bytes("t", &bytes, format) {
                Ok(table) => prop_assert!(table.columns.iter().all(|c| c.cells.len() == table.rows())),
                Err(error) => prop_assert!(error.to_string().len() < 2_000),
            }
        }
    }

    #[test]
    fn a_damaged_parquet_file_is_a_table_or_an_error(at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in 0_usize..3) {
        let good = include_bytes!("files/scores.parquet");
        let mut bytes = good.to_vec();
        let i = at.index(bytes.len());
        match cut {
            0 => bytes.truncate(i),
            _ => bytes[i] = byte,
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        fs::write(&path, bytes).unwrap();
        use_all(&path);
    }
}

/// Every byte of a Parquet file changed in four ways, one at a time: counts and sizes become negative or huge.
#[test]
fn no_changed_byte_of_a_parquet_file_ends_the_program() {
    let good = include_bytes!("files/scores.parquet");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let mut read = 0;
    for at in 0..good.len() {
        for byte in [0x00, 0xff, good[at] ^ 0x01, good[at] ^ 0x80] {
            let mut bytes = good.to_vec();
            bytes[at] = byte;
            fs::write(&path, bytes).unwrap();
            use_all(&path);
            read += 1;
        }
    }
    assert_eq!(read, 4 * good.len());
}

/// The header of the first page is that of the first column.
#[test]
fn a_damaged_column_does_not_hinder_those_that_are_read() {
    let mut bytes = include_bytes!("files/scores.parquet").to_vec();
    bytes[4..12].fill(0xff);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    fs::write(&path, bytes).unwrap();
    assert!(read_table(&path, Columns::All).is_err());
    let table = read_table(&path, Columns::Only(&["f64"])).unwrap();
    assert_eq!(table.columns[0].numbers(&table).unwrap(), [0.9, 0.1, 0.8, 0.85]);
}

#[test]
fn folders_pipes_and_devices_are_not_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    fs::create_dir(&path).unwrap();
    assert!(matches!(read_table(&path, Columns::All), Err(Error::NotAFile { what: "a folder", .. })));
    #[cfg(unix)]
    {
        let pipe = folder.path().join("pipe.csv");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success());
        assert!(made, "mkfifo is part of every Unix");
        assert!(matches!(read_table(&pipe, Columns::All), Err(Error::NotAFile { .. })));
        let link = folder.path().join("zero.csv");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        assert!(matches!(read_table(&link, Columns::All), Err(Error::NotAFile { .. })));
    }
}

#[test]
fn the_ending_of_a_name_decides_and_an_unknown_one_is_refused() {
    for (name, format) in [
        ("a.TXT", Format::Lines),
        ("a", Format::Lines),
        ("A.CSV", Format::Csv),
        ("a.tsv", Format::Tsv),
        ("a.ndjson", Format::JsonLines),
        ("a.Json", Format::Json),
    ] {
        assert_eq!(Format::of(Path::new(name)).unwrap(), format, "{name}");
    }
    for name in ["a.xlsx", "a.html", "a.yaml"] {
        assert!(matches!(Format::of(Path::new(name)), Err(Error::Extension { .. })), "{name}");
    }
}

#[test]
fn binary_files_and_other_encodings_are_refused_or_read_never_guessed() {
    let utf16 = |text: &str| -> Vec<u8> {
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
    };
    let list = read_bytes("p.txt", &utf16("red apple\r\nblack cat\r\n"), Format::Lines).unwrap_err().to_string();
    assert!(list.contains("UTF-16") && list.contains("save the file as UTF-8"), "{list}");
    let table = read_bytes("p.csv", &utf16("prompt;n\r\nred apple;1\r\n"), Format::Csv).unwrap();
    assert_eq!(prompt_column(&table, None).unwrap().get(0).text(), Some("red apple"));
    let table = read_bytes("p.csv", b"\xef\xbb\xbfprompt\nred\n", Format::Csv).unwrap();
    assert_eq!(prompt_column(&table, None).unwrap().get(0).text(), Some("red"));
    assert!(read_bytes("p.txt", b"red\nbl\xffue\n", Format::Lines).unwrap_err().to_string().contains("line 2"));
    assert!(read_bytes("p.txt", b"red\nbl\0ue\n", Format::Lines).unwrap_err().to_string().contains("zero byte"));
}
