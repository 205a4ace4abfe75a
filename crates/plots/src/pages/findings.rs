//! What the tables say, in sentences. Every number and name comes from the tables; what they cannot tell is not said.

use memscope_results::{ResultTable, prompts::ModelPrompts, table::CellValue};

use super::{
    inside::shown,
    numbers::{number, p, signed, with_interval},
    rows::{Row, beside, first_detection, has, least_n, models},
};
use crate::report::{Finding, PromptBrowser, Source};

/// Level at which two detectors count as told apart.
const LEVEL: f64 = 0.05;
/// Prompts that are named where detectors disagree.
const NAMED: usize = 3;

/// The findings of the tables of a page: first those of the experiment that the page begins with, its ranks and its
/// differences beside the paper's; then the ranks of others, and the prompts that detectors disagree on.
pub(super) fn of(tables: &[ResultTable], prompts: Option<&PromptBrowser>) -> Vec<Finding> {
    let first = first_detection(tables);
    let is_first = |table: &ResultTable| first.is_some_and(|first| first.name() == table.name());
    let ranked = tables.iter().filter(|table| has(table, &["model", "n", "method", "auc", "auc_ranks", "auc_apart"]));
    let (of_first, others): (Vec<_>, Vec<_>) = ranked.partition(|table| is_first(whole(tables, table)));
    let told = |table: &ResultTable| ranks(table, &from(whole(tables, table)));
    let mut findings: Vec<Finding> = of_first.into_iter().flat_map(told).collect();
    let differences = |table: &ResultTable| {
        beside(tables, table, "differences").filter(|found| has(found, &["difference", "auc", "auc_p"]))
    };
    let with_paper = tables.iter().filter(|table| has(table, &["auc", "paper_auc", "method"]));
    let mut candidates = first.into_iter().chain(with_paper);
    if let Some((detection, differences)) = candidates.find_map(|table| Some((table, differences(table)?))) {
        findings.extend(compared(detection, differences, &from(detection)));
    }
    findings.extend(others.into_iter().flat_map(told));
    findings.extend(
        prompts
            .into_iter()
            .flat_map(|browser| browser.models.iter().filter_map(|model| disagreement(model, &browser.title))),
    );
    findings
}

/// The table of detection that a table of ranks belongs to, or itself.
fn whole<'a>(tables: &'a [ResultTable], table: &'a ResultTable) -> &'a ResultTable {
    let name = table.name().strip_suffix("-ranks");
    tables.iter().find(|other| name == Some(other.name())).unwrap_or(table)
}

/// Which experiment the numbers of a table are from, and under which noise.
fn from(table: &ResultTable) -> String {
    let noise = table.provenance().iter().find(|origin| origin.key == "noise");
    let noise = noise.map_or_else(String::new, |origin| format!(", noise {}", shown(&origin.value)));
    format!("{} ({}){noise}", shown(table.title()), table.name())
}

/// For every model: who is at the top by AUC, and who is certainly behind.
fn ranks(table: &ResultTable, from: &str) -> Vec<Finding> {
    let Some(n) = least_n(table) else { return vec![] };
    let mut findings = vec![];
    for model in models(table) {
        let rows: Vec<Row> =
            Row::all(table).filter(|row| row.text("model") == model && row.number("n") == Some(n)).collect();
        let auc = |row: &Row| row.number("auc").unwrap_or(f64::NAN);
        let names = |rows: &[&Row]| {
            let named = |row: &&Row| format!("{} ({})", row.text("method"), number(auc(row)));
            rows.iter().map(named).collect::<Vec<_>>().join(", ")
        };
        let (top, behind): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| is_top(row));
        let top_text = match top.as_slice() {
            [] => continue,
            [one] => format!("{} has the highest AUC, certainly ahead of all others", names(&[one])),
            several => format!("by AUC, {} cannot be told apart at the top", names(several)),
        };
        let lead = lead(&rows);
        let behind_text =
            if behind.is_empty() { String::new() } else { format!("; certainly behind the best: {}", names(&behind)) };
        // The order of the averages is not that of the tests.
        let least_of_top = top.iter().map(|row| auc(row)).fold(f64::INFINITY, f64::min);
        let higher: Vec<&Row> = behind.iter().copied().filter(|row| auc(row) > least_of_top).collect();
        let why = match higher.as_slice() {
            [] => String::new(),
            rows => format!(
                ". {} can be behind with a higher AUC than one that is not: detectors are compared on the same prompts, \
                 where a small difference that hardly varies is certain and a large one that varies is not",
                rows.iter().map(|row| row.text("method")).collect::<Vec<_>>().join(", ")
            ),
        };
        findings.push(Finding {
            text: format!("{model}, n = {n}: {top_text}{lead}{behind_text}{why}."),
            from: from.to_owned(),
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
    let by = with_interval(*value, *interval);
    // Ranks are corrected for the number of pairs; the interval is not.
    let alone = if interval.low > 0.0 && is_top(second) { " when these two alone are compared" } else { "" };
    format!("; {} leads {} by {by}{alone}", first.text("method"), second.text("method"))
}

/// Whether a detector may have the first place.
fn is_top(row: &Row) -> bool {
    row.text("auc_ranks").split(' ').next() == Some("1")
}

/// The prompts that two detectors rank most differently, at the smallest n.
fn disagreement(model: &ModelPrompts, from: &str) -> Option<Finding> {
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
    Some(Finding { text, from: shown(from), source: Source::Prompts(model.model.clone()) })
}

/// For every prompt the share of the other prompts that score lower, by the mean score of a detector.
fn percentiles(model: &ModelPrompts, detector: usize) -> Vec<f64> {
    let mean = |scores: &Vec<f64>| scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let scores: Vec<f64> = model.prompts.iter().map(|prompt| mean(&prompt.scores[detector])).collect();
    let mut ordered = scores.clone();
    ordered.sort_by(f64::total_cmp);
    let others = (scores.len() - 1).max(1) as f64;
    let lower = |score: &f64| ordered.partition_point(|other| other.total_cmp(score).is_lt());
    scores.iter().map(|score| lower(score) as f64 / others).collect()
}

/// For every difference at the smallest n: whether it stands as the paper has it. Where the paper has numbers, those that it
/// has none for are left to the ranks.
fn compared(detection: &ResultTable, differences: &ResultTable, from: &str) -> Vec<Finding> {
    let Some(n) = least_n(differences) else { return vec![] };
    let has_paper = Row::all(detection).any(|row| row.number("paper_auc").is_some());
    let mut findings = vec![];
    for row in Row::all(differences).filter(|row| row.number("n") == Some(n)) {
        let difference = row.text("difference");
        let Some((first, second)) = difference.split_once(" \u{2212} ") else { continue };
        let (Some(value), Some(chance)) = (row.number("auc"), row.number("auc_p")) else { continue };
        let model = row.text("model");
        let of = |method: &str| {
            let same =
                |row: &Row| row.text("model") == model && row.number("n") == Some(n) && row.text("method") == method;
            Row::all(detection).find(same)
        };
        let paper = |method: &str| of(method).and_then(|row| row.number("paper_auc"));
        let verdict = if chance > LEVEL {
            "cannot be told apart from"
        } else if value > 0.0 {
            "is ahead of"
        } else {
            "is behind"
        };
        let published = paper(first).zip(paper(second)).map(|(a, b)| a - b);
        if has_paper && published.is_none() {
            continue;
        }
        let against = match published {
            None => String::new(),
            Some(published) => {
                let judged = if chance > LEVEL {
                    "not confirmed here"
                } else if published * value > 0.0 {
                    "the same direction"
                } else {
                    "this contradicts the paper"
                };
                format!("; the paper has {}, on another model: {judged}", signed(published))
            }
        };
        let seeds = of(first).zip(of(second)).map_or("", |(a, b)| one_seed(&a, &b));
        findings.push(Finding {
            text: format!(
                "{model}, n = {n}: {first} {verdict} {second}{seeds} by AUC ({}, {}){against}.",
                signed(value),
                p(chance),
            ),
            from: from.to_owned(),
            source: Source::Table(differences.name().to_owned()),
        });
    }
    findings
}

/// What is to be said where the second row is of one seed and the first of several.
fn one_seed(first: &Row, second: &Row) -> &'static str {
    let has_spread = |row: &Row| matches!(row.cell("auc"), Some(CellValue::Measured { std: Some(_), .. }));
    if has_spread(first) && !has_spread(second) { " (of one seed)" } else { "" }
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
        let mut table = ResultTable::new("x-ranks", "Ranks", columns.clone()).unwrap();
        let last = || Cell::missing("there is no next one");
        let row = |name: &str, auc: f64, ranks: &str, lead: Cell| {
            let (auc, apart) = (measured(auc, 0.0, 1.0), Cell::text("1 of 2"));
            vec![Cell::text("m"), Cell::integer(1), Cell::text(name), auc, Cell::text(ranks), apart, lead]
        };
        table.push_row(row("A", 0.81, "1 to 2", measured(0.002, -0.001, 0.005))).unwrap();
        table.push_row(row("B", 0.808, "1 to 2", measured(0.2, 0.1, 0.3))).unwrap();
        table.push_row(row("C", 0.608, "3", last())).unwrap();
        let findings = of(&[table], None);
        assert_eq!(findings.len(), 1);
        let expected = "m, n = 1: by AUC, A (0.810), B (0.808) cannot be told apart at the top; A leads B by 0.0020 \
                        [\u{2212}0.0010, +0.0050]; certainly behind the best: C (0.608).";
        assert_eq!(findings[0].text, expected);
        assert_eq!(findings[0].from, "Ranks (x-ranks)");
        let both = [row("A", 0.81, "1 to 2", measured(0.002, 0.001, 0.003)), row("B", 0.808, "1 to 2", last())];
        let mut table = ResultTable::new("x-ranks", "Ranks", columns).unwrap();
        both.into_iter().for_each(|row| table.push_row(row).unwrap());
        let text = &of(&[table], None)[0].text;
        assert!(text.ends_with("[+0.0010, +0.0030] when these two alone are compared."), "{text}");
    }

    #[test]
    fn a_detector_behind_with_a_higher_auc_is_explained() {
        let table = ranks_of("x-ranks", &[("A", 0.81, "1 to 2"), ("B", 0.80, "2 to 3"), ("C", 0.75, "1 to 3")]);
        let text = &of(&[table], None)[0].text;
        assert!(text.contains("certainly behind the best: B (0.800). B can be behind with a higher AUC"), "{text}");
        let table = ranks_of("x-ranks", &[("A", 0.81, "1 to 2"), ("C", 0.805, "1 to 2"), ("B", 0.80, "3")]);
        assert!(of(&[table], None)[0].text.ends_with("certainly behind the best: B (0.800)."));
    }

    #[test]
    fn what_is_compared_with_the_paper_is_from_the_experiment_with_ranks() {
        let columns = [("model", ColumnKind::Text), ("n", ColumnKind::Integer), ("method", ColumnKind::Text)];
        let numbers = ["auc", "tpr", "paper_auc"].map(|key| (key, ColumnKind::Measured));
        let columns: Vec<Column> =
            columns.into_iter().chain(numbers).map(|(key, kind)| Column::new(key, key, kind)).collect();
        let detection = |name: &str, spread: [Option<f64>; 2]| {
            let mut table = ResultTable::new(name, format!("Title of {name}"), columns.clone()).unwrap();
            for (method, paper, std) in [("A", 0.9, spread[0]), ("B", 0.8, spread[1])] {
                let auc = Cell::measured(Summary { mean: 0.7, std, count: 1 }, None, 3);
                let own = [Cell::text("m"), Cell::integer(1), Cell::text(method), auc, Cell::number(0.1, 3)];
                table.push_row(own.into_iter().chain([Cell::number(paper, 3)]).collect()).unwrap();
            }
            table.set_provenance("noise", "torch, seeds 1, 2");
            table
        };
        let differences = |name: &str| {
            let columns = [("model", ColumnKind::Text), ("n", ColumnKind::Integer), ("difference", ColumnKind::Text)];
            let numbers = [("auc", ColumnKind::Measured), ("auc_p", ColumnKind::Number)];
            let columns = columns.into_iter().chain(numbers).map(|(key, kind)| Column::new(key, key, kind)).collect();
            let mut table = ResultTable::new(name, name, columns).unwrap();
            let row = [Cell::text("m"), Cell::integer(1), Cell::text("A \u{2212} B"), measured(-0.1, -0.2, -0.05)];
            table.push_row(row.into_iter().chain([Cell::number(2.0 / 2001.0, 3)]).collect()).unwrap();
            table
        };
        let tables = [
            detection("one", [Some(0.1), None]),
            differences("one-differences"),
            detection("two", [Some(0.1), Some(0.1)]),
            differences("two-differences"),
            ranks_of("two-ranks", &[("A", 0.7, "1"), ("B", 0.6, "2")]),
        ];
        let found = of(&tables, None);
        let from: Vec<&str> = found.iter().map(|finding| finding.from.as_str()).collect();
        assert_eq!(from, ["Title of two (two), noise torch, seeds 1, 2"; 2]);
        let expected = "m, n = 1: A is behind B by AUC (\u{2212}0.100, p < 0.001); the paper has +0.100, on another model: \
                        this contradicts the paper.";
        assert_eq!(found[1].text, expected);
        let alone = of(&tables[..2], None);
        assert!(alone[0].text.contains("A is behind B (of one seed) by AUC"), "{}", alone[0].text);
    }

    fn ranks_of(name: &str, rows: &[(&str, f64, &str)]) -> ResultTable {
        let text = ["model", "method", "auc_ranks", "auc_apart"].map(|key| (key, ColumnKind::Text));
        let columns = [text[0], ("n", ColumnKind::Integer), text[1], ("auc", ColumnKind::Measured), text[2], text[3]];
        let columns = columns.map(|(key, kind)| Column::new(key, key, kind)).to_vec();
        let mut table = ResultTable::new(name, name, columns).unwrap();
        for (method, auc, ranks) in rows {
            let names = [Cell::text("m"), Cell::integer(1), Cell::text(*method)];
            let more = [measured(*auc, 0.0, 1.0), Cell::text(*ranks), Cell::text("")];
            table.push_row(names.into_iter().chain(more).collect()).unwrap();
        }
        table
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
        let found = disagreement(&model, "The prompts of x").unwrap();
        assert_eq!((&found.source, &*found.from), (&Source::Prompts("m".into()), "The prompts of x"));
        let expected = "m, n = 1: the detectors disagree most on “c” (memorized; B puts it above 50 % of the prompts, A above \
                        0 %), “a” (memorized; A puts it above 25 % of the prompts, B above 0 %), “b” (memorized; A puts it \
                        above 50 % of the prompts, B above 25 %).";
        assert_eq!(found.text, expected);
    }
}
