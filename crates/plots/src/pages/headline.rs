//! What most readers come for, on one screen: the detectors of each model by AUC, beside their cost and the paper's numbers.

use memscope_results::{
    Error as ResultsError, ResultTable,
    table::{Cell, Column, ColumnKind},
};

use super::{
    rows::{Row, beside, first_detection, least_n, models},
    tables::shown,
};
use crate::report::{Block, Section};

/// Columns taken over from the tables of an experiment: key, and which table has it.
const TAKEN: [(&str, Of); 6] = [
    ("auc_ranks", Of::Ranks),
    ("auc", Of::Detection),
    ("tpr", Of::Detection),
    ("calls", Of::Timing),
    ("paper_auc", Of::Detection),
    ("paper_tpr", Of::Detection),
];

#[derive(Clone, Copy, PartialEq)]
enum Of {
    Detection,
    Ranks,
    Timing,
}

/// The tables of one experiment.
struct Experiment<'a> {
    detection: &'a ResultTable,
    ranks: Option<&'a ResultTable>,
    timing: Option<&'a ResultTable>,
}

impl<'a> Experiment<'a> {
    /// The one that [`first_detection`] chooses.
    fn first(tables: &'a [ResultTable]) -> Option<Self> {
        let detection = first_detection(tables)?;
        let beside = |suffix| beside(tables, detection, suffix);
        Some(Self { detection, ranks: beside("ranks"), timing: beside("timing") })
    }

    fn table(&self, of: Of) -> Option<&'a ResultTable> {
        match of {
            Of::Detection => Some(self.detection),
            Of::Ranks => self.ranks,
            Of::Timing => self.timing,
        }
    }

    /// The columns that some table has: key, table and the column itself under a short heading.
    fn columns(&self) -> Vec<(&'static str, &'a ResultTable, Column)> {
        let column = |(key, of): (&'static str, Of)| {
            let table = self.table(of)?;
            let own = &table.columns()[table.column_index(key)?];
            let heading = match key {
                "auc_ranks" => "Ranks",
                "calls" => "Calls",
                _ => &own.header,
            };
            Some((key, table, Column::new(key, heading, own.kind)))
        };
        TAKEN.into_iter().filter_map(column).collect()
    }
}

/// The section, if the page has a table of detection.
///
/// # Errors
/// When its table cannot be made.
pub(super) fn section(tables: &[ResultTable]) -> Result<Option<Section>, ResultsError> {
    let Some(experiment) = Experiment::first(tables) else { return Ok(None) };
    let Some(n) = least_n(experiment.detection) else { return Ok(None) };
    let mut blocks = vec![];
    for (index, model) in models(experiment.detection).into_iter().enumerate() {
        let table = of_model(&experiment, &model, n, &format!("headline-{}", index + 1))?;
        blocks.push(Block::Table(shown(&table, "")));
    }
    let name = experiment.detection.name();
    let ranks = match experiment.ranks {
        Some(_) => " Ranks are those that a detector may have, as far as the prompts tell them apart.",
        None => "",
    };
    let about = format!(
        "Detectors by AUC at n = {n}, from the tables of {name}. Calls are those of the network for ten prompts; the \
         paper’s numbers belong to other models.{ranks}"
    );
    Ok(Some(Section { id: "headline".into(), title: "At a glance".into(), paragraphs: vec![about], blocks }))
}

fn of_model(experiment: &Experiment, model: &str, n: f64, name: &str) -> Result<ResultTable, ResultsError> {
    let taken = experiment.columns();
    let mut columns = vec![Column::new("method", "Detector", ColumnKind::Text)];
    columns.extend(taken.iter().map(|(.., column)| column.clone()));
    let mut table = ResultTable::new(name, model, columns)?;
    let here = |row: &Row| row.text("model") == model && row.number("n") == Some(n);
    let mut rows: Vec<Row> = Row::all(experiment.detection).filter(here).collect();
    let auc = |row: &Row| row.number("auc").unwrap_or(f64::NEG_INFINITY);
    rows.sort_by(|a, b| auc(b).total_cmp(&auc(a)));
    for row in rows {
        let method = row.text("method");
        let mut cells = vec![Cell::text(&method)];
        for (key, from, _) in &taken {
            let same = Row::all(from).find(|row| here(row) && row.text("method") == method);
            let cell = same.and_then(|row| row.cell(key));
            // Footnotes stay with the table that the cell is from.
            cells.push(match cell {
                Some(value) => Cell { value: value.clone(), notes: vec![], emphasis: None },
                None => Cell::missing("not measured"),
            });
        }
        table.push_row(cells)?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, more: &[(&str, ColumnKind)], rows: &[(&str, f64, Vec<Cell>)]) -> ResultTable {
        let columns = [("model", ColumnKind::Text), ("n", ColumnKind::Integer), ("method", ColumnKind::Text)];
        let columns = columns.iter().chain(more).map(|(key, kind)| Column::new(*key, *key, *kind)).collect();
        let mut table = ResultTable::new(name, name, columns).unwrap();
        for (method, n, cells) in rows {
            let own = [Cell::text("m"), Cell::integer(*n as i64), Cell::text(*method)];
            table.push_row(own.into_iter().chain(cells.iter().cloned()).collect()).unwrap();
        }
        table
    }

    #[test]
    fn detectors_stand_by_auc_with_ranks_and_cost() {
        let number = |value| Cell::number(value, 3);
        let detection = [("auc", ColumnKind::Number), ("tpr", ColumnKind::Number), ("paper_auc", ColumnKind::Number)];
        let rows = |auc: [f64; 2]| {
            [("A", auc[0]), ("B", auc[1])].map(|(name, auc)| (name, 1.0, vec![number(auc), number(0.1), number(0.9)]))
        };
        let tables = [
            table("first", &detection, &rows([0.9, 0.1])),
            table("second", &detection, &rows([0.5, 0.75])),
            table("second-ranks", &[("auc_ranks", ColumnKind::Text)], &[("A", 1.0, vec![Cell::text("1 to 2")])]),
            table("second-timing", &[("calls", ColumnKind::Integer)], &[("B", 1.0, vec![Cell::integer(11)])]),
        ];
        let section = section(&tables).unwrap().unwrap();
        let [Block::Table(shown)] = &section.blocks[..] else { panic!("one model") };
        let texts: Vec<Vec<&str>> =
            shown.rows.iter().map(|row| row.iter().map(|cell| cell.text.as_str()).collect()).collect();
        assert_eq!(texts[0][..3], ["B", "–", "0.750"]);
        assert_eq!(texts[1][..3], ["A", "1 to 2", "0.500"]);
        assert_eq!((texts[0][4], texts[1][4]), ("11", "–"));
        assert!(super::section(&tables[2..]).unwrap().is_none());
    }
}
