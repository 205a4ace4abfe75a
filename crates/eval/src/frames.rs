//! Measurements and scores as data frames.

use std::{collections::HashMap, path::Path};

use memscope_frames::{Columns, FrameColumn as Column};

use crate::{
    error::{Error, Result},
    score::{DetectorScores, StoredPlan},
    table_file::TableFile,
};

/// Writes what a run measured, in long format. Little of it is held at a time, however many prompts there are.
pub(crate) struct Collector {
    measurements: Rows<Measurement>,
    scores: Rows<ScoreRow>,
}

/// A row: the value of one quantity.
struct Measurement {
    model: String,
    class: &'static str,
    prompt: String,
    seed: u64,
    generation: u32,
    measure: String,
    quantity: String,
    timestep: Option<u32>,
    value: f64,
}

/// A row: the score of one prompt.
struct ScoreRow {
    model: String,
    detector: String,
    n: u32,
    seed: u64,
    memorized: bool,
    prompt: String,
    score: f64,
}

/// Rows that become the columns of a table.
trait Row: Sized {
    fn columns(rows: &[Self]) -> Vec<Column>;
}

impl Row for Measurement {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let text =
            |name: &str, of: fn(&Self) -> &str| Column::new(name.into(), rows.iter().map(of).collect::<Vec<_>>());
        vec![
            text("model", |row| &row.model),
            text("class", |row| row.class),
            text("prompt", |row| &row.prompt),
            Column::new("seed".into(), rows.iter().map(|row| row.seed).collect::<Vec<_>>()),
            Column::new("generation".into(), rows.iter().map(|row| row.generation).collect::<Vec<_>>()),
            text("measure", |row| &row.measure),
            text("quantity", |row| &row.quantity),
            Column::new("timestep".into(), rows.iter().map(|row| row.timestep).collect::<Vec<_>>()),
            Column::new("value".into(), rows.iter().map(|row| row.value).collect::<Vec<_>>()),
        ]
    }
}

impl Row for ScoreRow {
    fn columns(rows: &[Self]) -> Vec<Column> {
        let text =
            |name: &str, of: fn(&Self) -> &str| Column::new(name.into(), rows.iter().map(of).collect::<Vec<_>>());
        vec![
            text("model", |row| &row.model),
            text("detector", |row| &row.detector),
            Column::new("n".into(), rows.iter().map(|row| row.n).collect::<Vec<_>>()),
            Column::new("seed".into(), rows.iter().map(|row| row.seed).collect::<Vec<_>>()),
            Column::new("memorized".into(), rows.iter().map(|row| row.memorized).collect::<Vec<_>>()),
            text("prompt", |row| &row.prompt),
            Column::new("score".into(), rows.iter().map(|row| row.score).collect::<Vec<_>>()),
        ]
    }
}

/// Rows that are held before they are written.
const HELD: usize = 16_384;

/// Rows on their way to a file.
struct Rows<R> {
    held: Vec<R>,
    file: TableFile,
}

impl<R: Row> Rows<R> {
    fn create(path: &Path) -> Result<Self> {
        Ok(Self { held: vec![], file: TableFile::create(path)? })
    }

    fn push(&mut self, row: R) -> Result<()> {
        self.held.push(row);
        if self.held.len() == HELD { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.file.push(self.held.len(), R::columns(&self.held))?;
        self.held.clear();
        Ok(())
    }

    /// Writes what is left; a table without rows has its columns nevertheless.
    fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.file.finish()
    }
}

/// The timestep that a name of a quantity or measure holds, as `t=981`; none where it holds several, or none.
fn timestep(name: &str) -> Option<u32> {
    name.split('/').find_map(|part| part.strip_prefix("t="))?.parse().ok()
}

type Classes<'a> = (&'a [String], &'a [String]);

impl Collector {
    /// The files `measurements` and `scores`, which are there only when all is.
    ///
    /// # Errors
    /// When a folder does not take its file.
    pub(crate) fn create(measurements: &Path, scores: &Path) -> Result<Self> {
        Ok(Self { measurements: Rows::create(measurements)?, scores: Rows::create(scores)? })
    }

    pub(crate) fn add_scores(&mut self, model: &str, scores: &DetectorScores, classes: Classes) -> Result<()> {
        let detector = scores.detector.label();
        for run in &scores.runs {
            for (memorized, prompts, values) in
                [(true, classes.0, &run.memorized), (false, classes.1, &run.non_memorized)]
            {
                for (prompt, score) in prompts.iter().zip(values) {
                    self.scores.push(ScoreRow {
                        model: model.to_owned(),
                        detector: detector.clone(),
                        n: scores.generations as u32,
                        seed: run.seed,
                        memorized,
                        prompt: prompt.clone(),
                        score: score.value,
                    })?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn add_measurements(&mut self, model: &str, stored: &StoredPlan, classes: Classes) -> Result<()> {
        for (class, prompts) in [("memorized", classes.0), ("non_memorized", classes.1)] {
            stored.try_for_each(prompts, |stored| {
                stored.names.iter().zip(stored.values).try_for_each(|(name, value)| {
                    self.measurements.push(Measurement {
                        model: model.to_owned(),
                        class,
                        prompt: stored.prompt.to_owned(),
                        seed: stored.seed,
                        generation: stored.generation as u32,
                        measure: stored.measure.to_owned(),
                        quantity: name.clone(),
                        timestep: timestep(name).or_else(|| timestep(stored.measure)),
                        value: *value,
                    })
                })
            })?;
        }
        Ok(())
    }

    /// Ends both files.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub(crate) fn finish(self) -> Result<()> {
        self.measurements.finish()?;
        self.scores.finish()
    }
}

/// Columns of a score file that say which run a score belongs to.
const GROUP_COLUMNS: [&str; 5] = ["model", "detector", "n", "seed", "generation"];

/// Groups of a score file at most; more say that a column of numbers was taken for a name.
const MOST_GROUPS: usize = 10_000;

/// The scores of one run in a score file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelledScores {
    /// What sets the run apart from the file's others: column and value; empty where the file holds one run.
    pub group: Vec<(String, String)>,
    /// Scores of memorized prompts.
    pub memorized: Vec<f64>,
    /// Scores of non-memorized prompts.
    pub non_memorized: Vec<f64>,
}

/// Classes and scores of a file, apart by those of the columns `model`, `detector`, `n`, `seed` and `generation` that
/// hold more than one value: scores of different runs are no sample of one.
///
/// # Errors
/// The file cannot be read in its form, lacks one of the columns, or has a cell that is no class or no finite number.
pub fn read_labelled_scores(path: &Path, label: &str, score: &str) -> Result<Vec<LabelledScores>> {
    let columns = [&[label, score], GROUP_COLUMNS.as_slice()].concat();
    let table = memscope_frames::read_table(path, Columns::Only(&columns))?;
    let scores = table.column(score, "--score")?.numbers(&table)?;
    let labels = table.column(label, "--label")?.labels(&table)?;
    let is = |column: &memscope_frames::Column, name: &&str| column.name.eq_ignore_ascii_case(name);
    let differs = |column: &&memscope_frames::Column| {
        GROUP_COLUMNS.iter().any(|name| is(column, name))
            && ![label, score].iter().any(|name| is(column, name))
            && column.cells.iter().any(|cell| cell != column.cells.get(0))
    };
    let by: Vec<_> = table.columns.iter().filter(differs).collect();
    let mut groups: Vec<LabelledScores> = vec![];
    let mut place: HashMap<Vec<&str>, usize> = HashMap::new();
    for (row, (label, score)) in labels.into_iter().zip(scores).enumerate() {
        let values: Vec<&str> = by.iter().map(|column| column.cells.get(row).text().unwrap_or_default()).collect();
        let at = *place.entry(values.clone()).or_insert_with(|| {
            let group =
                by.iter().zip(values).map(|(column, value)| (column.name.to_ascii_lowercase(), value.to_owned()));
            groups.push(LabelledScores { group: group.collect(), ..LabelledScores::default() });
            groups.len() - 1
        });
        if groups.len() > MOST_GROUPS {
            let reason = format!("has more than {MOST_GROUPS} combinations of {}", GROUP_COLUMNS.join(", "));
            return Err(Error::Scores { file: table.file, reason });
        }
        if label { groups[at].memorized.push(score) } else { groups[at].non_memorized.push(score) }
    }
    Ok(groups)
}
