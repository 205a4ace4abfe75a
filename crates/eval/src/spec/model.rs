//! A model as an experiment file names it.

use std::{
    cell::RefCell,
    fmt,
    path::{Path, PathBuf},
};

use memscope_model::{ModelSource, ScheduleCheck, Variant};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::text;
use crate::paper::Model as PaperModel;

/// A model of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// `embedded:NAME`, `sd14`, `sd20`, `rv51`, a folder in diffusers layout (relative to this file), or a Hub id,
    /// `owner/name[@revision]`.
    #[schemars(with = "String")]
    pub source: NamedSource,
    /// The variant of the weight files, e.g. `fp16` for `*.fp16.safetensors`; by default those without one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "variant")]
    #[schemars(with = "Option<String>")]
    pub variant: Option<Variant>,
    /// Measure the model even if its scheduler's timesteps are not the protocol's 981, 961, ..., 1.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_schedule: bool,
    /// The paper's column that is printed beside it: the same kind of network, not the same model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper: Option<PaperModel>,
}

// The form that serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl ModelEntry {
    /// The model that is meant.
    ///
    /// # Errors
    /// When a variant is given for a model that has none.
    pub(super) fn model(&self) -> memscope_model::Result<ModelSource> {
        self.source.source.clone().with_variant(self.variant.clone())
    }

    /// What is done about a schedule that is not the protocol's.
    pub fn schedule_check(&self) -> ScheduleCheck {
        ScheduleCheck::accepting(self.accept_schedule)
    }
}

/// A model source with the name it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSource {
    name: String,
    source: ModelSource,
}

impl NamedSource {
    /// The name as written; a folder relative to the file has the file's folder in front.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for NamedSource {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Serialize for NamedSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for NamedSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut name = String::deserialize(deserializer)?;
        let beside = FOLDER.with_borrow(|folder| folder.as_ref().map(|folder| folder.join(&name)));
        if let Some(path) = beside.filter(|path| !name.is_empty() && path.is_dir())
            && let Some(path) = path.to_str()
        {
            path.clone_into(&mut name);
        }
        let source = name.parse().map_err(|e| de::Error::custom(format!("models: {e}")))?;
        Ok(Self { name, source })
    }
}

thread_local! {
    /// The folder of the file that is being read: serde has no other way to hand it to a value.
    static FOLDER: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// Reads something whose relative model folders are relative to `folder`.
pub(super) fn relative_to<T>(folder: &Path, read: impl FnOnce() -> T) -> T {
    let outer = FOLDER.replace(Some(folder.to_owned()));
    let value = read();
    FOLDER.set(outer);
    value
}

/// An optional variant, read where the file is read.
mod variant {
    use super::{Deserialize, Deserializer, Serializer, Variant, de, text};

    // The form that serde asks for.
    #[allow(clippy::ref_option)]
    pub(super) fn serialize<S: Serializer>(variant: &Option<Variant>, serializer: S) -> Result<S::Ok, S::Error> {
        match variant {
            Some(variant) => text::serialize(variant, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Variant>, D::Error> {
        let word = Option::<String>::deserialize(deserializer)?;
        word.map(|word| word.parse().map_err(de::Error::custom)).transpose()
    }
}
