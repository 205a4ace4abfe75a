//! Measurements and scores as data frames.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use memscope_frames::{Columns, FrameColumn as Column, write_frame};

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
    let differs = |column: &&memscope_frames::Column| {
        GROUP_COLUMNS.contains(&column.name.as_str())
            && ![label, score].contains(&column.name.as_str())
            && column.cells.iter().any(|cell| *cell != column.cells[0])
    };
    let by: Vec<_> = table.columns.iter().filter(differs).collect();
    let mut groups: Vec<LabelledScores> = vec![];
    let mut place: HashMap<Vec<&str>, usize> = HashMap::new();
    for (row, (label, score)) in labels.into_iter().zip(scores).enumerate() {
        let values: Vec<&str> = by.iter().map(|column| column.cells[row].text().unwrap_or_default()).collect();
        let at = *place.entry(values.clone()).or_insert_with(|| {
            let group = by.iter().zip(values).map(|(column, value)| (column.name.clone(), value.to_owned()));
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
