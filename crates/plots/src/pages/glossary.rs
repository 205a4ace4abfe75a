//! Terms that the page uses.

const TERMS: [(&str, &str); 15] = [
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
    ("n", "Number of initial noises behind one score; n = 1 is the cheapest."),
    ("seed", "Start of the random number generator that draws the initial noise; tables give mean ± StD over seeds."),
    ("AUC", "Chance that a memorized prompt scores higher than a non-memorized one: 0.5 is guessing, 1 is perfect."),
    (
        "TPR@1%FPR",
        "Share of memorized prompts that are found when at most one in a hundred non-memorized ones is taken for one.",
    ),
    ("95 % interval", "From a bootstrap over prompts: how far the number depends on which prompts were tested."),
    (
        "reproduction rate, verified",
        "Share of a prompt's draws that are the training picture; verified prompts give it in (nearly) every draw.",
    ),
    ("weight", "How often a planted picture was shown in training, relative to one ordinary picture."),
];

pub(super) fn terms() -> Vec<(String, String)> {
    TERMS.iter().map(|(term, meaning)| ((*term).to_owned(), (*meaning).to_owned())).collect()
}
