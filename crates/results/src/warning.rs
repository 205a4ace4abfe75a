//! Things a user should know that do not stop a run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A warning with its remedy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Warning {
    /// A prompt has more tokens than the model reads.
    TruncatedPrompt {
        /// The prompt.
        prompt: String,
        /// The text that is not read.
        cut: String,
    },
    /// A prompt stands more than once in its list; it is measured once and counted once.
    DuplicatePrompt {
        /// The list.
        list: String,
        /// The prompt.
        prompt: String,
        /// Lines it stands on, from 1.
        lines: Vec<usize>,
    },
    /// Blank lines of a prompt list are skipped.
    BlankLines {
        /// The list.
        list: String,
        /// How many.
        count: usize,
    },
    /// A prompt stands in both classes.
    InBothClasses {
        /// The prompt.
        prompt: String,
    },
    /// Fewer non-memorized prompts than one false positive at the asked rate needs.
    #[serde(alias = "few_negatives")]
    FewNonMemorized {
        /// Non-memorized prompts there are.
        #[serde(alias = "negatives")]
        non_memorized: usize,
        /// False-positive rate asked for.
        #[serde(alias = "fpr")]
        target_fpr: f64,
    },
    /// A figure, or a part of one, that the data do not allow.
    FigureLeftOut {
        /// Which, and why.
        reason: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::TruncatedPrompt { prompt, cut } => {
                write!(f, "the model does not read the end of a long prompt: '{cut}' of '{prompt}'")
            }
            Self::DuplicatePrompt { list, prompt, lines } => {
                write!(f, "{list}: '{prompt}' stands on lines {lines:?}; it counts once")
            }
            Self::FigureLeftOut { reason } => write!(f, "{reason}"),
            Self::BlankLines { list, count } => write!(f, "{list}: {count} blank lines were skipped"),
            Self::InBothClasses { prompt } => {
                write!(f, "'{prompt}' is in the memorized and in the non-memorized list; it counts in both")
            }
            Self::FewNonMemorized { non_memorized, target_fpr } => write!(
                f,
                "{non_memorized} non-memorized prompts: the smallest false-positive rate above zero is {:.4}, not {target_fpr}; use at least {}",
                1.0 / *non_memorized as f64,
                (1.0 / target_fpr).ceil()
            ),
        }
    }
}
