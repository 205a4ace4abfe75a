//! Whether a model's weights were trained, as far as its folder tells.

use serde::Serialize;

use crate::{config::Config, error::Result, files::ModelFiles};

/// The file of a model folder that holds the mark.
const MARKER: &str = "memscope.json";

/// Random weights serve tests of a full-size network. Everything made with them says so: no score of theirs may pass for one
/// of the model that has this architecture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightsOrigin {
    /// The folder says nothing, as those of published models.
    #[default]
    Unmarked,
    /// `memscope.json` says that the weights are random numbers.
    Random,
}

impl WeightsOrigin {
    /// Reads `memscope.json` where a model has one.
    pub(crate) fn load(files: &ModelFiles) -> Result<Self> {
        if !files.exists(MARKER) {
            return Ok(Self::Unmarked);
        }
        let marker = Config::read(files, MARKER)?;
        marker.only("weights", &["\"random\""])?;
        marker.refuse_unknown(&["architecture", "seed", "weights"])?;
        Ok(if marker.get("weights").is_some() { Self::Random } else { Self::Unmarked })
    }

    /// Whether the folder says nothing.
    pub fn is_unmarked(&self) -> bool {
        *self == Self::Unmarked
    }

    /// The weights in one line of provenance: `weights sha256 …` or `random weights sha256 …`, with the first 16
    /// digits of the fingerprint.
    pub fn label(self, fingerprint: &str) -> String {
        let digits = fingerprint.get(..16).unwrap_or(fingerprint);
        match self {
            Self::Unmarked => format!("weights sha256 {digits}"),
            Self::Random => format!("random weights sha256 {digits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(marker: &str) -> Result<WeightsOrigin> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MARKER), marker).unwrap();
        WeightsOrigin::load(&ModelFiles::Folder { path: folder.path().to_owned(), variant: None })
    }

    #[test]
    fn a_marked_folder_says_so() {
        let marked = origin(r#"{"architecture": "Stable Diffusion 1.4", "seed": 0, "weights": "random"}"#).unwrap();
        assert_eq!(marked, WeightsOrigin::Random);
        assert_eq!(marked.label("0123456789abcdef0123"), "random weights sha256 0123456789abcdef");
        assert_eq!(origin("{}").unwrap(), WeightsOrigin::Unmarked);
        let nothing = tempfile::tempdir().unwrap();
        let files = ModelFiles::Folder { path: nothing.path().to_owned(), variant: None };
        assert_eq!(WeightsOrigin::load(&files).unwrap(), WeightsOrigin::Unmarked);
    }

    #[test]
    fn an_unknown_mark_is_refused() {
        for wrong in [r#"{"weights": "trained"}"#, r#"{"wieghts": "random"}"#, "[]"] {
            let message = origin(wrong).unwrap_err().to_string();
            assert!(message.contains(MARKER), "{message}");
        }
    }
}
