//! A column and the kind of cells it holds.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cell::CellValue;

/// A column of a result table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Identifier in CSV and JSON: lower-case letters, digits and `_`.
    pub key: String,
    /// Heading for people.
    pub header: String,
    /// Unit of the numbers, e.g. `s`; `None` for text and pure numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What the cells hold.
    pub kind: ColumnKind,
}

/// What the cells of a column hold; a missing cell fits everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Text, aligned left.
    Text,
    /// Whole numbers, aligned right.
    Integer,
    /// Numbers without spread, aligned right.
    Number,
    /// Measured numbers, with a spread where there is one, aligned right.
    Measured,
    /// Published numbers, aligned right.
    Paper,
}

impl Column {
    /// A column without unit.
    pub fn new(key: impl Into<String>, header: impl Into<String>, kind: ColumnKind) -> Self {
        Self { key: key.into(), header: header.into(), unit: None, kind }
    }

    /// The same column with a unit.
    #[must_use]
    pub fn with_unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// Heading with the unit in parentheses.
    pub fn label(&self) -> String {
        match &self.unit {
            Some(unit) => format!("{} ({unit})", self.header),
            None => self.header.clone(),
        }
    }

    /// Whether the cells are p values: those of `p` and of keys that end in `_p`, e.g. `auc_p`.
    pub fn holds_p(&self) -> bool {
        self.key == "p" || self.key.ends_with("_p")
    }

    /// Names of the flat fields that CSV spreads the column over; the first is the value.
    pub fn fields(&self) -> Vec<String> {
        let parts: &[&str] = match self.kind {
            ColumnKind::Text | ColumnKind::Integer | ColumnKind::Number => &[],
            ColumnKind::Measured => &["std", "low", "high"],
            ColumnKind::Paper => &["std", "quoted", "source"],
        };
        let named = parts.iter().map(|part| format!("{}_{part}", self.key));
        std::iter::once(self.key.clone()).chain(named).collect()
    }
}

impl ColumnKind {
    /// Whether a cell of this value may stand in the column.
    pub fn accepts(self, value: &CellValue) -> bool {
        match value {
            CellValue::Missing { .. } => true,
            CellValue::Text { .. } => self == Self::Text,
            CellValue::Integer { .. } => matches!(self, Self::Integer | Self::Number),
            CellValue::Number { .. } => matches!(self, Self::Number | Self::Measured),
            CellValue::Measured { .. } => self == Self::Measured,
            CellValue::Paper { .. } => self == Self::Paper,
        }
    }
}

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Measured => "measured",
            Self::Paper => "paper",
        })
    }
}
