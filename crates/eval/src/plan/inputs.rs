//! What an experiment reads beside its models: prompts, and the scores of other programs.

use memscope_model::ModelSource;

use crate::{
    error::Result,
    score::{ScoreFile, Wanted},
    spec::{DetectorEntry, Experiment},
};

/// Reads the prompts of every model and the scores of other programs, so that a list that is missing or bad is told
/// before anything large is downloaded or loaded.
///
/// # Errors
/// When one cannot be read.
pub fn check_inputs(experiment: &Experiment) -> Result<()> {
    let prompts = &experiment.file().prompts;
    experiment.models().try_for_each(|(source, _)| {
        prompts.memorized.load(source)?;
        prompts.non_memorized.load(source)?;
        prompts.graded.as_ref().map_or(Ok(()), |graded| graded.load(source).map(|_| ()))?;
        score_files(experiment, source).map(|_| ())
    })
}

/// The detectors whose scores another program computed, for a model.
///
/// # Errors
/// When a table cannot be read, or has no scores for the model and the noises.
pub(super) fn score_files(experiment: &Experiment, source: &ModelSource) -> Result<Vec<ScoreFile>> {
    let (file, name) = (experiment.file(), source.to_string());
    let wanted = Wanted { model: &name, only_model: file.models.len() == 1, seeds: &file.noise.seeds };
    let read =
        |entry: &DetectorEntry| entry.score_file().map(|(path, score)| ScoreFile::read(entry, path, score, &wanted));
    file.detectors.iter().filter_map(read).collect()
}
