//! What a checkpoint says about the meaning of its network's output.

use std::collections::HashMap;

use crate::schedule::Parameterization;

/// What the file's metadata or its marks say, `None` where they say nothing. `modelspec.*` is the Stability metadata
/// standard (github.com/Stability-AI/ModelSpec); a tensor named `v_pred` is how model merges mark v-prediction.
pub(super) fn stated(metadata: &HashMap<String, String>, has: impl Fn(&str) -> bool) -> Option<Parameterization> {
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
