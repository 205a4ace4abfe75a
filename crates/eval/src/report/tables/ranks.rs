//! Ranks of the detectors, as far as the prompts can tell them apart.

use memscope_results::{
    ResultTable,
    scores::score_sets,
    stats::{Difference, Statistic, holm},
    table::{Cell, Column, ColumnKind},
};

use super::{ModelScores, Statistics, detector_columns, tpr_heading};
use crate::{error::Result, score::DetectorScores, spec::ReportSettings};

/// Level at which two detectors count as told apart.
const LEVEL: f64 = 0.05;

/// Detectors by AUC, each with the range of ranks that it may have.
pub(super) fn table(name: String, title: &str, models: &[ModelScores], report: &ReportSettings) -> Result<ResultTable> {
    let tpr = tpr_heading(report.target_fpr);
    let mut columns = detector_columns(report);
    columns.extend([
        Column::new("auc", "AUC", ColumnKind::Measured),
        Column::new("auc_ranks", "Ranks by AUC", ColumnKind::Text),
        Column::new("auc_apart", "Told apart", ColumnKind::Text),
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
    for model in models {
        for &n in &report.generations {
            let scores: Vec<_> = model.with_generations(n).collect();
            let auc = Ranks::of(&scores, &statistics, Statistic::Auc)?;
            let tpr = Ranks::of(&scores, &statistics, statistics.tpr)?;
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&a, &b| auc.values[b].total_cmp(&auc.values[a]));
            for at in order {
                let runs = scores[at].all();
                let sets = score_sets(&runs)?;
                table.push_row(vec![
                    Cell::text(&model.model),
                    Cell::integer(n as i64),
                    Cell::text(scores[at].detector.label()),
                    statistics.cell(&sets, Statistic::Auc)?,
                    Cell::text(auc.range(at)).with_note(note),
                    Cell::text(auc.told_apart(at)).with_note(apart),
                    statistics.cell(&sets, statistics.tpr)?,
                    Cell::text(tpr.range(at)).with_note(note),
                    Cell::text(tpr.told_apart(at)).with_note(apart),
                ])?;
            }
        }
    }
    Ok(table)
}

/// Who is certainly better than whom.
struct Ranks {
    /// Mean over runs, by detector.
    values: Vec<f64>,
    /// `better[a][b]`: a is certainly better than b.
    better: Vec<Vec<bool>>,
}

impl Ranks {
    fn of(scores: &[&DetectorScores], statistics: &Statistics, statistic: Statistic) -> Result<Self> {
        let runs: Vec<_> = scores.iter().map(|scores| scores.all()).collect();
        let sets = runs.iter().map(|runs| score_sets(runs)).collect::<std::result::Result<Vec<_>, _>>()?;
        let mut values = vec![];
        for sets in &sets {
            let of_runs = sets.iter().map(|set| statistic.of(*set)).collect::<std::result::Result<Vec<_>, _>>()?;
            values.push(of_runs.iter().sum::<f64>() / of_runs.len() as f64);
        }
        let mut pairs = vec![];
        for a in 0..sets.len() {
            for b in 0..a {
                let Difference { value, p, .. } = statistics.bootstrap.difference(&sets[a], &sets[b], statistic)?;
                pairs.push((a, b, value, p));
            }
        }
        let adjusted = holm(&pairs.iter().map(|(.., p)| *p).collect::<Vec<_>>());
        let mut better = vec![vec![false; sets.len()]; sets.len()];
        for ((a, b, value, _), p) in pairs.into_iter().zip(adjusted) {
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
