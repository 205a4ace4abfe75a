//! Detection within parts of the prompt lists.

use std::{cmp::Ordering, sync::Arc};

use memscope_results::{
    ResultTable,
    scores::score_sets,
    stats::Statistic,
    table::{Cell, Column, ColumnKind},
};

use super::{ModelScores, SPREAD, STANDARD_TPR, Statistics, detector_columns, tpr_heading};
use crate::{error::Result, prompts::KnownPrompt, spec::ReportSettings};

/// Prompts that are looked at together, by their positions.
pub(super) struct Group<K> {
    pub(super) key: K,
    pub(super) rows: Vec<usize>,
}

/// Prompts that share a key, in the order in which the keys appear.
pub(super) fn groups<K: PartialEq>(prompts: &[KnownPrompt], key: impl Fn(&KnownPrompt) -> Option<K>) -> Vec<Group<K>> {
    let mut groups: Vec<Group<K>> = vec![];
    for (row, prompt) in prompts.iter().enumerate() {
        let Some(key) = key(prompt) else { continue };
        match groups.iter_mut().find(|group| group.key == key) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { key, rows: vec![row] }),
        }
    }
    groups
}

/// How a memorized prompt was planted.
#[derive(PartialEq)]
struct Dose {
    /// Its list.
    set: Arc<str>,
    /// Share of the planted picture among the prompt's training pictures, if there were others.
    share: Option<f64>,
    /// Duplication weight.
    weight: f64,
}

impl Dose {
    /// `None` where the weight is not known.
    fn of(prompt: &KnownPrompt) -> Option<Self> {
        let share = prompt.share.filter(|_| !prompt.is_plain());
        Some(Self { set: prompt.set.clone(), share, weight: prompt.weight? })
    }

    /// Verbatim before template, single pictures before those among others, then by weight.
    fn order(&self, other: &Self) -> Ordering {
        let among_others = self.share.is_some().cmp(&other.share.is_some());
        other.set.cmp(&self.set).then(among_others).then(self.weight.total_cmp(&other.weight))
    }
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
    let set = |prompt: &KnownPrompt| Some(prompt.set.clone());
    table(name, title, models, report, naming, |model, _| {
        let (memorized, others) = (groups(&model.memorized, set), groups(&model.non_memorized, set));
        let named = |group: &Group<Arc<str>>| [Cell::text(&*group.key), Cell::integer(group.rows.len() as i64)];
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
        let mut by_weight = groups(&model.memorized, Dose::of);
        by_weight.sort_by(|a, b| a.key.order(&b.key));
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
                    Cell::text(&*group.key.set),
                    Cell::number(group.key.share.unwrap_or(1.0), 2).with_note(share_note),
                    Cell::number(group.key.weight, 0),
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
