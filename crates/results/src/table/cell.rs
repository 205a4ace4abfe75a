//! A cell: one value and the footnotes it refers to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::{Interval, Summary};

/// Position of a footnote in its table, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct FootnoteId(usize);

impl FootnoteId {
    pub(super) fn new(index: usize) -> Self {
        Self(index)
    }

    /// The position, from 0.
    pub fn index(self) -> usize {
        self.0
    }
}

/// A value with its footnotes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The value.
    pub value: CellValue,
    /// Footnotes that qualify it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<FootnoteId>,
    /// How far it stands out in its column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emphasis: Option<Emphasis>,
}

/// What certainly stands out among the numbers that are compared with one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Emphasis {
    /// Certainly better than all others.
    Best,
    /// Certainly better than all others but the best.
    Second,
}

/// What a cell holds. Numbers are in the unit of the column; `decimals` says how many digits after the point are shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CellValue {
    /// A label, a prompt.
    Text {
        /// The text, not escaped.
        text: String,
    },
    /// A count.
    Integer {
        /// The count.
        value: i64,
    },
    /// A number without spread.
    Number {
        /// The number.
        value: f64,
        /// Digits after the point.
        decimals: u8,
    },
    /// A measured number.
    Measured {
        /// The number, e.g. a mean over runs.
        value: f64,
        /// Standard deviation over runs; absent for a single run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        std: Option<f64>,
        /// Confidence interval over prompts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interval: Option<Interval>,
        /// Digits after the point.
        decimals: u8,
    },
    /// A published number.
    Paper {
        /// The number as printed.
        value: f64,
        /// Standard deviation as printed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        std: Option<f64>,
        /// Digits after the point, as printed.
        decimals: u8,
        /// Whether the paper took the number from Jeon et al. (2025) instead of measuring it.
        quoted: bool,
        /// Where in the paper it stands, e.g. `Table 1`.
        source: String,
    },
    /// No value, and why.
    Missing {
        /// The reason.
        reason: String,
    },
}

impl CellValue {
    /// The main number of a numeric cell, in the unit of its column.
    pub fn number(&self) -> Option<f64> {
        match *self {
            Self::Integer { value } => Some(value as f64),
            Self::Number { value, .. } | Self::Measured { value, .. } | Self::Paper { value, .. } => Some(value),
            Self::Text { .. } | Self::Missing { .. } => None,
        }
    }

    /// A text as it is, a number with all its digits, nothing where there is no value.
    pub fn plain(&self) -> String {
        match self {
            Self::Text { text } => text.clone(),
            other => other.number().map_or_else(String::new, |number| number.to_string()),
        }
    }

    /// Name of the variant, as in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Integer { .. } => "integer",
            Self::Number { .. } => "number",
            Self::Measured { .. } => "measured",
            Self::Paper { .. } => "paper",
            Self::Missing { .. } => "missing",
        }
    }
}

impl From<CellValue> for Cell {
    fn from(value: CellValue) -> Self {
        Self { value, notes: Vec::new(), emphasis: None }
    }
}

impl Cell {
    /// A label.
    pub fn text(text: impl Into<String>) -> Self {
        CellValue::Text { text: text.into() }.into()
    }

    /// A count.
    pub fn integer(value: i64) -> Self {
        CellValue::Integer { value }.into()
    }

    /// A number without spread.
    pub fn number(value: f64, decimals: u8) -> Self {
        CellValue::Number { value, decimals }.into()
    }

    /// A mean over runs with its standard deviation, and an interval over prompts where one was computed.
    pub fn measured(summary: Summary, interval: Option<Interval>, decimals: u8) -> Self {
        CellValue::Measured { value: summary.mean, std: summary.std, interval, decimals }.into()
    }

    /// No value, and why.
    pub fn missing(reason: impl Into<String>) -> Self {
        CellValue::Missing { reason: reason.into() }.into()
    }

    /// The same cell, standing out or not.
    #[must_use]
    pub fn with_emphasis(self, emphasis: Option<Emphasis>) -> Self {
        Self { emphasis, ..self }
    }

    /// The same cell with one more footnote.
    #[must_use]
    pub fn with_note(mut self, note: FootnoteId) -> Self {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        self
    }
}
