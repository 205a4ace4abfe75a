//! Measurements and scores as data frames.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use polars::prelude::{
    Column, CsvReadOptions, CsvWriter, DataFrame, DataType, JsonFormat, JsonReader, JsonWriter, ParquetReader,
    ParquetWriter, PolarsError, SerReader, SerWriter,
};

use crate::{
    error::{Error, Result},
    score::{DetectorScores, StoredPlan},
};

/// Gathers what a run measured, in long format.
#[derive(Default)]
pub(crate) struct Collector {
    measurements: Measurements,
    scores: Scores,
}

/// One row per (model, prompt, seed, generation, quantity).
#[derive(Default)]
struct Measurements {
    model: Vec<String>,
    class: Vec<&'static str>,
    prompt: Vec<String>,
    seed: Vec<u64>,
    generation: Vec<u32>,
    measure: Vec<String>,
    quantity: Vec<String>,
    value: Vec<f64>,
}

/// One row per (model, detector, n, seed, prompt).
#[derive(Default)]
struct Scores {
    model: Vec<String>,
    detector: Vec<String>,
    n: Vec<u32>,
    seed: Vec<u64>,
    memorized: Vec<bool>,
    prompt: Vec<String>,
    score: Vec<f64>,
}

type Classes<'a> = (&'a [String], &'a [String]);

impl Collector {
    pub(crate) fn add_scores(&mut self, model: &str, scores: &DetectorScores, classes: Classes) {
        let rows = &mut self.scores;
        for run in &scores.runs {
            for (memorized, prompts, values) in
                [(true, classes.0, &run.memorized), (false, classes.1, &run.non_memorized)]
            {
                for (prompt, score) in prompts.iter().zip(values) {
                    rows.model.push(model.to_owned());
                    rows.detector.push(scores.detector.label());
                    rows.n.push(scores.generations as u32);
                    rows.seed.push(run.seed);
                    rows.memorized.push(memorized);
                    rows.prompt.push(prompt.clone());
                    rows.score.push(score.value);
                }
            }
        }
    }

    pub(crate) fn add_measurements(&mut self, model: &str, stored: &StoredPlan, classes: Classes) {
        let rows = &mut self.measurements;
        for (class, prompts) in [("memorized", classes.0), ("non_memorized", classes.1)] {
            stored.for_each(prompts, |stored| {
                for (name, value) in stored.names.iter().zip(stored.values) {
                    rows.model.push(model.to_owned());
                    rows.class.push(class);
                    rows.prompt.push(stored.prompt.to_owned());
                    rows.seed.push(stored.seed);
                    rows.generation.push(stored.generation as u32);
                    rows.measure.push(stored.measure.to_owned());
                    rows.quantity.push(name.clone());
                    rows.value.push(*value);
                }
            });
        }
    }

    pub(crate) fn write(self, folder: &Path) -> Result<Vec<PathBuf>> {
        let (measurements, scores) = (folder.join("measurements.parquet"), folder.join("scores.csv"));
        let m = self.measurements;
        let rows = m.value.len();
        write_frame(
            &measurements,
            rows,
            vec![
                Column::new("model".into(), m.model),
                Column::new("class".into(), m.class),
                Column::new("prompt".into(), m.prompt),
                Column::new("seed".into(), m.seed),
                Column::new("generation".into(), m.generation),
                Column::new("measure".into(), m.measure),
                Column::new("quantity".into(), m.quantity),
                Column::new("value".into(), m.value),
            ],
        )?;
        let s = self.scores;
        let rows = s.score.len();
        write_frame(
            &scores,
            rows,
            vec![
                Column::new("model".into(), s.model),
                Column::new("detector".into(), s.detector),
                Column::new("n".into(), s.n),
                Column::new("seed".into(), s.seed),
                Column::new("memorized".into(), s.memorized),
                Column::new("prompt".into(), s.prompt),
                Column::new("score".into(), s.score),
            ],
        )?;
        Ok(vec![measurements, scores])
    }
}

/// A format of data frames, by file extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFormat {
    /// Comma-separated values with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    JsonLines,
}

impl FrameFormat {
    /// The format a file's extension names.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("parquet") => Ok(Self::Parquet),
            Some("jsonl") => Ok(Self::JsonLines),
            _ => Err(Error::Frame {
                path: path.to_owned(),
                reason: "the file name must end in .csv, .parquet or .jsonl".into(),
            }),
        }
    }
}

fn frame_error(path: &Path) -> impl Fn(PolarsError) -> Error {
    let path = path.to_owned();
    move |e| match e {
        PolarsError::IO { error, .. } => {
            Error::Write { path: path.clone(), source: std::io::Error::new(error.kind(), error.to_string()) }
        }
        other => Error::Frame { path: path.clone(), reason: other.to_string() },
    }
}

/// Writes columns of equal length through a temporary file.
pub fn write_frame(path: &Path, rows: usize, columns: Vec<Column>) -> Result<()> {
    let format = FrameFormat::of(path)?;
    let fail = frame_error(path);
    let mut frame = DataFrame::new(rows, columns).map_err(&fail)?;
    let partial = path.with_extension("partial");
    let mut file = File::create(&partial).map_err(Error::write(&partial))?;
    match format {
        FrameFormat::Csv => CsvWriter::new(&mut file).finish(&mut frame).map_err(&fail)?,
        FrameFormat::Parquet => {
            ParquetWriter::new(&mut file).finish(&mut frame).map_err(&fail)?;
        }
        FrameFormat::JsonLines => {
            JsonWriter::new(&mut file).with_json_format(JsonFormat::JsonLines).finish(&mut frame).map_err(&fail)?;
        }
    }
    file.sync_all().map_err(Error::write(&partial))?;
    std::fs::rename(&partial, path).map_err(Error::write(path))
}

/// Reads a data frame by its extension.
fn read_frame(path: &Path) -> Result<DataFrame> {
    let format = FrameFormat::of(path)?;
    let file = File::open(path).map_err(Error::read(path))?;
    let fail = |e: PolarsError| Error::Frame { path: path.to_owned(), reason: e.to_string() };
    match format {
        FrameFormat::Csv => CsvReadOptions::default().with_has_header(true).into_reader_with_file_handle(file).finish(),
        FrameFormat::Parquet => ParquetReader::new(file).finish(),
        FrameFormat::JsonLines => JsonReader::new(file).with_json_format(JsonFormat::JsonLines).finish(),
    }
    .map_err(fail)
}

/// Labels and scores of a file: labels true, 1 or "memorized" against false, 0 or anything else.
pub fn read_labelled_scores(path: &Path, label: &str, score: &str) -> Result<(Vec<f64>, Vec<f64>)> {
    let fail = |reason: String| Error::Scores { file: path.display().to_string(), reason };
    let frame = read_frame(path)?;
    let names: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
    let column = |name: &str, flag: &str| {
        frame.column(name).map_err(|_| {
            fail(format!("has no column '{name}'; its columns are {}; choose one with {flag}", names.join(", ")))
        })
    };
    let scores =
        column(score, "--score")?.cast(&DataType::Float64).map_err(|e| fail(format!("column '{score}': {e}")))?;
    let labels = labels(column(label, "--label")?).map_err(|reason| fail(format!("column '{label}': {reason}")))?;
    let scores = scores.f64().map_err(|e| fail(e.to_string()))?;
    let (mut positives, mut negatives) = (vec![], vec![]);
    for (row, (label, value)) in labels.into_iter().zip(scores.iter()).enumerate() {
        let value = value.filter(|value| value.is_finite());
        let value = value.ok_or_else(|| fail(format!("row {} has no finite number in column '{score}'", row + 1)))?;
        if label { positives.push(value) } else { negatives.push(value) }
    }
    Ok((positives, negatives))
}

fn labels(column: &Column) -> std::result::Result<Vec<bool>, String> {
    let missing = |row: usize| format!("row {} is empty", row + 1);
    if let Ok(flags) = column.bool() {
        return flags.iter().enumerate().map(|(row, flag)| flag.ok_or_else(|| missing(row))).collect();
    }
    if let Ok(words) = column.str() {
        return words
            .iter()
            .enumerate()
            .map(|(row, word)| match word {
                Some("memorized" | "true" | "True" | "1") => Ok(true),
                Some("non_memorized" | "false" | "False" | "0") => Ok(false),
                Some(other) => Err(format!(
                    "row {}: '{other}' is no label; use 1/0, true/false or memorized/non_memorized",
                    row + 1
                )),
                None => Err(missing(row)),
            })
            .collect();
    }
    let numbers = column.cast(&DataType::Float64).map_err(|e| e.to_string())?;
    let numbers = numbers.f64().map_err(|e| e.to_string())?;
    numbers
        .iter()
        .enumerate()
        .map(|(row, number)| match number {
            Some(1.0) => Ok(true),
            Some(0.0) => Ok(false),
            Some(other) => Err(format!("row {}: {other} is no label; use 1 or 0", row + 1)),
            None => Err(missing(row)),
        })
        .collect()
}
