//! Prompt lists: the embedded sets with their ground truth, and text files.

use std::{collections::BTreeMap, fs, path::PathBuf};

use memscope_model::ModelSource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    warning::Warning,
};

/// Where prompts come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptSource {
    /// A set of the embedded models.
    Embedded(EmbeddedSet),
    /// A UTF-8 text file, one prompt a line.
    File(PathBuf),
}

/// The prompt sets that come with the embedded models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddedSet {
    /// Planted pairs that the model at hand reproduces verbatim on every checked seed.
    Verified,
    /// All planted pairs, at every duplication weight.
    Verbatim,
    /// Planted templates: a frozen foreground on varying backgrounds.
    Template,
    /// Ordinary captions the model was trained on.
    General,
    /// Captions the model never saw.
    Unseen,
}

/// A line of the embedded prompt list.
#[derive(Clone, Debug, Deserialize)]
struct EmbeddedPrompt {
    caption: String,
    set: EmbeddedSet,
}

/// A line of a model's generation record: what it draws for a planted prompt.
#[derive(Clone, Debug, Deserialize)]
struct Generation {
    caption: String,
    set: EmbeddedSet,
    verified: bool,
}

/// Prompts in order, each once, and what was noticed on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptList {
    /// The prompts.
    pub prompts: Vec<String>,
    /// Remarks.
    pub warnings: Vec<Warning>,
}

impl PromptSource {
    /// The prompts for a model: `verified` depends on what that model draws.
    pub fn load(&self, model: &ModelSource) -> Result<PromptList> {
        match self {
            Self::Embedded(EmbeddedSet::Verified) => verified(model),
            Self::Embedded(set) => {
                let all: Vec<EmbeddedPrompt> =
                    embedded_lines("prompts.jsonl", memscope_embedded::shared_file("prompts.jsonl"))?;
                let prompts = all.into_iter().filter(|p| p.set == *set).map(|p| p.caption).collect();
                Ok(PromptList { prompts, warnings: vec![] })
            }
            Self::File(path) => {
                let bytes = fs::read(path).map_err(Error::read(path))?;
                parse(&path.display().to_string(), &bytes)
            }
        }
    }
}

impl std::fmt::Display for PromptSource {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Embedded(set) => write!(f, "embedded:{}", format!("{set:?}").to_lowercase()),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

fn verified(model: &ModelSource) -> Result<PromptList> {
    let ModelSource::Embedded(name) = model else {
        return Err(Error::Prompts {
            file: "embedded: verified".into(),
            reason: format!("nobody has checked what {model} draws; give a file with its memorized prompts"),
        });
    };
    let file = format!("{name}/generations.jsonl");
    let all: Vec<Generation> = embedded_lines(&file, memscope_embedded::shared_file(&file))?;
    let kept = all.into_iter().filter(|g| g.set == EmbeddedSet::Verbatim && g.verified);
    Ok(PromptList { prompts: kept.map(|g| g.caption).collect(), warnings: vec![] })
}

fn embedded_lines<T: for<'a> Deserialize<'a>>(file: &str, bytes: Option<&[u8]>) -> Result<Vec<T>> {
    let fail = |reason: String| Error::Prompts { file: format!("embedded {file}"), reason };
    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or_else(|| fail("is missing".into()))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|e| fail(e.to_string()))).collect()
}

/// Reads a prompt list: UTF-8, one prompt a line, surrounding whitespace removed. Blank lines are skipped
/// and repeated prompts count once, both with a warning. A missing final newline loses nothing.
pub fn parse(file: &str, bytes: &[u8]) -> Result<PromptList> {
    let fail = |reason: String| Error::Prompts { file: file.to_owned(), reason };
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        fail(format!("line {line} is not UTF-8; save the file as UTF-8"))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines_of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut prompts = vec![];
    let mut blank = 0;
    for (i, line) in text.lines().enumerate() {
        let prompt = line.trim();
        if prompt.is_empty() {
            blank += 1;
            continue;
        }
        let lines = lines_of.entry(prompt).or_default();
        lines.push(i + 1);
        if lines.len() == 1 {
            prompts.push(prompt.to_owned());
        }
    }
    if prompts.is_empty() {
        return Err(fail("holds no prompt; write one prompt a line".into()));
    }
    let mut warnings = vec![];
    if blank > 0 {
        warnings.push(Warning::BlankLines { list: file.to_owned(), count: blank });
    }
    warnings.extend(
        lines_of.into_iter().filter(|(_, lines)| lines.len() > 1).map(|(prompt, lines)| Warning::DuplicatePrompt {
            list: file.to_owned(),
            prompt: prompt.to_owned(),
            lines,
        }),
    );
    Ok(PromptList { prompts, warnings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_order_and_markup() {
        let list = parse("p.txt", "  <i>Mothers</i> 15\u{2032} \nsecond\n\n<i>Mothers</i> 15\u{2032}\nlast".as_bytes())
            .unwrap();
        assert_eq!(list.prompts, ["<i>Mothers</i> 15\u{2032}", "second", "last"]);
        assert_eq!(list.warnings[0], Warning::BlankLines { list: "p.txt".into(), count: 1 });
        assert!(matches!(&list.warnings[1], Warning::DuplicatePrompt { lines, .. } if lines == &[1, 4]));
    }

    #[test]
    fn unusable_lists_say_why() {
        let empty = parse("p.txt", b"\n  \n").unwrap_err().to_string();
        assert_eq!(empty, "p.txt: holds no prompt; write one prompt a line");
        let latin1 = parse("p.txt", b"one\ncaf\xe9\n").unwrap_err().to_string();
        assert_eq!(latin1, "p.txt: line 2 is not UTF-8; save the file as UTF-8");
    }
}
