//! Two results folders side by side.

use std::path::Path;

use memscope_results::{
    Error, Manifest, ResultTable, Results, compare,
    export::{ExportSet, Format},
    manifest::FORMAT,
    table::{Cell, Column, ColumnKind},
};

/// An experiment with one number.
fn make(results: &Path, name: &str, auc: f64, seed: u64) {
    let folder = Results::new(results).experiment(name);
    let mut run = folder.begin().unwrap();
    let columns = vec![Column::new("what", "What", ColumnKind::Text), Column::new("auc", "AUC", ColumnKind::Number)];
    let mut table = ResultTable::new(name, "Numbers", columns).unwrap();
    table.push_row(vec![Cell::text("a row"), Cell::number(auc, 4)]).unwrap();
    let target = ExportSet::open(&folder.tables(), name, &[Format::Json]).unwrap();
    run.adopt(target.write(&table).unwrap()).unwrap();
    let manifest = Manifest {
        format: FORMAT,
        experiment: name.into(),
        command: format!("made with seed {seed}"),
        seeds: vec![seed],
        seconds: seed as f64,
        settings: [("noise.seeds.0".to_owned(), seed.to_string())].into(),
        ..Manifest::default()
    };
    run.commit(manifest).unwrap();
}

#[test]
fn differently_named_experiments_are_an_error_that_says_so() {
    let temporary = tempfile::tempdir().unwrap();
    make(&temporary.path().join("a"), "one", 0.5, 1);
    make(&temporary.path().join("b"), "other", 0.5, 1);
    let error = compare(&temporary.path().join("a"), &temporary.path().join("b"), 1e-3).unwrap_err();
    assert!(matches!(&error, Error::NothingInCommon { .. }));
    let message = error.to_string();
    assert!(message.contains("holds one") && message.contains("holds other"), "{message}");
    let single = compare(&temporary.path().join("a/one"), &temporary.path().join("b/other"), 1e-3);
    assert!(matches!(single, Err(Error::NothingInCommon { .. })));
}

#[test]
fn numbers_and_what_determined_them_are_compared_and_times_are_not() {
    let temporary = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| temporary.path().join(name));
    make(&a, "one", 0.5, 1);
    make(&b, "one", 0.5004, 1);
    make(&c, "one", 0.7, 2);
    let same = compare(&a, &b, 1e-3).unwrap();
    assert!(same.agrees() && same.settings.is_empty() && same.compared == 1, "{same:?}");
    let other = compare(&a, &c, 1e-3).unwrap();
    assert_eq!(other.cells.len(), 1);
    assert_eq!(other.cells[0].what, "one: a row: auc");
    let settings: Vec<&str> = other.settings.iter().map(|setting| setting.what.as_str()).collect();
    assert_eq!(settings, ["one: noise.seeds.0", "one: seeds.0"]);
}

#[test]
fn the_reference_agrees_with_itself() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/reference");
    let comparison = compare(&reference, &reference, 0.0).unwrap();
    assert!(comparison.agrees() && comparison.settings.is_empty());
    assert!(comparison.compared > 500, "{}", comparison.compared);
}

#[test]
fn a_folder_without_results_says_what_to_give() {
    let temporary = tempfile::tempdir().unwrap();
    let message = compare(temporary.path(), temporary.path(), 0.0).unwrap_err().to_string();
    assert!(message.contains("give a results folder of a complete run"), "{message}");
}
