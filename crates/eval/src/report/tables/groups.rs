//! Detection within parts of the prompt lists.

use memscope_results::{
    ResultTable,
    scores::score_sets,
    stats::Statistic,
    table::{Cell, Column, ColumnKind},
};

use super::{ModelScores, SPREAD, STANDARD_TPR, Statistics, detector_columns, tpr_heading};
use crate::{error::Result, prompts::KnownPrompt, spec::ReportSettings};

/// Prompts that are looked at together, by their positions.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) rows: Vec<usize>,
}

/// Prompts that share a name, in the order in which the names appear.
pub(super) fn groups(prompts: &[KnownPrompt], name: impl Fn(&KnownPrompt) -> Option<String>) -> Vec<Group> {
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

/// A row of a table: groups that are told apart, and the cells that name them.
struct Compared {
    cells: Vec<Cell>,
    memorized: Vec<usize>,
    non_memorized: Vec<usize>,
}

/// AUC and TPR of every detector within each of the compared groups; `naming` are the columns of [`Compared::cells`].
fn table(
    name: String,
    title: impl Into<String>,
    models: &[ModelScores],
    report: &ReportSettings,
    naming: Vec<Column>,
    compared: impl Fn(&ModelScores, &mut ResultTable) -> Vec<Compared>,
) -> Result<ResultTable> {
    let mut columns = detector_columns(report);
    columns.extend(naming);
    columns.push(Column::new("auc", "AUC", ColumnKind::Measured));
    columns.push(Column::new("tpr", tpr_heading(report.target_fpr), ColumnKind::Measured));
    let mut table = ResultTable::new(name, title, columns)?;
    let statistics = Statistics::new(report);
    for model in models {
        let compared = compared(model, &mut table);
        for &n in &report.generations {
            for scores in model.with_generations(n) {
                for groups in &compared {
                    let values = scores.of(&groups.memorized, &groups.non_memorized);
                    let sets = score_sets(&values)?;
                    let (spread, standard) = (table.footnote(SPREAD), table.footnote(STANDARD_TPR));
                    let mut cells =
                        vec![Cell::text(&model.model), Cell::integer(n as i64), Cell::text(scores.detector.label())];
                    cells.extend_from_slice(&groups.cells);
                    cells.push(statistics.cell(&sets, Statistic::Auc)?.with_note(spread));
                    cells.push(statistics.cell(&sets, statistics.tpr)?.with_note(standard));
                    table.push_row(cells)?;
                }
            }
        }
    }
    Ok(table)
}

/// Every list of memorized prompts against every list of non-memorized ones.
pub(super) fn by_set(
    name: String,
    title: &str,
    models: &[ModelScores],
    report: &ReportSettings,
) -> Result<ResultTable> {
    let naming = vec![
        Column::new("memorized", "Memorized", ColumnKind::Text),
        Column::new("memorized_count", "Prompts", ColumnKind::Integer),
        Column::new("non_memorized", "Against", ColumnKind::Text),
        Column::new("non_memorized_count", "Prompts", ColumnKind::Integer),
    ];
    let set = |prompt: &KnownPrompt| Some(prompt.set.to_string());
    table(name, title, models, report, naming, |model, _| {
        let (memorized, others) = (groups(&model.memorized, set), groups(&model.non_memorized, set));
        let named = |group: &Group| [Cell::text(&group.name), Cell::integer(group.rows.len() as i64)];
        let pairs = memorized.iter().flat_map(|m| others.iter().map(move |o| (m, o)));
        let compared = pairs.map(|(m, o)| Compared {
            cells: [named(m), named(o)].concat(),
            memorized: m.rows.clone(),
            non_memorized: o.rows.clone(),
        });
        compared.collect()
    })
}

/// Memorized prompts of each dose (share of the planted picture, duplication weight) against all others.
pub(super) fn by_weight(
    name: String,
    title: &str,
    models: &[ModelScores],
    report: &ReportSettings,
) -> Result<ResultTable> {
    let naming = vec![
        Column::new("memorized", "Memorized", ColumnKind::Text),
        Column::new("share", "Share of the picture", ColumnKind::Number),
        Column::new("weight", "Duplication weight", ColumnKind::Number),
        Column::new("count", "Prompts", ColumnKind::Integer),
        Column::new("verified", "Verified", ColumnKind::Integer),
        Column::new("rate", "Reproduction rate", ColumnKind::Number),
    ];
    let title = format!("{title}: by duplication weight");
    table(name, title, models, report, naming, |model, table| {
        let share_note = table.footnote("of the planted picture among all training pictures of the prompt");
        let verified_note =
            table.footnote("prompts whose planted picture is in more than nine of ten draws, found without a detector");
        let rate_note = table.footnote("mean share of draws that are the planted picture");
        let dose = |prompt: &KnownPrompt| {
            Some(format!("{} {:?} {}", prompt.set, prompt.share.filter(|_| !prompt.is_plain()), prompt.weight?))
        };
        let mut by_weight = groups(&model.memorized, dose);
        let first = |group: &Group| &model.memorized[group.rows[0]];
        let weight = |group: &Group| first(group).weight.unwrap_or_default();
        by_weight.sort_by(|a, b| {
            let (a_first, b_first) = (first(a), first(b));
            let sets = a_first.set.cmp(&b_first.set).reverse();
            sets.then(b_first.is_plain().cmp(&a_first.is_plain())).then(weight(a).total_cmp(&weight(b)))
        });
        let compared = by_weight.iter().map(|group| {
            let flags: Option<Vec<bool>> = group.rows.iter().map(|row| model.memorized[*row].verified).collect();
            let verified = match flags {
                Some(flags) => Cell::integer(flags.into_iter().filter(|verified| *verified).count() as i64),
                None => Cell::missing("nobody has checked all of these prompts"),
            };
            let rates: Option<Vec<f64>> =
                group.rows.iter().map(|row| Some(model.memorized[*row].reproduction.as_ref()?.rate)).collect();
            let rate = match rates {
                Some(rates) => Cell::number(rates.iter().sum::<f64>() / rates.len() as f64, 2),
                None => Cell::missing("nobody has counted the draws of all of these prompts"),
            };
            Compared {
                cells: vec![
                    Cell::text(&*first(group).set),
                    Cell::number(first(group).share.unwrap_or(1.0), 2).with_note(share_note),
                    Cell::number(weight(group), 0),
                    Cell::integer(group.rows.len() as i64),
                    verified.with_note(verified_note),
                    rate.with_note(rate_note),
                ],
                memorized: group.rows.clone(),
                non_memorized: (0..model.non_memorized.len()).collect(),
            }
        });
        compared.collect()
    })
}
