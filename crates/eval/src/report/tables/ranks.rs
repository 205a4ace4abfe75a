//! Ranks of the detectors, as far as the prompts can tell them apart.

use memscope_results::{
    ResultTable,
    scores::score_sets,
    stats::{Difference, Interval, Statistic, holm},
    table::{Cell, Column, ColumnKind},
};

use super::{
    ModelScores, Statistics, detector_columns,
    pairs::{Measure, Pairs, Rivals},
    tpr_heading, with_interval,
};
use crate::{error::Result, score::DetectorScores, spec::ReportSettings};

/// Level at which two detectors count as told apart.
const LEVEL: f64 = 0.05;

/// Detectors by AUC, each with the range of ranks that it may have.
pub(super) fn table(
    name: String,
    title: &str,
    models: &[ModelScores],
    report: &ReportSettings,
    pairs: &Pairs,
) -> Result<ResultTable> {
    let tpr = tpr_heading(report.target_fpr);
    let mut columns = detector_columns(report);
    columns.extend([
        Column::new("auc", "AUC", ColumnKind::Measured),
        Column::new("auc_ranks", "Ranks by AUC", ColumnKind::Text),
        Column::new("auc_apart", "Told apart", ColumnKind::Text),
        Column::new("auc_lead", "Ahead of the next by", ColumnKind::Measured),
        Column::new("tpr", tpr.clone(), ColumnKind::Measured),
        Column::new("tpr_ranks", format!("Ranks by {tpr}"), ColumnKind::Text),
        Column::new("tpr_apart", "Told apart", ColumnKind::Text),
    ]);
    let mut table = ResultTable::new(name, format!("{title}: ranks"), columns)?;
    let statistics = Statistics::new(report);
    let note = table.footnote(
        "from 1 + detectors that are certainly better, to the number of detectors less those that are certainly worse: \
         paired bootstrap over prompts for every pair, p values corrected by Holm's method within model and n, level 5 %",
    );
    let apart = table.footnote("from how many of the other detectors");
    let lead = table.footnote("AUC less that of the next row [95 % paired bootstrap interval over prompts]");
    for (index, model) in models.iter().enumerate() {
        for &n in &report.generations {
            let scores: Vec<_> = model.with_generations(n).collect();
            let rivals = Rivals { index, model, n };
            let auc = Ranks::of(&scores, rivals, pairs, Measure::Auc)?;
            let tpr = Ranks::of(&scores, rivals, pairs, Measure::Tpr)?;
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&a, &b| auc.values[b].total_cmp(&auc.values[a]));
            for (place, &at) in order.iter().enumerate() {
                let runs = scores[at].all();
                let sets = score_sets(&runs)?;
                table.push_row(vec![
                    Cell::text(&model.model),
                    Cell::integer(n as i64),
                    Cell::text(scores[at].detector.label()),
                    statistics.cell(&sets, Statistic::Auc)?,
                    Cell::text(auc.range(at)).with_note(note),
                    Cell::text(auc.told_apart(at)).with_note(apart),
                    match order.get(place + 1) {
                        Some(next) => lead_cell(pairs, rivals, at, *next)?.with_note(lead),
                        None => Cell::missing("there is no next one"),
                    },
                    statistics.cell(&sets, statistics.tpr)?,
                    Cell::text(tpr.range(at)).with_note(note),
                    Cell::text(tpr.told_apart(at)).with_note(apart),
                ])?;
            }
        }
    }
    Ok(table)
}

/// The AUC of a detector less that of the next one.
fn lead_cell(pairs: &Pairs, rivals: Rivals, at: usize, next: usize) -> Result<Cell> {
    let (value, interval) = match at > next {
        true => {
            let found = pairs.difference(rivals, [at, next], Measure::Auc)?;
            (found.value, found.interval)
        }
        false => {
            let found = pairs.difference(rivals, [next, at], Measure::Auc)?;
            (-found.value, Interval { low: -found.interval.high, high: -found.interval.low })
        }
    };
    Ok(with_interval(value, interval, 3))
}

/// Who is certainly better than whom.
struct Ranks {
    /// Mean over runs, by detector.
    values: Vec<f64>,
    /// `better[a][b]`: a is certainly better than b.
    better: Vec<Vec<bool>>,
}

impl Ranks {
    fn of(scores: &[&DetectorScores], rivals: Rivals, pairs: &Pairs, measure: Measure) -> Result<Self> {
        let values = scores.iter().map(|scores| pairs.value(scores, measure)).collect::<Result<Vec<f64>>>()?;
        let mut compared = vec![];
        for a in 0..scores.len() {
            for b in 0..a {
                let Difference { value, p, .. } = pairs.difference(rivals, [a, b], measure)?;
                compared.push((a, b, value, p));
            }
        }
        let adjusted = holm(&compared.iter().map(|(.., p)| *p).collect::<Vec<_>>());
        let mut better = vec![vec![false; scores.len()]; scores.len()];
        for ((a, b, value, _), p) in compared.into_iter().zip(adjusted) {
            if p <= LEVEL && value != 0.0 {
                let (winner, loser) = if value > 0.0 { (a, b) } else { (b, a) };
                better[winner][loser] = true;
            }
        }
        Ok(Self { values, better })
    }

    fn range(&self, at: usize) -> String {
        let count = self.values.len();
        let above = (0..count).filter(|other| self.better[*other][at]).count();
        let below = (0..count).filter(|other| self.better[at][*other]).count();
        let (first, last) = (1 + above, count - below);
        if first == last { first.to_string() } else { format!("{first} to {last}") }
    }

    fn told_apart(&self, at: usize) -> String {
        let count = self.values.len();
        let apart = (0..count).filter(|other| self.better[at][*other] || self.better[*other][at]).count();
        format!("{apart} of {}", count - 1)
    }
}
