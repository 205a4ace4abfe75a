//! Detection within parts of the prompt lists.

use super::{ModelScores, SPREAD, STANDARD_TPR, Statistics, rows_column, score_sets, tpr_heading};
use crate::{
    detection::{ClassValues, DetectorScores},
    error::Result,
    experiment::ReportSettings,
    prompts::KnownPrompt,
    stats::Statistic,
    table::{Cell, Column, ColumnKind, ResultTable},
};

/// Prompts that are looked at together, by their positions.
struct Group {
    name: String,
    rows: Vec<usize>,
}

/// Prompts that share a name, in the order in which the names appear.
fn groups(prompts: &[KnownPrompt], name: impl Fn(&KnownPrompt) -> Option<String>) -> Vec<Group> {
    let mut groups: Vec<Group> = vec![];
    for (row, prompt) in prompts.iter().enumerate() {
        let Some(name) = name(prompt) else { continue };
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { name, rows: vec![row] }),
        }
    }
    groups
}

fn values(scores: &DetectorScores, memorized: &[usize], non_memorized: &[usize]) -> Vec<ClassValues> {
    scores.runs.iter().map(|run| run.values(memorized, non_memorized, |score| score.value)).collect()
}

/// AUC and TPR of one group against another.
fn statistics_cells(
    table: &mut ResultTable,
    statistics: &Statistics,
    scores: &DetectorScores,
    memorized: &[usize],
    non_memorized: &[usize],
) -> Result<[Cell; 2]> {
    let values = values(scores, memorized, non_memorized);
    let sets = score_sets(&values)?;
    let (spread, standard) = (table.footnote(SPREAD), table.footnote(STANDARD_TPR));
    let auc = statistics.cell(&sets, Statistic::Auc)?.with_note(spread);
    Ok([auc, statistics.cell(&sets, statistics.tpr)?.with_note(standard)])
}

/// Every list of memorized prompts against every list of others.
pub(super) fn by_set(
    name: String,
    title: &str,
    models: &[ModelScores],
    report: &ReportSettings,
) -> Result<ResultTable> {
    let columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("n", "n", ColumnKind::Integer),
        rows_column(report),
        Column::new("memorized", "Memorized", ColumnKind::Text),
        Column::new("memorized_count", "Prompts", ColumnKind::Integer),
        Column::new("non_memorized", "Against", ColumnKind::Text),
        Column::new("non_memorized_count", "Prompts", ColumnKind::Integer),
        Column::new("auc", "AUC", ColumnKind::Measured),
        Column::new("tpr", tpr_heading(report.fpr), ColumnKind::Measured),
    ];
    let mut table = ResultTable::new(name, title, columns)?;
    let statistics = Statistics::new(report);
    let set = |prompt: &KnownPrompt| Some(prompt.set.clone());
    for model in models {
        let (memorized, others) = (groups(&model.memorized, set), groups(&model.non_memorized, set));
        let pairs = || memorized.iter().flat_map(|m| others.iter().map(move |o| (m, o)));
        for &n in &report.generations {
            for scores in model.with_generations(n) {
                for (m, o) in pairs() {
                    let [auc, tpr] = statistics_cells(&mut table, &statistics, scores, &m.rows, &o.rows)?;
                    table.push_row(vec![
                        Cell::text(&model.model),
                        Cell::integer(n as i64),
                        Cell::text(scores.detector.label()),
                        Cell::text(&m.name),
                        Cell::integer(m.rows.len() as i64),
                        Cell::text(&o.name),
                        Cell::integer(o.rows.len() as i64),
                        auc,
                        tpr,
                    ])?;
                }
            }
        }
    }
    Ok(table)
}

/// Memorized prompts of each duplication weight against all others.
pub(super) fn by_weight(
    name: String,
    title: &str,
    models: &[ModelScores],
    report: &ReportSettings,
) -> Result<ResultTable> {
    let columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("n", "n", ColumnKind::Integer),
        rows_column(report),
        Column::new("memorized", "Memorized", ColumnKind::Text),
        Column::new("weight", "Duplication weight", ColumnKind::Integer),
        Column::new("count", "Prompts", ColumnKind::Integer),
        Column::new("verified", "Verified", ColumnKind::Integer),
        Column::new("auc", "AUC", ColumnKind::Measured),
        Column::new("tpr", tpr_heading(report.fpr), ColumnKind::Measured),
    ];
    let title = format!("{title}: by duplication weight");
    let mut table = ResultTable::new(name, title, columns)?;
    let verified_note =
        table.footnote("prompts whose planted picture the model draws on every checked seed, found without a detector");
    let statistics = Statistics::new(report);
    for model in models {
        let mut by_weight = groups(&model.memorized, |prompt| Some(format!("{} {}", prompt.set, prompt.weight?)));
        let first = |group: &Group| &model.memorized[group.rows[0]];
        let weight = |group: &Group| first(group).weight.unwrap_or_default();
        by_weight.sort_by(|a, b| first(a).set.cmp(&first(b).set).reverse().then(weight(a).total_cmp(&weight(b))));
        let others: Vec<usize> = (0..model.non_memorized.len()).collect();
        for &n in &report.generations {
            for scores in model.with_generations(n) {
                for group in &by_weight {
                    let verified: Option<Vec<bool>> =
                        group.rows.iter().map(|row| model.memorized[*row].verified).collect();
                    let verified = match verified {
                        Some(flags) => Cell::integer(flags.into_iter().filter(|v| *v).count() as i64),
                        None => Cell::missing("nobody has checked all of these prompts"),
                    };
                    let [auc, tpr] = statistics_cells(&mut table, &statistics, scores, &group.rows, &others)?;
                    table.push_row(vec![
                        Cell::text(&model.model),
                        Cell::integer(n as i64),
                        Cell::text(scores.detector.label()),
                        Cell::text(&first(group).set),
                        Cell::integer(weight(group) as i64),
                        Cell::integer(group.rows.len() as i64),
                        verified.with_note(verified_note),
                        auc,
                        tpr,
                    ])?;
                }
            }
        }
    }
    Ok(table)
}
