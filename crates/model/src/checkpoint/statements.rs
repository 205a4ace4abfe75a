//! What a checkpoint says about itself besides its tensors' shapes.

use std::{collections::HashMap, path::Path};

use memscope_text::excerpt;

use crate::{parameterization::Parameterization, tensor_file::Header};

/// What a file says about the meaning of its network's output and about its sampling.
pub(super) struct Statements {
    pub(super) prediction: Option<Parameterization>,
    /// Whether the schedule ends without any signal, as merges of v-models mark it by a tensor named `ztsnr`.
    pub(super) zero_snr: bool,
    /// What says that the model was distilled for a few steps.
    pub(super) distilled: Option<String>,
}

impl Statements {
    pub(super) fn read(header: &Header, path: &Path) -> Self {
        Self {
            prediction: stated(&header.metadata, |name| header.tensors.contains_key(name)),
            zero_snr: header.tensors.contains_key("ztsnr"),
            distilled: distilled(&header.metadata, path),
        }
    }
}

/// The words by which distilled models go.
const DISTILLED: [&str; 7] = ["turbo", "lightning", "lcm", "hyper-sd", "hyper_sd", "dmd2", "schnell"];

/// The file's name or its metadata, where one of them says that the model was distilled.
fn distilled(metadata: &HashMap<String, String>, path: &Path) -> Option<String> {
    let word_of = |text: &str| {
        let text = text.to_ascii_lowercase();
        DISTILLED.into_iter().find(|word| text.contains(word))
    };
    let name = path.file_name()?.to_string_lossy();
    if let Some(word) = word_of(&name) {
        return Some(format!("'{word}' in the file's name"));
    }
    ["modelspec.architecture", "modelspec.title", "modelspec.tags"].iter().find_map(|key| {
        let text = metadata.get(*key)?;
        word_of(text).map(|_| format!("the metadata {key} = '{}'", excerpt(text)))
    })
}

/// What the file's metadata or its marks say, `None` where they say nothing. `modelspec.*` is the Stability metadata
/// standard (github.com/Stability-AI/ModelSpec); a tensor named `v_pred` is how model merges mark v-prediction.
fn stated(metadata: &HashMap<String, String>, has: impl Fn(&str) -> bool) -> Option<Parameterization> {
    let text = |key: &str| metadata.get(key).map(|text| text.trim().to_ascii_lowercase());
    match text("modelspec.prediction_type").or_else(|| text("prediction_type")).as_deref() {
        Some("epsilon" | "eps" | "e") => return Some(Parameterization::Epsilon),
        Some("v" | "v_prediction" | "v-prediction") => return Some(Parameterization::V),
        _ => {}
    }
    if has("v_pred") {
        return Some(Parameterization::V);
    }
    let architecture = text("modelspec.architecture")?;
    if architecture.contains("v2-768-v") {
        return Some(Parameterization::V);
    }
    architecture.contains("v2-512").then_some(Parameterization::Epsilon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distilled_models_are_known_by_their_names() {
        let none = HashMap::new();
        assert!(distilled(&none, Path::new("/turbo/sd_xl_base_1.0.safetensors")).is_none());
        let said = distilled(&none, Path::new("Dream_XL_Turbo_v2.safetensors")).unwrap();
        assert!(said.contains("turbo"), "{said}");
        let metadata = HashMap::from([("modelspec.title".to_owned(), "SDXL Lightning".to_owned())]);
        assert!(distilled(&metadata, Path::new("a.safetensors")).unwrap().contains("modelspec.title"));
    }

    #[test]
    fn metadata_and_marks_are_read_and_nothing_is_guessed() {
        let one = |key: &str, value: &str| HashMap::from([(key.to_owned(), value.to_owned())]);
        let says = |metadata| stated(&metadata, |_| false);
        assert_eq!(says(one("modelspec.prediction_type", "v")), Some(Parameterization::V));
        assert_eq!(says(one("modelspec.prediction_type", "epsilon")), Some(Parameterization::Epsilon));
        assert_eq!(says(one("modelspec.architecture", "stable-diffusion-v2-768-v")), Some(Parameterization::V));
        assert_eq!(says(one("modelspec.architecture", "stable-diffusion-v1")), None);
        assert_eq!(says(HashMap::new()), None);
        assert_eq!(stated(&HashMap::new(), |name| name == "v_pred"), Some(Parameterization::V));
    }
}
