use memscope_results::{
    ResultTable,
    scores::score_sets,
    stats::{DeLong, Difference, ScoreSet},
    table::{Cell, Column, ColumnKind},
};

use super::{
    ModelScores,
    pairs::{Measure, Pairs, Rivals},
    tpr_heading, with_interval,
};
use crate::{error::Result, spec::ReportSettings};

/// The last detector minus each other one, paired over prompts and seeds.
pub(super) fn table(
    name: String,
    title: &str,
    models: &[ModelScores],
    report: &ReportSettings,
    pairs: &Pairs,
) -> Result<ResultTable> {
    let columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("n", "n", ColumnKind::Integer),
        Column::new("difference", "Difference", ColumnKind::Text),
        Column::new("auc", "AUC", ColumnKind::Measured),
        Column::new("auc_p", "p", ColumnKind::Number),
        Column::new("auc_delong_p", "p (DeLong)", ColumnKind::Number),
        Column::new("tpr", tpr_heading(report.target_fpr), ColumnKind::Measured),
        Column::new("tpr_p", "p", ColumnKind::Number),
    ];
    let mut table = ResultTable::new(name, format!("{title}: differences between detectors"), columns)?;
    let spread =
        table.footnote("[95 % paired stratified bootstrap interval over prompts]; p two-sided from the same resamples");
    let delong = table.footnote("paired DeLong test of the AUCs under the first seed");
    for (index, model) in models.iter().enumerate() {
        for &n in &report.generations {
            let all: Vec<_> = model.with_generations(n).collect();
            let Some((last, others)) = all.split_last() else { continue };
            for (place, other) in others.iter().enumerate() {
                let rivals = Rivals { index, model, n };
                let difference = |measure| pairs.difference(rivals, [others.len(), place], measure);
                let (auc, tpr) = (difference(Measure::Auc)?, difference(Measure::Tpr)?);
                let (first, second) = (last.all(), other.all());
                let (first, second) = (score_sets(&first)?, score_sets(&second)?);
                table.push_row(vec![
                    Cell::text(&model.model),
                    Cell::integer(n as i64),
                    Cell::text(format!("{} − {}", last.detector.label(), other.detector.label())),
                    measured(&auc).with_note(spread),
                    Cell::number(auc.p, 3),
                    delong_p(first[0], second[0])?.with_note(delong),
                    measured(&tpr).with_note(spread),
                    Cell::number(tpr.p, 3),
                ])?;
            }
        }
    }
    Ok(table)
}

fn measured(difference: &Difference) -> Cell {
    with_interval(difference.value, difference.interval, 3)
}

fn delong_p(first: ScoreSet, second: ScoreSet) -> Result<Cell> {
    if first.positives().len() < 2 || first.negatives().len() < 2 {
        return Ok(Cell::missing("needs two prompts of each class"));
    }
    let test = DeLong::new(first)?.compare(&DeLong::new(second)?)?;
    Ok(test.p.map_or_else(|| Cell::missing("the two rank all prompts alike"), |p| Cell::number(p, 3)))
}
