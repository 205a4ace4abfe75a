//! Scores of an experiment, read from the store: one per detector, number of generations, seed and prompt.

use memscope_metric::Detector;

use crate::{
    error::{Error, Result},
    registry::DetectorName,
    run::Runner,
    stats::ScoreSet,
    store::ScoreStore,
};

/// Scores of both classes under one seed.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedScores {
    /// Seed.
    pub seed: u64,
    /// One per memorized prompt.
    pub memorized: Vec<f64>,
    /// One per other prompt.
    pub non_memorized: Vec<f64>,
}

impl SeedScores {
    /// As the statistics want them.
    pub fn as_set(&self) -> Result<ScoreSet<'_>> {
        Ok(ScoreSet::new(&self.memorized, &self.non_memorized)?)
    }
}

/// Scores of one detector at one number of generations, over seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorScores {
    /// Detector.
    pub detector: DetectorName,
    /// Generations per score.
    pub generations: usize,
    /// One entry per seed.
    pub runs: Vec<SeedScores>,
}

/// Reads the scores of a detector; everything it needs must have been measured.
pub fn read_scores(
    runner: &Runner,
    store: &ScoreStore,
    (name, detector): (DetectorName, &dyn Detector),
    generations: usize,
    seeds: &[u64],
    (memorized, non_memorized): (&[String], &[String]),
) -> Result<DetectorScores> {
    let quantities = detector.quantities();
    let score = |prompt: &String, seed| match runner.read(store, &quantities, prompt, seed, generations) {
        Some(values) => Ok(detector.score(&values).value),
        None => Err(Error::NonFinite { quantity: name.to_string(), prompt: prompt.clone() }),
    };
    let runs = seeds
        .iter()
        .map(|&seed| {
            Ok(SeedScores {
                seed,
                memorized: memorized.iter().map(|p| score(p, seed)).collect::<Result<_>>()?,
                non_memorized: non_memorized.iter().map(|p| score(p, seed)).collect::<Result<_>>()?,
            })
        })
        .collect::<Result<_>>()?;
    Ok(DetectorScores { detector: name, generations, runs })
}
