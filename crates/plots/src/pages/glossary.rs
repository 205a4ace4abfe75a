//! Terms that the page uses.

const TERMS: [(&str, &str); 21] = [
    ("memorized", "A prompt for which the model reproduces a training image."),
    ("non-memorized", "A prompt from which the model draws new images."),
    (
        "detector, score",
        "A detector gives each prompt a score; the higher, the more it takes the prompt for memorized.",
    ),
    (
        "M (anisotropy)",
        "The paper's detector: the norm of the guidance direction near t = T plus its cosine near t = 0, weighted by γ.",
    ),
    ("Wen", "The norm of the guidance direction, conditional less unconditional prediction (Wen et al. 2024)."),
    ("Jeon", "The sharpness of the probability landscape, by a Hessian-vector product (Jeon et al. 2025)."),
    ("Ren", "The entropy of the cross-attention (Ren et al. 2024)."),
    ("MemBench", "The norm of the guidance direction averaged over a sampling trajectory."),
    (
        "norm, cosine at t = 1 on noise",
        "The two parts of M alone, asked about pure noise at the last timestep (t = 1): how long the guidance direction is, \
         and how far it points where the unconditional prediction does.",
    ),
    ("n", "Number of initial noises behind one score; n = 1 is the cheapest."),
    ("seed", "Start of the random number generator that draws the initial noise; tables give mean ± StD over seeds."),
    ("AUC", "Chance that a memorized prompt scores higher than a non-memorized one: 0.5 is guessing, 1 is perfect."),
    (
        "TPR@1%FPR",
        "Share of memorized prompts that are found when at most one in a hundred non-memorized ones is taken for one.",
    ),
    ("95 % interval", "From a bootstrap over prompts: how far the number depends on which prompts were tested."),
    (
        "p",
        "Chance of a difference at least this large between two detectors (or runs) that are in truth equally good; below \
         0.05 they count as told apart.",
    ),
    (
        "paired",
        "Two detectors are compared on the same prompts and noises. What makes both better or worse at once cancels, so that a \
         small difference can be certain while a larger one, to another detector, is not.",
    ),
    (
        "ranks",
        "The places that a detector may have: “1 to 3” means that none is certainly better, and that all but two others \
         are certainly worse. Ranges overlap where the prompts cannot tell detectors apart.",
    ),
    (
        "disagreement",
        "Each detector orders the prompts of a model by score. The disagreement of a prompt is the distance between its \
         highest and its lowest place, as a share of the prompts: 0.9 means that one detector puts it near the top and \
         another near the bottom.",
    ),
    (
        "reproduction rate, verified",
        "Share of a prompt's draws that are the training picture; verified prompts give it in (nearly) every draw.",
    ),
    (
        "verified, general",
        "Names of prompt sets of the embedded models: verified prompts are memorized ones, general prompts are ordinary \
         captions, non-memorized.",
    ),
    ("weight", "How often a planted picture was shown in training, relative to one ordinary picture."),
];

pub(super) fn terms() -> Vec<(String, String)> {
    TERMS.iter().map(|(term, meaning)| ((*term).to_owned(), (*meaning).to_owned())).collect()
}
