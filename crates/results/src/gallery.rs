//! Pictures of what a model draws, beside what it was trained on.

use serde::{Deserialize, Serialize};

/// One prompt with its pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GalleryRow {
    /// The model.
    pub model: String,
    /// The prompt.
    pub prompt: String,
    /// What is known about it.
    pub label: String,
    /// The training picture, a file beside the index.
    pub truth: Option<String>,
    /// Drawn pictures, files beside the index.
    pub drawn: Vec<String>,
    /// What each drawn picture is, in order; empty where they are the pictures of noise 1, 2, and so on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// The file that lists the pictures.
pub const INDEX: &str = "gallery.json";
