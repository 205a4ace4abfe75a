//! Places where the paper's text and its code differ, with what a run did.

use memscope_results::{Manifest, manifest::ProtocolRecord};

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

/// What the last detector of the first experiment with detectors did.
pub(super) fn of<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> Vec<Difference> {
    let mut protocols = manifests.filter_map(|manifest| {
        let detectors = &manifest.models.first()?.detectors;
        detectors.iter().rev().find_map(|detector| detector.protocol.as_ref())
    });
    let Some(protocol) = protocols.next() else { return vec![] };
    let of = |(option, value, remark): &Remark| Difference {
        option: (*option).to_owned(),
        value: value(protocol),
        remark: (*remark).to_owned(),
    };
    REMARKS.iter().map(of).collect()
}
