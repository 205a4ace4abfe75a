//! Files are opened early and replaced whole.

use std::path::Path;

use memscope_results::export::{ExportError, ExportSet, Format};

use super::sample;

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn every_format_is_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let inner = dir.path().join("results/table1");
    let set = ExportSet::open(&inner, "table1", &Format::ALL).expect("writable");
    let announced: Vec<_> = set.paths().map(Path::to_owned).collect();
    let paths = set.write(&sample::table()).expect("written");
    assert_eq!(paths, announced);
    assert_eq!(names(&inner), ["table1.csv", "table1.json", "table1.md", "table1.tex", "table1.txt"]);
}

#[test]
fn nothing_is_replaced_before_the_end() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("t.csv");
    std::fs::write(&path, "old").expect("writable");
    let set = ExportSet::open(dir.path(), "t", &[Format::Csv]).expect("writable");
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "old");
    drop(set);
    assert_eq!(names(dir.path()), ["t.csv"], "temporary files go with the set");
    let set = ExportSet::open(dir.path(), "t", &[Format::Csv, Format::Csv]).expect("writable");
    set.write(&sample::empty()).expect("written");
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "a\n");
}

#[cfg(unix)]
#[test]
fn files_have_ordinary_permissions() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a folder");
    let plain = dir.path().join("plain");
    std::fs::write(&plain, "").expect("writable");
    let set = ExportSet::open(dir.path(), "t", &[Format::Csv]).expect("writable");
    let paths = set.write(&sample::empty()).expect("written");
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode();
    assert_eq!(mode(&paths[0]), mode(&plain));
}

#[test]
fn bad_targets_fail_when_opened() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("writable");
    let open = |dir: &Path, name: &str| ExportSet::open(dir, name, &[Format::Csv]).expect_err("refused");
    assert!(matches!(open(&file, "t"), ExportError::CreateFolder { .. }));
    assert!(matches!(open(&file.join("below"), "t"), ExportError::CreateFolder { .. }));
    std::fs::create_dir(dir.path().join("t.csv")).expect("writable");
    assert!(matches!(open(dir.path(), "t"), ExportError::IsFolder { .. }));
    for name in ["", "..", "a/b", "a\\b"] {
        assert!(matches!(open(dir.path(), name), ExportError::BadName { .. }));
    }
}
