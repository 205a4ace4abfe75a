//! Paths in an experiment file, which are relative to it.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

thread_local! {
    /// The folder of the file that is being read: serde has no other way to hand it to a value.
    static FOLDER: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// Reads something whose relative paths are relative to `folder`.
pub(super) fn relative_to<T>(folder: &Path, read: impl FnOnce() -> T) -> T {
    let outer = FOLDER.replace(Some(folder.to_owned()));
    let value = read();
    FOLDER.set(outer);
    value
}

/// The path with the folder of the file that is being read in front, where there is something.
pub(super) fn beside(given: &str) -> Option<PathBuf> {
    let path = FOLDER.with_borrow(|folder| folder.as_ref().map(|folder| folder.join(given)));
    path.filter(|path| !given.is_empty() && path.exists())
}

/// A file or folder; where it exists beside the experiment file, that file's folder stands in front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct FilePath(pub PathBuf);

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = String::deserialize(deserializer)?;
        Ok(Self(beside(&given).unwrap_or_else(|| given.into())))
    }
}
