//! Scores for prompts of unknown class.

use std::borrow::Cow;

use memscope_frames::FrameColumn as Column;
use memscope_model::{LatentDiffusion, WeightsOrigin};
use memscope_results::Warning;

use super::{StoredPlan, stored::Scorer};
use crate::{
    error::Result,
    prompts::PromptTexts,
    spec::DetectorName,
    store::MeasurementStore,
    task::{ModelIdentity, truncation_warnings},
    tasks::Detection,
};

/// The scores, and what was noticed: a row for each prompt under each seed.
#[derive(Clone, Debug)]
pub struct DetectionResult {
    /// The prompts.
    pub prompts: PromptTexts,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Names of the numbers, in column order: `norm`, `cosine` and `score` of the anisotropy metric; other detectors under
    /// their own name.
    pub columns: Vec<String>,
    /// One number a row in each column, prompts in order, seeds within each; `None` where a detector has none.
    pub values: Vec<Vec<Option<f64>>>,
    /// What the model's folder says about its weights.
    pub weights: WeightsOrigin,
    /// Remarks.
    pub warnings: Vec<Warning>,
}

/// One row of the scores.
#[derive(Clone, Copy, Debug)]
pub struct DetectionRow<'p> {
    /// The prompt.
    pub prompt: &'p str,
    /// The seed of its noise.
    pub seed: u64,
    /// Its position in each column.
    pub at: usize,
}

impl DetectionResult {
    /// Reads the scores of prompts that were measured on a model.
    ///
    /// # Errors
    /// When something was not measured.
    pub fn read(
        detection: &Detection,
        model: &LatentDiffusion,
        prompts: impl Into<PromptTexts>,
        store: &MeasurementStore,
    ) -> Result<Self> {
        let prompts = prompts.into();
        let plan = detection.task(ModelIdentity::of(model), &prompts);
        let stored = StoredPlan::new(&plan, store);
        let scorers = detection.detectors.iter();
        let scorers = scorers.map(|(name, detector)| Ok((*name, stored.scorer(name.as_str(), detector.as_ref())?)));
        let scorers = scorers.collect::<Result<Vec<_>>>()?;
        let seeds = detection.noise.seeds.clone();
        let rows = prompts.len() * seeds.len();
        let mut columns: Vec<String> = vec![];
        let mut values: Vec<Vec<Option<f64>>> = vec![];
        let noises = (0..prompts.len()).flat_map(|prompt| seeds.iter().map(move |seed| (prompt, *seed)));
        for (row, (prompt, seed)) in noises.enumerate() {
            for (name, scorer) in &scorers {
                for (column, value) in numbers(*name, scorer, prompt, (seed, detection.noise.generations))? {
                    let at = columns.iter().position(|known| *known == column).unwrap_or_else(|| {
                        columns.push(column.into_owned());
                        values.push(vec![None; rows]);
                        columns.len() - 1
                    });
                    values[at][row] = Some(value);
                }
            }
        }
        let warnings = truncation_warnings(model, prompts.iter());
        Ok(Self { prompts, seeds, columns, values, weights: model.weights_origin(), warnings })
    }

    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = DetectionRow<'_>> {
        let noises = self.prompts.iter().flat_map(|prompt| self.seeds.iter().map(move |seed| (prompt, *seed)));
        noises.enumerate().map(|(at, (prompt, seed))| DetectionRow { prompt, seed, at })
    }

    /// The rows at some positions as columns of a data frame, with empty cells for `None`: seed, then the numbers; `weights`
    /// where they are random.
    pub fn frame(&self, rows: &[Option<usize>]) -> Vec<Column> {
        let seed = |row: &Option<usize>| row.map(|row| self.seeds[row % self.seeds.len()]);
        let mut frame = vec![Column::new("seed".into(), rows.iter().map(seed).collect::<Vec<_>>())];
        for (name, values) in self.columns.iter().zip(&self.values) {
            let value = |row: &Option<usize>| row.and_then(|row| values[row]);
            frame.push(Column::new(name.as_str().into(), rows.iter().map(value).collect::<Vec<_>>()));
        }
        if self.weights == WeightsOrigin::Random {
            frame.push(Column::new("weights".into(), vec!["random"; rows.len()]));
        }
        frame
    }
}

/// The mean over seeds of the first detector's score of each prompt.
///
/// # Errors
/// When something was not measured.
pub(crate) fn detector_means(
    detection: &Detection,
    model: ModelIdentity,
    prompts: &[String],
    store: &MeasurementStore,
) -> Result<Vec<f64>> {
    let plan = detection.task(model, prompts);
    let stored = StoredPlan::new(&plan, store);
    let Some((name, detector)) = detection.detectors.first() else {
        return Err(crate::Error::internal("a detection without detectors"));
    };
    let scorer = stored.scorer(name.as_str(), detector.as_ref())?;
    let (seeds, generations) = (&detection.noise.seeds, detection.noise.generations);
    let mean = |prompt| {
        let scores = seeds.iter().map(|seed| Ok(scorer.score_at(prompt, *seed, generations)?.value));
        Ok(scores.sum::<Result<f64>>()? / seeds.len() as f64)
    };
    (0..prompts.len()).map(mean).collect()
}

/// The columns of a detector with their numbers: its score under its name; of the anisotropy metric its parts and `score`.
fn numbers(
    name: DetectorName,
    scorer: &Scorer,
    prompt: usize,
    (seed, generations): (u64, usize),
) -> Result<Vec<(Cow<'static, str>, f64)>> {
    let score = scorer.score_at(prompt, seed, generations)?;
    Ok(match name {
        DetectorName::Anisotropy => {
            let parts = score.parts.iter().map(|(part, value)| (Cow::Borrowed(*part), *value));
            parts.chain([("score".into(), score.value)]).collect()
        }
        other => vec![(other.to_string().into(), score.value)],
    })
}
