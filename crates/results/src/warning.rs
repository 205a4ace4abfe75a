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
    /// Fewer negatives than one false positive at the asked rate needs.
    FewNegatives {
        /// Negatives there are.
        negatives: usize,
        /// False-positive rate asked for.
        fpr: f64,
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
            Self::BlankLines { list, count } => write!(f, "{list}: {count} blank lines were skipped"),
            Self::InBothClasses { prompt } => {
                write!(f, "'{prompt}' is in the memorized and in the non-memorized list; it counts in both")
            }
            Self::FewNegatives { negatives, fpr } => write!(
                f,
                "{negatives} non-memorized prompts: the smallest false-positive rate above zero is {:.4}, not {fpr}; use at least {}",
                1.0 / *negatives as f64,
                (1.0 / fpr).ceil()
            ),
        }
    }
}
