//! What the fuzz targets do with an input, one function a target. `crates/cli/tests/hostile.rs` feeds generated inputs
//! to the same functions with a stable compiler. A function returns whatever the input; it panics where memscope
//! breaks a promise.

pub mod folders;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use memscope_eval::{ExperimentFile, MeasurementStore, prompts};
use memscope_model::{LatentDiffusion, ModelSource};
use memscope_results::{
    ResultTable,
    export::{Csv, Exporter, Json, Latex, Markdown, Terminal},
    table::{Cell, CellValue, Column, ColumnKind},
};
use tempfile::TempDir;

/// A message tells what is wrong; it does not repeat a file.
const LONGEST_MESSAGE: usize = 4_000;

/// A refusal is fine, if people can read it.
fn refused(error: &dyn Error) {
    let (mut message, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    assert!(message.len() <= LONGEST_MESSAGE, "a message of {} bytes: {message:.200}", message.len());
}

/// A weight file of any bytes in a model folder.
pub fn safetensors(bytes: &[u8]) {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    load_with(FOLDER.get_or_init(model_folder), "text_encoder/model.safetensors", bytes);
}

/// The same of PyTorch's kind.
pub fn pickles(bytes: &[u8]) {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = model_folder();
        fs::remove_file(folder.path().join("text_encoder/model.safetensors")).expect("a file of the model");
        folder
    });
    load_with(folder, "text_encoder/pytorch_model.bin", bytes);
}

fn model_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy(&tiny_model(), folder.path());
    folder
}

/// Loads a model with a file of these bytes.
fn load_with(folder: &TempDir, file: &str, bytes: &[u8]) {
    fs::write(folder.path().join(file), bytes).expect("a disk that is not full");
    let source: ModelSource = folder.path().to_str().expect("UTF-8").parse().expect("a folder is a source");
    if let Err(error) = LatentDiffusion::load(&source) {
        refused(&error);
    }
}

/// The model of the parity fixtures whose weight files are smallest.
pub fn tiny_model() -> PathBuf {
    repository().join("crates/model/tests/fixtures/parity/models/tiny-sd1")
}

/// The repository's folder.
fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().find(|root| root.join("data/embedded").is_dir()).expect("the repository").to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder that can be made");
    for entry in fs::read_dir(from).expect("a folder that can be read") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).expect("a file that can be copied");
        }
    }
}

/// Prompt lists of any bytes: as text, CSV and JSON lines.
pub fn prompts(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["prompts.txt", "prompts.csv", "prompts.jsonl"] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a disk that is not full");
        match prompts::read(&path) {
            Ok(list) => {
                let texts = list.texts();
                assert!(texts.iter().all(|text| !text.is_empty() && text.trim() == text), "{texts:?}");
                assert!(texts.iter().map(String::len).sum::<usize>() <= bytes.len() * 3, "more text than the file has");
            }
            Err(error) => refused(&error),
        }
    }
}

/// An experiment file, and after each NUL an override.
pub fn overrides(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split('\0');
    let yaml = parts.next().unwrap_or_default();
    let overrides: Vec<String> = parts.map(str::to_owned).collect();
    match ExperimentFile::parse_with("experiment.yaml", yaml, &overrides) {
        Ok(file) => {
            if let Err(error) = file.check("experiment.yaml") {
                refused(&error);
            }
        }
        Err(error) => refused(&error),
    }
}

/// A store file of any bytes: what could be opened once can be opened again.
pub fn store(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("0123456789abcdef.jsonl"), bytes).expect("a disk that is not full");
    let open = || MeasurementStore::open(folder.path(), "0123456789abcdef").map(drop);
    match open() {
        Ok(()) => open().expect("a store that was opened can be opened again"),
        Err(error) => refused(&error),
    }
}

/// A table with any text, split at NUL, in every place that takes text, in every format.
pub fn export(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let parts: Vec<&str> = text.split('\0').collect();
    let part = |i: usize| parts[i % parts.len()];
    let columns = vec![
        Column::new("first", part(1), ColumnKind::Text),
        Column::new("second", part(2), ColumnKind::Text).with_unit(part(3)),
        Column::new("third", "n", ColumnKind::Integer),
    ];
    let mut table = ResultTable::new("any", part(0), columns).expect("a table with three columns");
    let note = table.footnote(part(4));
    let cells = |a: &str, b: &str| vec![Cell::text(a).with_note(note), Cell::text(b), Cell::integer(1)];
    table.push_row(cells(part(5), part(6))).expect("cells that fit");
    table.push_row(cells(part(6), part(0))).expect("cells that fit");
    table.push_row(vec![Cell::missing(part(7)), Cell::text(part(3)), Cell::integer(2)]).expect("cells that fit");
    table.set_provenance(part(2), part(5));

    let written = |exporter: &dyn Exporter| {
        let mut out = vec![];
        exporter.write(&table, &mut out).expect("memory takes everything");
        String::from_utf8(out).expect("UTF-8")
    };
    let read: ResultTable = serde_json::from_str(&written(&Json)).expect("JSON");
    assert_eq!(read, table, "JSON reads back as the same table");
    check_csv(&written(&Csv), [[part(5), part(6)], [part(6), part(0)], ["", part(3)]]);
    check_markdown(&written(&Markdown), table.rows().len());
    check_latex(&written(&Latex), table.rows().len(), with_values(&table));
    let plain = written(&Terminal { width: None });
    assert!(!plain.chars().any(|c| c.is_control() && c != '\n'), "a terminal would obey: {plain:?}");
}

fn check_csv(text: &str, expected: [[&str; 2]; 3]) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("CSV");
    let found: Vec<[&str; 2]> = rows.iter().map(|row| [&row[0], &row[1]]).collect();
    assert_eq!(found, expected, "CSV reads back as the same texts");
}

/// The heading, a pipe table and nothing that ends a cell or a row too early.
fn check_markdown(text: &str, rows: usize) {
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(lines.len(), rows + 2, "{text}");
    for line in lines {
        assert_eq!(unescaped(line, '|'), 4, "{line}");
        // The marks of footnotes are the only HTML.
        assert_eq!(unescaped(line, '<'), line.matches("<sup>").count() + line.matches("</sup>").count(), "{line}");
    }
}

/// How many columns have a value in some row; LaTeX leaves out the others.
fn with_values(table: &ResultTable) -> usize {
    let has_value = |column: usize| {
        table.rows().iter().any(|row| match &row[column].value {
            CellValue::Text { text } => text.split_whitespace().next().is_some(),
            CellValue::Missing { .. } => false,
            _ => true,
        })
    };
    (0..table.columns().len()).filter(|column| has_value(*column)).count()
}

/// As many rows as the table has, as many cells as it has columns with a value, and balanced braces.
fn check_latex(text: &str, rows: usize, columns: usize) {
    let body = text.lines().filter(|line| !line.starts_with('%'));
    let (open, close) = body.clone().fold((0, 0), |(o, c), line| (o + unescaped(line, '{'), c + unescaped(line, '}')));
    assert_eq!(open, close, "{text}");
    let found: Vec<&str> = body.filter(|line| line.ends_with(" \\\\")).collect();
    assert_eq!(found.len(), rows + 1, "{text}");
    for line in found {
        assert_eq!(unescaped(line, '&') + 1, columns, "{line}");
        assert_eq!(unescaped(line, '%'), 0, "{line}");
    }
}

/// How often a character stands without a backslash before it.
fn unescaped(line: &str, wanted: char) -> usize {
    let (mut count, mut escaped) = (0, false);
    for c in line.chars() {
        count += usize::from(c == wanted && !escaped);
        escaped = c == '\\' && !escaped;
    }
    count
}
