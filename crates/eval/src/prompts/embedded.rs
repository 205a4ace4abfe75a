//! The sets that come with the embedded models, and what is known of what those models draw.

use std::{collections::HashMap, fmt, sync::Arc};

use memscope_model::ModelSource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{KnownPrompt, PromptList, Reproduction};
use crate::error::{Error, Result};

/// The prompt sets that come with the embedded models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddedSet {
    /// Planted pairs that the model at hand reproduces verbatim in more than nine of ten draws.
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

impl EmbeddedSet {
    pub(super) const ALL: &'static [Self] =
        &[Self::Verified, Self::Verbatim, Self::Template, Self::General, Self::Unseen];
}

impl fmt::Display for EmbeddedSet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Self::Verified => "verified",
            Self::Verbatim => "verbatim",
            Self::Template => "template",
            Self::General => "general",
            Self::Unseen => "unseen",
        })
    }
}

/// A line of the embedded prompt list.
#[derive(Clone, Debug, Deserialize)]
struct EmbeddedPrompt {
    caption: String,
    set: EmbeddedSet,
    #[serde(default)]
    weight: Option<f64>,
    #[serde(default)]
    share: Option<f64>,
    #[serde(default)]
    image: Option<String>,
}

/// A line of a model's generation record: what it draws for a planted prompt.
#[derive(Clone, Debug, Deserialize)]
struct Generation {
    caption: String,
    verified: bool,
    #[serde(flatten)]
    reproduction: Option<Reproduction>,
}

/// The prompts of a set; `verified` depends on what the model draws.
pub(super) fn embedded(set: EmbeddedSet, model: &ModelSource) -> Result<PromptList> {
    let generations = match model {
        ModelSource::Embedded(name) => generations(name)?,
        other if set == EmbeddedSet::Verified => {
            return Err(Error::Prompts {
                file: "embedded: verified".into(),
                reason: format!("nobody has checked what {other} draws; give a file with its memorized prompts"),
            });
        }
        _ => vec![],
    };
    let lines: Vec<EmbeddedPrompt> = embedded_lines("prompts.jsonl", memscope_embedded::shared_file("prompts.jsonl"))?;
    let listed = if set == EmbeddedSet::Verified { EmbeddedSet::Verbatim } else { set };
    let known: HashMap<&str, &Generation> = generations.iter().map(|line| (line.caption.as_str(), line)).collect();
    let of = |caption: &str| known.get(caption).copied();
    let name: Arc<str> = set.to_string().into();
    let known = lines.into_iter().filter(|line| line.set == listed).map(|line| KnownPrompt {
        verified: of(&line.caption).map(|line| line.verified),
        reproduction: of(&line.caption).and_then(|line| line.reproduction.clone()),
        text: line.caption.into(),
        set: name.clone(),
        weight: line.weight,
        share: line.share,
        image: line.image,
    });
    let prompts = known.filter(|prompt| set != EmbeddedSet::Verified || prompt.verified == Some(true)).collect();
    Ok(PromptList { prompts, warnings: vec![] })
}

fn generations(model: &str) -> Result<Vec<Generation>> {
    let file = format!("{model}/generations.jsonl");
    embedded_lines(&file, memscope_embedded::shared_file(&file))
}

fn embedded_lines<T: for<'a> Deserialize<'a>>(file: &str, bytes: Option<&[u8]>) -> Result<Vec<T>> {
    let fail = |reason: String| Error::Prompts { file: format!("embedded {file}"), reason };
    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or_else(|| fail("is missing".into()))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|e| fail(e.to_string()))).collect()
}
