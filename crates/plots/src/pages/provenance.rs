//! Where the numbers of the page come from.

use memscope_results::{Manifest, manifest::Weights};

use crate::report::{Generator, Report};

/// The program and each model once.
pub(super) fn add(report: &mut Report, manifest: &Manifest) {
    report.generated_by = Generator {
        version: manifest.version.clone(),
        commit: Some(manifest.commit.clone()).filter(|commit| !commit.is_empty() && commit != "unknown"),
    };
    let mut add = |key: String, value: String| {
        if !report.provenance.iter().any(|(known, _)| *known == key) {
            report.provenance.push((key, value));
        }
    };
    for model in &manifest.models {
        let random = match model.weights {
            Weights::Random => "random ",
            Weights::Unmarked => "",
        };
        let weights = format!("{}, {random}weights sha256 {}", model.parameterization, model.fingerprint);
        add(model.source.clone(), weights);
    }
    if !manifest.models.is_empty() {
        add("network".into(), format!("{} on {}", manifest.dtype, manifest.device));
    }
}
