//! Scores against graded truth: the reproduction rate of a prompt, and the outcome of each draw.

use memscope_results::{
    ResultTable,
    stats::{Bootstrap, Concordance, Ddof, Estimate, Summary, kendall, spearman},
    table::{Cell, Column, ColumnKind},
};

use super::{ModelScores, SPREAD, detector_columns, with_interval};
use crate::{error::Result, prompts::KnownPrompt, score::GradedScores, spec::ReportSettings};

/// Reproduction rates between which a prompt comes out in some draws and not in others.
const SOMETIMES: (f64, f64) = (0.1, 0.9);

/// Rank correlation of the score with the reproduction rate.
pub(super) fn reproduction(
    name: String,
    title: &str,
    models: &[ModelScores],
    report: &ReportSettings,
) -> Result<ResultTable> {
    let mut columns = detector_columns(report);
    columns.extend([
        Column::new("prompts", "Prompts", ColumnKind::Integer),
        Column::new("spearman", "Spearman", ColumnKind::Measured),
        Column::new("kendall", "Kendall", ColumnKind::Measured),
    ]);
    let mut table = ResultTable::new(name, format!("{title}: score and reproduction rate"), columns)?;
    let note = table.footnote(format!(
        "rank correlation of the score with the share of draws that are the training picture, {SPREAD}; Kendall's tau-b"
    ));
    let bootstrap = report.bootstrap();
    for model in models {
        let rates: Vec<f64> = rates(&model.graded_prompts).collect();
        for &n in &report.generations {
            for scores in &model.graded {
                let Some((_, runs)) = scores.by_generations.iter().find(|(known, _)| *known == n) else { continue };
                table.push_row(vec![
                    Cell::text(&model.model),
                    Cell::integer(n as i64),
                    Cell::text(scores.detector.label()),
                    Cell::integer(rates.len() as i64),
                    correlation(bootstrap, &rates, runs, |a, b| spearman(a, b).ok().flatten())?.with_note(note),
                    correlation(bootstrap, &rates, runs, |a, b| kendall(a, b).ok().flatten())?.with_note(note),
                ])?;
            }
        }
    }
    Ok(table)
}

fn rates(prompts: &[KnownPrompt]) -> impl Iterator<Item = f64> {
    prompts.iter().filter_map(|prompt| prompt.reproduction.as_ref()).map(|reproduction| reproduction.rate)
}

/// Mean and spread over the runs, interval over prompts.
fn correlation(
    bootstrap: Bootstrap,
    rates: &[f64],
    runs: &[Vec<f64>],
    statistic: impl Fn(&[f64], &[f64]) -> Option<f64> + Sync,
) -> Result<Cell> {
    let values: Option<Vec<f64>> = runs.iter().map(|run| statistic(rates, run)).collect();
    let Some(values) = values else { return Ok(Cell::missing("the rates or the scores do not vary")) };
    let pick = |from: &[f64], prompts: &[usize]| -> Vec<f64> { prompts.iter().map(|at| from[*at]).collect() };
    let mean = |prompts: &[usize]| -> Option<f64> {
        let rates = pick(rates, prompts);
        let values: Option<Vec<f64>> = runs.iter().map(|run| statistic(&rates, &pick(run, prompts))).collect();
        values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
    };
    let estimate = bootstrap.estimate_over(rates.len(), mean)?;
    Ok(Cell::measured(Summary::of(&values, Ddof::Sample)?, estimate.map(|estimate| estimate.interval), 3))
}

/// Does the score of a latent tell whether the picture drawn from it is the training picture?
pub(super) fn per_draw(
    name: String,
    title: &str,
    models: &[ModelScores],
    report: &ReportSettings,
) -> Result<ResultTable> {
    let mut columns = detector_columns(report);
    columns.extend([
        Column::new("prompts", "Prompts", ColumnKind::Integer),
        Column::new("draws", "Draws", ColumnKind::Integer),
        Column::new("copies", "Copies", ColumnKind::Integer),
        Column::new("all", "Concordance", ColumnKind::Measured),
        Column::new("within", "Within prompts", ColumnKind::Measured),
    ]);
    let mut table = ResultTable::new(name, format!("{title}: which draws are the training picture"), columns)?;
    let bootstrap = report.bootstrap();
    let (low, high) = SOMETIMES;
    let note = table.footnote(format!(
        "prompts with a reproduction rate from {low} to {high}; a unit is the n latents of a seed, with the share of \
         their draws that are the training picture; share of pairs of units in which the higher share has the higher \
         score (at n = 1 the AUC; chance 0.5) [95 % bootstrap interval over prompts]"
    ));
    let within = table.footnote("pairs of units of the same prompt only: what the latent tells beyond the prompt");
    for model in models {
        for &n in &report.generations {
            for scores in &model.graded {
                let units = units(&model.graded_prompts, scores, n);
                let pairs = PairCounts::of(&units);
                let sum = |number: fn(f64) -> f64| units.iter().flatten().map(|(_, share)| number(*share)).sum::<f64>();
                let count = |units: f64| Cell::integer((units * n as f64).round() as i64);
                let all = bootstrap.estimate_over(units.len(), |prompts| pairs.all(prompts).index())?;
                let same = bootstrap.estimate_over(units.len(), |prompts| pairs.within(prompts).index())?;
                table.push_row(vec![
                    Cell::text(&model.model),
                    Cell::integer(n as i64),
                    Cell::text(scores.detector.label()),
                    Cell::integer(units.len() as i64),
                    count(sum(|_| 1.0)),
                    count(sum(|share| share)),
                    concordance(all).with_note(note),
                    concordance(same).with_note(within),
                ])?;
            }
        }
    }
    Ok(table)
}

fn concordance(estimate: Option<Estimate>) -> Cell {
    match estimate {
        Some(Estimate { value, interval }) => with_interval(value, interval, 3),
        None => Cell::missing("no two units differ in their outcome"),
    }
}

/// For each prompt that comes out sometimes, its units: (score, share of the draws that are the training picture).
fn units(prompts: &[KnownPrompt], scores: &GradedScores, n: usize) -> Vec<Vec<(f64, f64)>> {
    let mut units = vec![];
    for (at, prompt) in prompts.iter().enumerate() {
        let Some(known) = &prompt.reproduction else { continue };
        if known.rate < SOMETIMES.0 || known.rate > SOMETIMES.1 {
            continue;
        }
        let mut of_prompt = vec![];
        for (row, &seed) in scores.seeds.iter().enumerate() {
            if n == 1 {
                let drawn = scores.draws[row].iter().enumerate();
                of_prompt.extend(drawn.filter_map(|(generation, scores)| {
                    known.outcome(seed, generation).map(|copy| (scores[at], f64::from(u8::from(copy))))
                }));
            } else if let Some((_, runs)) = scores.by_generations.iter().find(|(known, _)| *known == n) {
                let outcomes: Option<Vec<bool>> = (0..n).map(|generation| known.outcome(seed, generation)).collect();
                of_prompt.extend(
                    outcomes.map(|outcomes| {
                        (runs[row][at], outcomes.iter().filter(|copy| **copy).count() as f64 / n as f64)
                    }),
                );
            }
        }
        units.push(of_prompt);
    }
    units
}

/// Concordance of every two prompts' units, so that a resample of prompts only adds up.
struct PairCounts {
    prompts: usize,
    counts: Vec<Concordance>,
}

impl PairCounts {
    fn of(units: &[Vec<(f64, f64)>]) -> Self {
        let mut counts = vec![];
        for (i, first) in units.iter().enumerate() {
            for (j, second) in units.iter().enumerate() {
                counts.push(if i == j { Concordance::of(first) } else { Concordance::between(first, second) });
            }
        }
        Self { prompts: units.len(), counts }
    }

    /// Pairs within the drawn prompts and between different ones; a prompt against its own repeat is no pair.
    fn all(&self, drawn: &[usize]) -> Concordance {
        let mut times = vec![0.0; self.prompts];
        drawn.iter().for_each(|at| times[*at] += 1.0);
        let mut sum = Concordance::default();
        for i in 0..self.prompts {
            sum += self.counts[i * self.prompts + i] * times[i];
            for j in 0..i {
                sum += self.counts[i * self.prompts + j] * (times[i] * times[j]);
            }
        }
        sum
    }

    fn within(&self, drawn: &[usize]) -> Concordance {
        let mut sum = Concordance::default();
        drawn.iter().for_each(|at| sum += self.counts[at * self.prompts + at]);
        sum
    }
}
