//! The formats by name.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Csv, Exporter, Json, Latex, Markdown, Terminal};

/// A file format of result tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// GitHub-flavoured Markdown, `.md`.
    Markdown,
    /// Comma-separated raw numbers, `.csv`.
    Csv,
    /// The table itself, `.json`.
    Json,
    /// A `booktabs` table, `.tex`.
    Latex,
    /// Aligned plain text, `.txt`.
    Text,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Markdown, Self::Csv, Self::Json, Self::Latex, Self::Text];

    /// What writes this format.
    pub fn exporter(self) -> &'static dyn Exporter {
        match self {
            Self::Markdown => &Markdown,
            Self::Csv => &Csv,
            Self::Json => &Json,
            Self::Latex => &Latex,
            Self::Text => &Terminal { width: None },
        }
    }

    /// The format's name in experiment files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Latex => "latex",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no [`Format`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown table format {found:?}; expected markdown, csv, json, latex or text")]
pub struct UnknownFormat {
    found: String,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| UnknownFormat { found: text.to_owned() })
    }
}
