//! The scores of every prompt with what is known about it, as the report reads them.

use memscope_results::prompts::{DetectorColumn, ModelPrompts, PromptRecord};

use super::DetectorScores;
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
    let record = |class: &str, at: usize, known: &KnownPrompt| {
        let of_detector = |scores: &DetectorScores| -> Vec<f64> {
            let class = |run: &super::SeedScores| {
                if class == MEMORIZED { run.memorized[at].value } else { run.non_memorized[at].value }
            };
            scores.runs.iter().map(class).collect()
        };
        PromptRecord {
            prompt: known.text.to_string(),
            class: class.to_owned(),
            set: known.set.to_string(),
            weight: known.weight,
            reproduction_rate: known.reproduction.as_ref().map(|reproduction| reproduction.rate),
            scores: detectors.iter().map(of_detector).collect(),
        }
    };
    let of_class = |class: &'static str, list: &[KnownPrompt]| -> Vec<PromptRecord> {
        list.iter().enumerate().map(|(at, known)| record(class, at, known)).collect()
    };
    let mut prompts = of_class(MEMORIZED, memorized);
    prompts.extend(of_class("non-memorized", non_memorized));
    ModelPrompts { model: model.to_owned(), detectors: detectors.iter().map(column).collect(), prompts }
}

const MEMORIZED: &str = "memorized";
