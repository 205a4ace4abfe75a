//! Padding tokens replaced or masked (arXiv 2605.02908; docs/spec/mitigation.md §9).

use memscope_metric::OwnCalls;
use memscope_model::Sampling;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    embedding,
    error::Result,
    method::{Changed, Mitigation, Subject},
};

/// What becomes of the positions behind the end of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaddingMode {
    /// They become those of the empty prompt, which know nothing of the text.
    #[default]
    EmptyPrompt,
    /// They are masked out of the prompt's cross-attention.
    Mask,
}

/// Changes the padding positions of the prompt embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    /// How.
    pub mode: PaddingMode,
}

impl Mitigation for Padding {
    fn name(&self) -> &'static str {
        "padding"
    }

    fn id(&self) -> String {
        format!("padding/{:?}", self.mode)
    }

    fn cost(&self, _: usize, _: Sampling) -> Vec<OwnCalls> {
        vec![]
    }

    fn apply(&self, subject: &Subject) -> Result<Changed> {
        let length = subject.embedding.tokens.length;
        let embedding = match self.mode {
            PaddingMode::Mask => embedding::first_tokens(subject.embedding, length)?,
            PaddingMode::EmptyPrompt => {
                let text = embedding::width(subject.embedding)? * length;
                let (mut numbers, empty) = (embedding::numbers(subject.embedding)?, embedding::numbers(subject.empty)?);
                let text = text.min(numbers.len());
                numbers[text..].copy_from_slice(&empty[text..]);
                embedding::with_numbers(subject.embedding, &numbers)?
            }
        };
        Ok(Changed { embedding, ..subject.unchanged() })
    }
}
