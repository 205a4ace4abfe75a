//! Scores of an experiment, read from the store: one per detector, number of generations, seed and prompt.

use memscope_metric::{Detector, Score};
use memscope_results::scores::ClassValues;

use super::StoredPlan;
use crate::{error::Result, spec::DetectorEntry};

/// Scores of both classes under one seed.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedScores {
    /// Seed.
    pub seed: u64,
    /// One per memorized prompt.
    pub memorized: Vec<Score>,
    /// One per non-memorized prompt.
    pub non_memorized: Vec<Score>,
}

impl SeedScores {
    /// One number of every score, of the prompts at these positions.
    pub fn values(&self, memorized: &[usize], non_memorized: &[usize], number: impl Fn(&Score) -> f64) -> ClassValues {
        let pick = |scores: &[Score], rows: &[usize]| rows.iter().map(|row| number(&scores[*row])).collect();
        ClassValues {
            seed: self.seed,
            memorized: pick(&self.memorized, memorized),
            non_memorized: pick(&self.non_memorized, non_memorized),
        }
    }

    /// The scores of all prompts.
    pub fn all(&self) -> ClassValues {
        let values = |scores: &[Score]| scores.iter().map(|score| score.value).collect();
        ClassValues { seed: self.seed, memorized: values(&self.memorized), non_memorized: values(&self.non_memorized) }
    }
}

/// Scores of one detector at one number of generations, over seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorScores {
    /// Detector.
    pub detector: DetectorEntry,
    /// Generations per score.
    pub generations: usize,
    /// One entry per seed.
    pub runs: Vec<SeedScores>,
}

impl DetectorScores {
    /// The scores of the prompts at these positions, per seed.
    pub fn of(&self, memorized: &[usize], non_memorized: &[usize]) -> Vec<ClassValues> {
        self.runs.iter().map(|run| run.values(memorized, non_memorized, |score| score.value)).collect()
    }

    /// The scores of all prompts, per seed.
    pub fn all(&self) -> Vec<ClassValues> {
        self.runs.iter().map(SeedScores::all).collect()
    }
}

/// Reads the scores of a detector; everything it needs must have been measured.
pub(crate) fn read_scores(
    stored: &StoredPlan,
    (entry, detector): (&DetectorEntry, &dyn Detector),
    generations: usize,
    seeds: &[u64],
    (memorized, non_memorized): (&[String], &[String]),
) -> Result<DetectorScores> {
    let scorer = stored.scorer(&entry.label(), detector)?;
    let of_class = |prompts: &[String], seed| prompts.iter().map(|p| scorer.score(p, seed, generations)).collect();
    let runs = seeds.iter().map(|&seed| {
        let (memorized, non_memorized): (Result<_>, Result<_>) =
            (of_class(memorized, seed), of_class(non_memorized, seed));
        Ok(SeedScores { seed, memorized: memorized?, non_memorized: non_memorized? })
    });
    Ok(DetectorScores { detector: entry.clone(), generations, runs: runs.collect::<Result<_>>()? })
}
