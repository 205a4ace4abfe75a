//! The scores of every prompt with what is known about it, as the report reads them.

use memscope_metric::Score;
use memscope_results::prompts::{DetectorColumn, ModelPrompts, PromptRecord};

use super::{DetectorScores, SeedScores};
use crate::prompts::KnownPrompt;

/// The prompts of both classes with the scores of all detectors.
pub(crate) fn prompt_records(
    model: &str,
    (memorized, non_memorized): (&[KnownPrompt], &[KnownPrompt]),
    detectors: &[DetectorScores],
) -> ModelPrompts {
    let column = |scores: &DetectorScores| DetectorColumn {
        name: scores.detector.label(),
        n: scores.generations,
        seeds: scores.runs.iter().map(|run| run.seed).collect(),
    };
    let of_class = |class: &str, list: &[KnownPrompt], scores_of: fn(&SeedScores) -> &[Score]| -> Vec<PromptRecord> {
        let record = |(at, known): (usize, &KnownPrompt)| {
            let seeds = |scores: &DetectorScores| scores.runs.iter().map(|run| scores_of(run)[at].value).collect();
            PromptRecord {
                prompt: known.text.to_string(),
                class: class.to_owned(),
                set: known.set.to_string(),
                weight: known.weight,
                reproduction_rate: known.reproduction.as_ref().map(|reproduction| reproduction.rate),
                scores: detectors.iter().map(seeds).collect(),
            }
        };
        list.iter().enumerate().map(record).collect()
    };
    let mut prompts = of_class("memorized", memorized, |run| &run.memorized);
    prompts.extend(of_class("non-memorized", non_memorized, |run| &run.non_memorized));
    ModelPrompts { model: model.to_owned(), detectors: detectors.iter().map(column).collect(), prompts }
}
