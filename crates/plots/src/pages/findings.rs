//! What the tables say, in sentences. Every number and name comes from the tables; what they cannot tell is not said.

use memscope_results::{ResultTable, prompts::ModelPrompts, table::CellValue};

use super::{
    inside::shown,
    rows::{Row, has, least_n, models},
};
use crate::report::{Finding, PromptBrowser, Source};

/// Level at which two detectors count as told apart.
const LEVEL: f64 = 0.05;
/// Prompts that are named where detectors disagree.
const NAMED: usize = 3;

/// The findings of the tables of a page, in their order: ranks first; then the differences of the first table that has the
/// paper's numbers beside it, and the prompts that detectors disagree on.
pub(super) fn of(tables: &[ResultTable], prompts: Option<&PromptBrowser>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = tables.iter().flat_map(ranks).collect();
    let differences = |table: &&ResultTable| {
        let named = tables.iter().find(|other| other.name() == format!("{}-differences", table.name()));
        named.filter(|found| has(found, &["difference", "auc", "auc_p"]))
    };
    let mut beside_paper = tables.iter().filter(|table| has(table, &["auc", "paper_auc", "method"]));
    if let Some((detection, differences)) = beside_paper.find_map(|table| Some((table, differences(&table)?))) {
        findings.extend(compared(detection, differences));
    }
    findings.extend(prompts.into_iter().flat_map(|browser| &browser.models).filter_map(disagreement));
    findings
}

/// For every model: who is at the top by AUC, and who is certainly behind.
fn ranks(table: &ResultTable) -> Vec<Finding> {
    let Some(n) = least_n(table).filter(|_| has(table, &["model", "method", "auc", "auc_ranks", "auc_apart"])) else {
        return vec![];
    };
    let mut findings = vec![];
    for model in models(table) {
        let rows: Vec<Row> =
            Row::all(table).filter(|row| row.text("model") == model && row.number("n") == Some(n)).collect();
        let names = |rows: &[&Row]| {
            let named = |row: &&Row| format!("{} ({:.3})", row.text("method"), row.number("auc").unwrap_or(f64::NAN));
            rows.iter().map(named).collect::<Vec<_>>().join(", ")
        };
        let first = |row: &&Row| row.text("auc_ranks").split(' ').next() == Some("1");
        let (top, behind): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| first(row));
        let top_text = match top.as_slice() {
            [] => continue,
            [one] => format!("{} has the highest AUC, certainly ahead of all others", names(&[one])),
            several => format!("by AUC, {} cannot be told apart at the top", names(several)),
        };
        let lead = lead(&rows);
        let behind_text =
            if behind.is_empty() { String::new() } else { format!("; certainly behind the best: {}", names(&behind)) };
        findings.push(Finding {
            text: format!("{model}, n = {n}: {top_text}{lead}{behind_text}."),
            source: Source::Table(table.name().to_owned()),
        });
    }
    findings
}

/// How far the first row is ahead of the second, where the table says it.
fn lead(rows: &[Row]) -> String {
    let [first, second, ..] = rows else { return String::new() };
    let Some(CellValue::Measured { value, interval: Some(interval), .. }) = first.cell("auc_lead") else {
        return String::new();
    };
    let (low, high) = (signed(interval.low), signed(interval.high));
    format!("; {} leads {} by {value:.3} [{low}, {high}]", first.text("method"), second.text("method"))
}

/// The prompts that two detectors rank most differently, at the smallest n.
fn disagreement(model: &ModelPrompts) -> Option<Finding> {
    let n = model.detectors.iter().map(|detector| detector.n).min()?;
    let used: Vec<usize> = (0..model.detectors.len()).filter(|at| model.detectors[*at].n == n).collect();
    if used.len() < 2 || model.prompts.len() < 2 {
        return None;
    }
    let ranks: Vec<Vec<f64>> = used.iter().map(|at| percentiles(model, *at)).collect();
    let mut spread: Vec<(f64, usize, usize, usize)> = (0..model.prompts.len())
        .map(|prompt| {
            let by_rank = |a: &usize, b: &usize| ranks[*a][prompt].total_cmp(&ranks[*b][prompt]);
            let low = (0..used.len()).min_by(by_rank).unwrap_or_default();
            let high = (0..used.len()).max_by(by_rank).unwrap_or_default();
            (ranks[high][prompt] - ranks[low][prompt], prompt, low, high)
        })
        .collect();
    spread.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let named = spread.iter().take(NAMED).map(|&(_, prompt, low, high)| {
        let record = &model.prompts[prompt];
        let name = |at: usize| shown(&model.detectors[used[at]].name);
        let share = |at: usize| format!("{:.0} %", 100.0 * ranks[at][prompt]);
        format!(
            "“{}” ({}; {} puts it above {} of the prompts, {} above {})",
            shown(&record.prompt),
            shown(&record.class),
            name(high),
            share(high),
            name(low),
            share(low)
        )
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let text = format!("{}, n = {n}: the detectors disagree most on {named}.", shown(&model.model));
    Some(Finding { text, source: Source::Prompts })
}

/// For every prompt the share of the other prompts that come before it by the mean score of a detector.
fn percentiles(model: &ModelPrompts, detector: usize) -> Vec<f64> {
    let mean = |scores: &Vec<f64>| scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let scores: Vec<f64> = model.prompts.iter().map(|prompt| mean(&prompt.scores[detector])).collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut shares = vec![0.0; scores.len()];
    for (rank, prompt) in order.into_iter().enumerate() {
        shares[prompt] = rank as f64 / (scores.len() - 1).max(1) as f64;
    }
    shares
}

/// A difference with its sign, as people write it.
fn signed(value: f64) -> String {
    format!("{value:+.3}").replace('-', "\u{2212}")
}

/// For every difference at the smallest n: whether it stands as the paper has it.
fn compared(detection: &ResultTable, differences: &ResultTable) -> Vec<Finding> {
    let Some(n) = least_n(differences) else { return vec![] };
    let mut findings = vec![];
    for row in Row::all(differences).filter(|row| row.number("n") == Some(n)) {
        let difference = row.text("difference");
        let Some((first, second)) = difference.split_once(" \u{2212} ") else { continue };
        let (Some(value), Some(p)) = (row.number("auc"), row.number("auc_p")) else { continue };
        let model = row.text("model");
        let paper = |method: &str| {
            let same =
                |row: &Row| row.text("model") == model && row.number("n") == Some(n) && row.text("method") == method;
            Row::all(detection).find(same).and_then(|row| row.number("paper_auc"))
        };
        let verdict = if p > LEVEL {
            "cannot be told apart from"
        } else if value > 0.0 {
            "is ahead of"
        } else {
            "is behind"
        };
        let published = paper(first).zip(paper(second)).map(|(a, b)| a - b);
        let against = match published {
            None => String::new(),
            Some(published) => {
                let judged = if p > LEVEL {
                    "not confirmed here"
                } else if published * value > 0.0 {
                    "the same direction"
                } else {
                    "this contradicts the paper"
                };
                format!("; the paper has {}, on another model: {judged}", signed(published))
            }
        };
        findings.push(Finding {
            text: format!(
                "{model}, n = {n}: {first} {verdict} {second} by AUC ({}, p {}){against}.",
                signed(value),
                if p < 0.001 { "< 0.001".to_owned() } else { format!("= {p:.3}") },
            ),
            source: Source::Table(differences.name().to_owned()),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use memscope_results::{
        prompts::{DetectorColumn, PromptRecord},
        stats::{Interval, Summary},
        table::{Cell, Column, ColumnKind},
    };

    use super::*;

    fn measured(mean: f64, low: f64, high: f64) -> Cell {
        Cell::measured(Summary { mean, std: None, count: 1 }, Some(Interval { low, high }), 3)
    }

    #[test]
    fn the_best_is_named_with_its_lead() {
        let columns = [
            ("model", ColumnKind::Text),
            ("n", ColumnKind::Integer),
            ("method", ColumnKind::Text),
            ("auc", ColumnKind::Measured),
            ("auc_ranks", ColumnKind::Text),
            ("auc_apart", ColumnKind::Text),
            ("auc_lead", ColumnKind::Measured),
        ];
        let columns = columns.map(|(key, kind)| Column::new(key, key, kind)).to_vec();
        let mut table = ResultTable::new("x-ranks", "Ranks", columns).unwrap();
        let row = |name: &str, auc: f64, ranks: &str, lead: Cell| {
            let (auc, apart) = (measured(auc, 0.0, 1.0), Cell::text("1 of 2"));
            vec![Cell::text("m"), Cell::integer(1), Cell::text(name), auc, Cell::text(ranks), apart, lead]
        };
        table.push_row(row("A", 0.81, "1 to 2", measured(0.002, -0.001, 0.005))).unwrap();
        table.push_row(row("B", 0.808, "1 to 2", measured(0.2, 0.1, 0.3))).unwrap();
        table.push_row(row("C", 0.608, "3", Cell::missing("there is no next one"))).unwrap();
        let findings = of(&[table], None);
        assert_eq!(findings.len(), 1);
        let expected = "m, n = 1: by AUC, A (0.810), B (0.808) cannot be told apart at the top; A leads B by 0.002 \
                        [\u{2212}0.001, +0.005]; certainly behind the best: C (0.608).";
        assert_eq!(findings[0].text, expected);
    }

    #[test]
    fn prompts_that_detectors_rank_differently_are_named() {
        let prompt = |text: &str, one: [f64; 2], other: f64| PromptRecord {
            prompt: text.into(),
            class: "memorized".into(),
            set: "s".into(),
            weight: None,
            reproduction_rate: None,
            // The last detector has another n.
            scores: vec![one.to_vec(), vec![other], vec![-other]],
        };
        let detector = |name: &str, n| DetectorColumn { name: name.into(), n, seeds: vec![1] };
        let model = ModelPrompts {
            model: "m".into(),
            detectors: vec![detector("A", 1), detector("B", 1), detector("A", 4)],
            // Ranks by A: c, a, b, d, e; by B: a, b, c, d, e.
            prompts: vec![
                prompt("a", [2.0, 2.0], 1.0),
                prompt("b", [5.0, 1.0], 2.0),
                prompt("c", [1.0, 1.0], 3.0),
                prompt("d", [4.0, 4.0], 4.0),
                prompt("e", [5.0, 5.0], 5.0),
            ],
        };
        let found = disagreement(&model).unwrap();
        assert_eq!(found.source, Source::Prompts);
        let expected = "m, n = 1: the detectors disagree most on “c” (memorized; B puts it above 50 % of the prompts, A above \
                        0 %), “a” (memorized; A puts it above 25 % of the prompts, B above 0 %), “b” (memorized; A puts it \
                        above 50 % of the prompts, B above 25 %).";
        assert_eq!(found.text, expected);
    }
}
