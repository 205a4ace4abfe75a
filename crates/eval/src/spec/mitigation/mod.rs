//! What an experiment asks of mitigations.

mod entry;

use std::path::PathBuf;

use memscope_metric::Protocol;
use memscope_model::{Parameterization, Sampling};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use entry::{MitigationEntry, MitigationName, UnknownMitigation, entry_of_text};

use super::limits;

/// Pictures of mitigated prompts, and what is said about them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MitigationSettings {
    /// The methods to compare, in table order.
    pub methods: Vec<MitigationEntry>,
    /// Prompts of the memorized class, spread evenly over its list; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "limits::mitigated_prompts")]
    pub prompts: Option<usize>,
    /// Pictures per prompt and seed, from the same noises for every method; MemBench draws 10.
    #[serde(default = "default_images", deserialize_with = "limits::mitigated_images")]
    pub images: usize,
    /// DDIM steps.
    #[serde(default = "default_steps", deserialize_with = "limits::sampling_steps")]
    pub steps: usize,
    /// Guidance scale.
    #[serde(default = "default_guidance")]
    pub guidance: f64,
    /// What looks at the pictures beside their pixels; nothing where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judges: Option<JudgeSource>,
    /// Folder with the training pictures of prompts that are not embedded: PNG files and `pictures.csv` with the columns
    /// `prompt` and `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_pictures: Option<PathBuf>,
    /// Contact sheets for the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheets: Option<SheetSettings>,
}

fn default_images() -> usize {
    4
}

fn default_steps() -> usize {
    Sampling::default().steps
}

fn default_guidance() -> f64 {
    Sampling::default().guidance
}

/// Contact sheets: a row for a prompt and a noise, with the training picture and a picture of every method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SheetSettings {
    /// Prompts, the first of the experiment's.
    #[serde(deserialize_with = "limits::gallery_prompts")]
    pub prompts: usize,
    /// Noises of each, the first of its pictures.
    #[serde(deserialize_with = "limits::gallery_images")]
    pub noises: usize,
}

/// Where judges come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JudgeSource {
    /// Those that are part of the program, if this version has some.
    Embedded,
    /// A folder with the files of published judges.
    Folder(PathBuf),
}

impl MitigationSettings {
    /// Steps and guidance.
    pub fn sampling(&self) -> Sampling {
        Sampling { steps: self.steps, guidance: self.guidance }
    }

    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// The reason, in the words of the file.
    pub(super) fn check(&self, protocol: &Protocol) -> std::result::Result<(), String> {
        if self.methods.is_empty() {
            return Err("methods: give at least one".into());
        }
        let labels: Vec<String> = self.methods.iter().map(MitigationEntry::label).collect();
        if let Some(again) = labels.iter().enumerate().find(|(i, label)| labels[..*i].contains(label)) {
            return Err(format!("methods: '{}' is repeated; give each a label", again.1));
        }
        if !self.guidance.is_finite() {
            return Err(format!("guidance: {} is not a number", self.guidance));
        }
        for (entry, kind) in self.methods.iter().flat_map(|entry| Parameterization::ALL.map(|kind| (entry, kind))) {
            let fail = |reason: String| format!("methods: '{}': {reason}", entry.label());
            entry.plan(protocol, kind).map(|_| ()).map_err(|e| fail(e.to_string()))?;
        }
        Ok(())
    }
}
