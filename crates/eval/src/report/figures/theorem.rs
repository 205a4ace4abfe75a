//! Theorem 1: bound against cosine.

use memscope_metric::theory::Survey;

use memscope_results::figures::{BoundFigure, Meta};

/// Every instance's cosine beside the paper's bound and the sharper one.
pub fn theorem_figure(survey: &Survey, seed: u64) -> BoundFigure {
    let of = |number: fn(&memscope_metric::theory::Verdict) -> f64| survey.verdicts.iter().map(number).collect();
    let count = survey.verdicts.len();
    let violations = survey.paper_violations + survey.sharp_violations;
    BoundFigure {
        meta: Meta {
            name: "theorem1-bounds".into(),
            alt: format!("Cosine over its lower bounds for {count} instances; {violations} lie below a bound."),
            caption: vec![format!(
                "{count} sampled instances that satisfy the assumptions, seed {seed}. Points on the diagonal attain their bound. (1 − r)/(1 + r) is the paper's; √(1 − r²) is sharper and not in the paper."
            )],
        },
        cosine: of(|verdict| verdict.cosine),
        paper: of(|verdict| verdict.paper_bound),
        sharp: of(|verdict| verdict.sharp_bound),
    }
}
