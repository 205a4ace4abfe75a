//! Detection after mitigation: what the detectors say of the changed prompts, against what their pictures show.

use memscope_results::{
    ResultTable,
    table::{Cell, Column, ColumnKind},
};

use super::{ModelScores, mitigation::mean_cell};
use crate::{
    error::Result,
    score::{MethodResult, MitigatedPrompt, MitigationResult, Quantity, is_copied},
    spec::{DetectorEntry, ReportSettings},
};

/// One row per model, method and detector.
pub(super) fn table(name: String, title: &str, models: &[ModelScores], report: &ReportSettings) -> Result<ResultTable> {
    let measured = |key: &str, header: &str| Column::new(key, header, ColumnKind::Measured);
    let columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("method", "Method", ColumnKind::Text),
        Column::new("copying", "Still copying", ColumnKind::Integer),
        Column::new("cleaned", "Cleaned", ColumnKind::Integer),
        Column::new("detector", "Detector", ColumnKind::Text),
        measured("before", "Score before"),
        measured("after", "Score after"),
        Column::new("threshold", "Threshold", ColumnKind::Number),
        measured("flagged", "Flagged"),
        measured("flagged_copying", "Flagged of the copying"),
        measured("flagged_cleaned", "Flagged of the cleaned"),
    ];
    let mut table = ResultTable::new(name, format!("{title}: detection after mitigation"), columns)?;
    let truth = table.footnote(
        "a prompt is still copying if at least half of its pictures are verbatim, or, without training pictures of the \
         drawn size, copies by the judge of similarity",
    );
    let rule = table.footnote(format!(
        "flagged: the score lies above the threshold, which flags at most {} % of the experiment's non-memorized prompts \
         under the same noises",
        report.target_fpr * 100.0
    ));
    let seen = table.footnote(
        "detectors read the embedding and the latent; what changes attention or guidance leaves their score as it is",
    );
    let spread = table.footnote("mean over prompts [95 % bootstrap interval over prompts]");
    for model in models {
        let Some(result) = &model.mitigation else { continue };
        let none = result.methods.iter().find(|method| method.is_none);
        for method in &result.methods {
            let copying = copying(method, result);
            let (still, clean) = (count(&copying, true), count(&copying, false));
            for (position, entry) in result.detectors.iter().enumerate() {
                let scores = |method: &MethodResult| {
                    method.by_prompt(result.prompts.len(), |unit: &MitigatedPrompt| unit.scores.get(position).copied())
                };
                let after = scores(method);
                let threshold = threshold(model, entry, result.images, report.target_fpr);
                let flags = |wanted: Option<bool>| -> Vec<f64> {
                    let Some(threshold) = threshold else { return vec![] };
                    let chosen =
                        after.iter().zip(&copying).filter(|(_, copying)| wanted.is_none_or(|w| **copying == Some(w)));
                    chosen.filter_map(|(score, _)| Some(f64::from(u8::from((*score)? > threshold)))).collect()
                };
                let known = |values: Vec<Option<f64>>| values.into_iter().flatten().collect::<Vec<f64>>();
                let cell = |values: &[f64], decimals: u8, absent: &str| -> Result<Cell> {
                    Ok(mean_cell(values, report.bootstrap(), decimals, absent)?.with_note(spread))
                };
                table.push_row(vec![
                    Cell::text(&model.model),
                    Cell::text(&method.label),
                    Cell::integer(still).with_note(truth),
                    Cell::integer(clean).with_note(truth),
                    Cell::text(entry.label()),
                    cell(
                        &none.map(|none| known(scores(none))).unwrap_or_default(),
                        3,
                        "none is not among the methods",
                    )?,
                    cell(&known(after.clone()), 3, "not measured")?.with_note(seen),
                    threshold.map_or_else(|| Cell::missing("too few non-memorized prompts"), |t| Cell::number(t, 3)),
                    cell(&flags(None), 2, "no threshold")?.with_note(rule),
                    cell(&flags(Some(true)), 2, "no such prompt")?.with_note(rule),
                    cell(&flags(Some(false)), 2, "no such prompt")?.with_note(rule),
                ])?;
            }
        }
    }
    Ok(table)
}

fn count(copying: &[Option<bool>], which: bool) -> i64 {
    copying.iter().filter(|copying| **copying == Some(which)).count() as i64
}

/// Whether each prompt still draws copies, where that is known.
fn copying(method: &MethodResult, result: &MitigationResult) -> Vec<Option<bool>> {
    let shares = method
        .by_prompt(result.prompts.len(), |unit| Quantity::Verbatim.of(unit).or_else(|| Quantity::Copies.of(unit)));
    shares.into_iter().map(|share| share.map(is_copied)).collect()
}

/// The lowest threshold above which at most a share `fpr` of the non-memorized prompts lie, averaged over seeds.
fn threshold(model: &ModelScores, entry: &DetectorEntry, generations: usize, fpr: f64) -> Option<f64> {
    let of = |scores: &&crate::score::DetectorScores| scores.detector == *entry && scores.generations == generations;
    let scores = model.detectors.iter().find(of)?;
    let mut thresholds = vec![];
    for run in &scores.runs {
        let mut others: Vec<f64> = run.non_memorized.iter().map(|score| score.value).collect();
        others.sort_by(|a, b| b.total_cmp(a));
        thresholds.push(*others.get((fpr * others.len() as f64).floor() as usize)?);
    }
    (!thresholds.is_empty()).then(|| thresholds.iter().sum::<f64>() / thresholds.len() as f64)
}
