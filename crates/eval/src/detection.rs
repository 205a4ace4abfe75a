//! Scores of an experiment, read from the store: one per detector, number of generations, seed and prompt.

use memscope_metric::{Detector, Score};

use crate::{
    error::{Error, Result},
    registry::DetectorEntry,
    run::Runner,
    store::ScoreStore,
};

pub use memscope_results::scores::{ClassValues, score_sets};

/// Scores of both classes under one seed.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedScores {
    /// Seed.
    pub seed: u64,
    /// One per memorized prompt.
    pub memorized: Vec<Score>,
    /// One per other prompt.
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
pub fn read_scores(
    runner: &Runner,
    store: &ScoreStore,
    (entry, detector): (&DetectorEntry, &dyn Detector),
    generations: usize,
    seeds: &[u64],
    (memorized, non_memorized): (&[String], &[String]),
) -> Result<DetectorScores> {
    let quantities = detector.quantities();
    let missing = |prompt: &str| Error::NotMeasured { detector: entry.label(), prompt: prompt.to_owned() };
    let located = runner.locate(&quantities).ok_or_else(|| missing("any prompt"))?;
    let score = |prompt: &String, seed| match runner.read(store, &located, prompt, seed, generations) {
        Some(values) => Ok(detector.score(&values)),
        None => Err(missing(prompt)),
    };
    let of_class = |prompts: &[String], seed| prompts.iter().map(|p| score(p, seed)).collect::<Result<_>>();
    let runs = seeds.iter().map(|&seed| {
        Ok(SeedScores { seed, memorized: of_class(memorized, seed)?, non_memorized: of_class(non_memorized, seed)? })
    });
    Ok(DetectorScores { detector: entry.clone(), generations, runs: runs.collect::<Result<_>>()? })
}
