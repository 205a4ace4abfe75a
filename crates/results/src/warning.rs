//! Things a user should know that do not stop a run.

use std::fmt;

use memscope_text::long_excerpt;
use serde::{Deserialize, Serialize};

/// Line numbers that a message lists at most.
const MOST_LINES: usize = 10;

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
    /// Prompts that a table of scores lacks, or has beside those of the experiment.
    ScoreFilePrompts {
        /// The detector whose scores they are.
        detector: String,
        /// The table.
        file: String,
        /// Memorized prompts without all their scores.
        missing_memorized: usize,
        /// Non-memorized prompts without all their scores.
        missing_non_memorized: usize,
        /// Prompts that no list of the experiment has.
        extra: usize,
    },
    /// How a table of scores was read.
    ScoreFile {
        /// The detector whose scores they are.
        detector: String,
        /// The table.
        file: String,
        /// What was noticed.
        remark: String,
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
                let (cut, prompt) = (long_excerpt(cut), long_excerpt(prompt));
                write!(f, "the model does not read the end of a long prompt: '{cut}' of '{prompt}'")
            }
            Self::DuplicatePrompt { list, prompt, lines } => {
                let shown: Vec<String> = lines.iter().take(MOST_LINES).map(ToString::to_string).collect();
                let more = match lines.len().saturating_sub(MOST_LINES) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let (list, prompt, shown) = (long_excerpt(list), long_excerpt(prompt), shown.join(", "));
                write!(f, "{list}: '{prompt}' stands on lines {shown}{more}; it counts once")
            }
            Self::ScoreFilePrompts { detector, file, missing_memorized, missing_non_memorized, extra } => {
                write!(f, "{} ({}): ", long_excerpt(detector), long_excerpt(file))?;
                if missing_memorized + missing_non_memorized > 0 {
                    write!(
                        f,
                        "no scores of {missing_memorized} memorized and {missing_non_memorized} non-memorized prompts, which \
                         are left out for all detectors, so that all are compared on the same prompts"
                    )?;
                }
                if *extra > 0 {
                    let also = if missing_memorized + missing_non_memorized > 0 { "; " } else { "" };
                    let prompts = if *extra == 1 { "prompt" } else { "prompts" };
                    write!(f, "{also}{extra} {prompts} that no list of the experiment has")?;
                }
                Ok(())
            }
            Self::ScoreFile { detector, file, remark } => {
                write!(f, "{} ({}): {}", long_excerpt(detector), long_excerpt(file), long_excerpt(remark))
            }
            Self::FigureLeftOut { reason } => f.write_str(&long_excerpt(reason)),
            Self::BlankLines { list, count } => write!(f, "{}: {count} blank lines were skipped", long_excerpt(list)),
            Self::InBothClasses { prompt } => {
                let prompt = long_excerpt(prompt);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_prompts_and_lists_of_lines_are_cut() {
        let (list, prompt) = ("p.txt".to_owned(), "red\u{1b}[2J apple ".repeat(100_000));
        let repeated =
            Warning::DuplicatePrompt { list, prompt: prompt.clone(), lines: (1..=90_000).collect() }.to_string();
        assert!(repeated.len() < 500 && repeated.contains("lines 1, 2, 3") && repeated.contains("and 89990 more"));
        let cut = Warning::TruncatedPrompt { prompt: prompt.clone(), cut: prompt }.to_string();
        assert!(cut.len() < 1_000 && !cut.contains('\u{1b}'), "{cut}");
        let two = Warning::DuplicatePrompt { list: "p.txt".into(), prompt: "cat".into(), lines: vec![1, 3] };
        assert_eq!(two.to_string(), "p.txt: 'cat' stands on lines 1, 3; it counts once");
    }
}
