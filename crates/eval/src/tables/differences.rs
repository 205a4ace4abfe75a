use super::{ModelScores, Statistics, score_sets, tpr_heading};
use crate::{
    error::Result,
    experiment::ReportSettings,
    stats::{Difference, Statistic, Summary},
    table::{Cell, Column, ColumnKind, ResultTable},
};

/// The last detector minus each other one, paired over prompts and seeds.
pub(super) fn table(name: String, title: &str, models: &[ModelScores], report: &ReportSettings) -> Result<ResultTable> {
    let columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("n", "n", ColumnKind::Integer),
        Column::new("difference", "Difference", ColumnKind::Text),
        Column::new("auc", "AUC", ColumnKind::Measured),
        Column::new("auc_p", "p", ColumnKind::Number),
        Column::new("tpr", tpr_heading(report.fpr), ColumnKind::Measured),
        Column::new("tpr_p", "p", ColumnKind::Number),
    ];
    let mut table = ResultTable::new(name, format!("{title}: differences between detectors"), columns)?;
    let statistics = Statistics::new(report);
    let spread =
        table.footnote("[95 % paired stratified bootstrap interval over prompts]; p two-sided from the same resamples");
    for model in models {
        for &n in &report.generations {
            let all: Vec<_> = model.with_generations(n).collect();
            let Some((last, others)) = all.split_last() else { continue };
            for other in others {
                let (first, second) = (score_sets(last)?, score_sets(other)?);
                let difference = |statistic| statistics.bootstrap.difference(&first, &second, statistic);
                let (auc, tpr) = (difference(Statistic::Auc)?, difference(statistics.tpr)?);
                table.push_row(vec![
                    Cell::text(&model.model),
                    Cell::integer(n as i64),
                    Cell::text(format!("{} − {}", last.detector.title(), other.detector.title())),
                    measured(&auc).with_note(spread),
                    Cell::number(auc.p, 3),
                    measured(&tpr).with_note(spread),
                    Cell::number(tpr.p, 3),
                ])?;
            }
        }
    }
    Ok(table)
}

fn measured(difference: &Difference) -> Cell {
    let summary = Summary { count: 1, mean: difference.value, std: None };
    Cell::measured(summary, Some(difference.interval), 3)
}
