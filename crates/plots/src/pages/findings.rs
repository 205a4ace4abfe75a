//! What the tables say, in sentences. Every number and name comes from the tables; what they cannot tell is not said.

use memscope_results::{
    ResultTable,
    table::{Cell, CellValue},
};

use super::inside::shown;
use crate::report::Finding;

/// Level at which two detectors count as told apart.
const LEVEL: f64 = 0.05;
/// The table whose differences are put into words: the paper's main comparison.
const COMPARED: &str = "table1";

/// The findings of the tables of a page, in their order: ranks first.
pub(super) fn of(tables: &[ResultTable]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = tables.iter().flat_map(ranks).collect();
    let named = |name: String| tables.iter().find(|table| table.name() == name);
    let detection = named(COMPARED.to_owned()).filter(|table| has(table, &["auc", "paper_auc", "method"]));
    let differences =
        named(format!("{COMPARED}-differences")).filter(|table| has(table, &["difference", "auc", "auc_p"]));
    if let (Some(detection), Some(differences)) = (detection, differences) {
        findings.extend(compared(detection, differences));
    }
    findings
}

fn has(table: &ResultTable, keys: &[&str]) -> bool {
    keys.iter().all(|key| table.column_index(key).is_some())
}

/// The columns of a row by key.
struct Row<'a> {
    table: &'a ResultTable,
    cells: &'a [Cell],
}

impl<'a> Row<'a> {
    fn all(table: &'a ResultTable) -> impl Iterator<Item = Self> {
        table.rows().iter().map(move |cells| Self { table, cells })
    }

    fn cell(&self, key: &str) -> Option<&'a CellValue> {
        Some(&self.cells.get(self.table.column_index(key)?)?.value)
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.cell(key)?.number()
    }

    fn text(&self, key: &str) -> String {
        self.cell(key).map_or_else(String::new, |cell| shown(&cell.plain()))
    }
}

/// The smallest n of a table.
fn least_n(table: &ResultTable) -> Option<f64> {
    Row::all(table).filter_map(|row| row.number("n")).reduce(f64::min)
}

/// For every model: who is at the top by AUC, and who is certainly behind.
fn ranks(table: &ResultTable) -> Vec<Finding> {
    let Some(n) = least_n(table).filter(|_| has(table, &["model", "method", "auc", "auc_ranks", "auc_apart"])) else {
        return vec![];
    };
    let mut models: Vec<String> = Row::all(table).map(|row| row.text("model")).collect();
    models.dedup();
    let mut findings = vec![];
    for model in models {
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
        let behind_text =
            if behind.is_empty() { String::new() } else { format!("; certainly behind the best: {}", names(&behind)) };
        findings.push(Finding {
            text: format!("{model}, n = {n}: {top_text}{behind_text}."),
            table: table.name().to_owned(),
        });
    }
    findings
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
            table: differences.name().to_owned(),
        });
    }
    findings
}
