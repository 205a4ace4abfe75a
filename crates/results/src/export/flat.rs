//! Tables for programs: one object a row, one field a number.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::table::{Cell, CellValue, Column, ColumnKind, ResultTable};

/// A table whose rows are flat objects. The fields are those of the CSV files: a measured column `auc` gives `auc`,
/// `auc_std`, `auc_low` and `auc_high`; a value that is missing is null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlatTable {
    /// Short name.
    pub name: String,
    /// Title for people.
    pub title: String,
    /// One object a row.
    pub rows: Vec<Map<String, Value>>,
    /// Footnotes.
    pub notes: Vec<String>,
    /// Where the numbers come from.
    pub provenance: Map<String, Value>,
}

impl FlatTable {
    /// The rows of a table.
    pub fn new(table: &ResultTable) -> Self {
        let row = |cells: &Vec<Cell>| {
            let fields = table.columns().iter().zip(cells).flat_map(|(column, cell)| {
                Column::fields(column).into_iter().zip(values(column.kind, cell)).collect::<Vec<_>>()
            });
            fields.collect()
        };
        Self {
            name: table.name().to_owned(),
            title: table.title().to_owned(),
            rows: table.rows().iter().map(row).collect(),
            notes: table.footnotes().to_vec(),
            provenance: table.provenance().iter().map(|o| (o.key.clone(), o.value.clone().into())).collect(),
        }
    }
}

/// One value per field of the column, in the order of [`Column::fields`].
fn values(kind: ColumnKind, cell: &Cell) -> Vec<Value> {
    let value = match &cell.value {
        CellValue::Text { text } => text.clone().into(),
        CellValue::Integer { value } => (*value).into(),
        other => other.number().into(),
    };
    let spread = match (kind, &cell.value) {
        (ColumnKind::Text | ColumnKind::Integer | ColumnKind::Number, _) => vec![],
        (ColumnKind::Measured, CellValue::Measured { std, interval, .. }) => {
            vec![(*std).into(), interval.map(|range| range.low).into(), interval.map(|range| range.high).into()]
        }
        (ColumnKind::Paper, CellValue::Paper { std, quoted, source, .. }) => {
            vec![(*std).into(), (*quoted).into(), source.clone().into()]
        }
        (ColumnKind::Measured | ColumnKind::Paper, _) => vec![Value::Null; 3],
    };
    std::iter::once(value).chain(spread).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Interval, Summary};

    #[test]
    fn a_row_is_one_flat_object() {
        let columns = vec![
            Column::new("method", "Method", ColumnKind::Text),
            Column::new("auc", "AUC", ColumnKind::Measured),
            Column::new("p", "p", ColumnKind::Number),
        ];
        let mut table = ResultTable::new("t", "T", columns).unwrap();
        let summary = Summary { mean: 0.5, std: None, count: 1 };
        let auc = Cell::measured(summary, Some(Interval { low: 0.25, high: 0.75 }), 3);
        table.push_row(vec![Cell::text("M"), auc, Cell::missing("none")]).unwrap();
        let json = serde_json::to_value(FlatTable::new(&table)).unwrap();
        let row = serde_json::json!({
            "method": "M", "auc": 0.5, "auc_std": null, "auc_low": 0.25, "auc_high": 0.75, "p": null
        });
        assert_eq!(json["rows"], serde_json::json!([row]));
    }
}
