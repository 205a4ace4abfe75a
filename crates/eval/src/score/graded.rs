//! Scores of prompts whose reproduction rate is known, prompt by prompt and draw by draw.

use memscope_metric::{Detector, Score};

use super::StoredPlan;
use crate::{error::Result, spec::DetectorEntry};

/// Scores of one detector on the graded prompts.
#[derive(Clone, Debug, PartialEq)]
pub struct GradedScores {
    /// Detector.
    pub detector: DetectorEntry,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Scores from several latents at once: (number of generations, for each seed one score a prompt).
    pub by_generations: Vec<(usize, Vec<Vec<f64>>)>,
    /// Scores from single latents: for each seed, for each generation, one a prompt.
    pub draws: Vec<Vec<Vec<f64>>>,
}

/// Reads the scores of a detector; everything it needs must have been measured.
pub(crate) fn read_graded(
    stored: &StoredPlan,
    (entry, detector): (&DetectorEntry, &dyn Detector),
    generations: &[usize],
    seeds: &[u64],
    prompts: &[String],
) -> Result<GradedScores> {
    let scorer = stored.scorer(&entry.label(), detector)?;
    let of_prompts = |score: &dyn Fn(&str) -> Result<Score>| -> Result<Vec<f64>> {
        prompts.iter().map(|prompt| Ok(score(prompt)?.value)).collect()
    };
    let several = |n: usize| -> Result<(usize, Vec<Vec<f64>>)> {
        let of_seed = |seed: &u64| of_prompts(&|prompt| scorer.score(prompt, *seed, n));
        Ok((n, seeds.iter().map(of_seed).collect::<Result<_>>()?))
    };
    let drawn = generations.iter().copied().max().unwrap_or(0);
    let single = |seed: &u64| -> Result<Vec<Vec<f64>>> {
        (0..drawn).map(|generation| of_prompts(&|prompt| scorer.score_one(prompt, *seed, generation))).collect()
    };
    Ok(GradedScores {
        detector: entry.clone(),
        seeds: seeds.to_vec(),
        by_generations: generations.iter().map(|n| several(*n)).collect::<Result<_>>()?,
        draws: seeds.iter().map(single).collect::<Result<_>>()?,
    })
}
