//! Places where the paper's text and its code differ, with what a run did.

use memscope_results::{Manifest, ModelRecord, manifest::ProtocolRecord};

use crate::report::Difference;

/// Option, its value in force, and what the paper and its code say.
type Remark = (&'static str, fn(&ProtocolRecord) -> String, &'static str);

const REMARKS: [Remark; 7] = [
    (
        "t_cos",
        |p| p.t_cos.to_string(),
        "The paper says t = 1; the released code reads t = 41. The published numbers point to t = 1.",
    ),
    (
        "cos_reduction",
        |p| p.cos_reduction.clone(),
        "Eq. 14 flattens the score; the code takes the cosine over channels at each position and averages.",
    ),
    (
        "cos_space",
        |p| p.cos_space.clone(),
        "Eq. 14 speaks of scores; the code uses the raw output, which differs for v models.",
    ),
    (
        "norm_space",
        |p| p.norm_space.clone(),
        "Eq. 14 speaks of scores; the code uses the raw output, and (a·v − x)/(1 − ᾱ) for v models.",
    ),
    (
        "normalization",
        |p| p.normalization.clone(),
        "Table 4 reports normalizations; in the released script the option takes no effect.",
    ),
    (
        "numerics",
        |p| p.numerics.clone(),
        "The code computes in bfloat16, whose roundings make ties and inflate small norms of v models.",
    ),
    (
        "input",
        |p| p.input.clone(),
        "The network is asked about pure noise at every timestep; Theorem 1 speaks of the denoised latent.",
    ),
];

/// What the last detector of the first experiment with detectors did, model by model where models differ: a preset means
/// one thing for an ε model and another for a v model.
pub(super) fn of<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> Vec<Difference> {
    let protocols = |manifest: &'a Manifest| -> Vec<(&'a str, &'a ProtocolRecord)> {
        let last = |model: &'a ModelRecord| {
            let protocol = model.detectors.iter().rev().find_map(|detector| detector.protocol.as_ref())?;
            Some((model.source.as_str(), protocol))
        };
        manifest.models.iter().filter_map(last).collect()
    };
    let Some(protocols) = manifests.map(protocols).find(|found| !found.is_empty()) else { return vec![] };
    let of = |(option, value, remark): &Remark| Difference {
        option: (*option).to_owned(),
        value: in_force(&protocols, *value),
        remark: (*remark).to_owned(),
    };
    REMARKS.iter().map(of).collect()
}

fn in_force(protocols: &[(&str, &ProtocolRecord)], value: fn(&ProtocolRecord) -> String) -> String {
    let mut values: Vec<(String, Vec<&str>)> = vec![];
    for (model, protocol) in protocols {
        let value = value(protocol);
        match values.iter_mut().find(|(known, _)| *known == value) {
            Some((_, models)) => models.push(model),
            None => values.push((value, vec![model])),
        }
    }
    match values.as_slice() {
        [(value, _)] => value.clone(),
        several => {
            let told = several.iter().map(|(value, models)| format!("{value} ({})", models.join(", ")));
            told.collect::<Vec<_>>().join("; ")
        }
    }
}

#[cfg(test)]
mod tests {
    use memscope_results::{
        DetectorRecord, RunCost,
        manifest::{PromptCounts, Weights},
    };

    use super::*;

    fn protocol(norm_space: &str) -> ProtocolRecord {
        let text = || "same".to_owned();
        ProtocolRecord {
            t_norm: 981,
            t_cos: 1,
            input: text(),
            cos_mode: text(),
            cos_reduction: text(),
            cos_space: text(),
            norm_space: norm_space.to_owned(),
            normalization: text(),
            normalization_targets: text(),
            numerics: text(),
            score_storage: text(),
        }
    }

    fn model(source: &str, norm_space: &str) -> ModelRecord {
        let protocol = Some(protocol(norm_space));
        ModelRecord {
            source: source.into(),
            fingerprint: String::new(),
            weights: Weights::Unmarked,
            parameterization: String::new(),
            latent_shape: (4, 8, 8),
            detectors: vec![DetectorRecord { label: "M".into(), gammas: None, protocol, scores: None }],
            prompts: PromptCounts::default(),
            cost: RunCost::default(),
            planned: RunCost::default(),
        }
    }

    #[test]
    fn an_option_that_differs_between_models_is_told_for_each() {
        let models = vec![model("eps", "model_output"), model("v", "x0_formula"), model("w", "x0_formula")];
        let manifest = Manifest { models, ..Manifest::default() };
        let found = of([&Manifest::default(), &manifest].into_iter());
        let value = |option: &str| found.iter().find(|difference| difference.option == option).unwrap().value.as_str();
        assert_eq!(value("norm_space"), "model_output (eps); x0_formula (v, w)");
        assert_eq!(value("cos_space"), "same");
    }
}
