//! Scores for prompts of unknown class.

use std::collections::BTreeMap;

use memscope_frames::FrameColumn as Column;
use memscope_model::{LatentDiffusion, WeightsOrigin};
use serde::Serialize;

use super::{StoredPlan, stored::Scorer};
use crate::{
    error::Result,
    plan::ModelIdentity,
    run::{MeasurementStore, truncation_warnings},
    spec::DetectorName,
    tasks::Detection,
    warning::Warning,
};

/// One prompt under one seed: a number per column, `None` where a detector has none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DetectionRow {
    /// The prompt.
    pub prompt: String,
    /// The seed of its noise.
    pub seed: u64,
    /// `norm`, `cosine` and `score` of the anisotropy metric; other detectors under their own name.
    pub values: BTreeMap<String, f64>,
}

/// The scores, and what was noticed.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionResult {
    /// Names of the numbers, in column order.
    pub columns: Vec<String>,
    /// Rows in the order of the prompts, seeds within each.
    pub rows: Vec<DetectionRow>,
    /// What the model's folder says about its weights.
    pub weights: WeightsOrigin,
    /// Remarks.
    pub warnings: Vec<Warning>,
}

impl DetectionResult {
    /// Reads the scores of prompts that were measured on a model.
    ///
    /// # Errors
    /// When something was not measured.
    pub fn read(
        detection: &Detection,
        model: &LatentDiffusion,
        prompts: &[String],
        store: &MeasurementStore,
    ) -> Result<Self> {
        let plan = detection.task(ModelIdentity::of(model), prompts);
        let stored = StoredPlan::new(&plan, store);
        let scorers = detection.detectors.iter();
        let scorers = scorers.map(|(name, detector)| Ok((*name, stored.scorer(name.as_str(), detector.as_ref())?)));
        let scorers = scorers.collect::<Result<Vec<_>>>()?;
        let mut columns: Vec<String> = vec![];
        let mut rows = vec![];
        for prompt in prompts {
            for &seed in &detection.noise.seeds {
                let mut values = BTreeMap::new();
                for (name, scorer) in &scorers {
                    for (column, value) in numbers(*name, scorer, prompt, (seed, detection.noise.generations))? {
                        if !columns.contains(&column) {
                            columns.push(column.clone());
                        }
                        values.insert(column, value);
                    }
                }
                rows.push(DetectionRow { prompt: prompt.clone(), seed, values });
            }
        }
        let warnings = truncation_warnings(model, prompts.iter().map(String::as_str));
        Ok(Self { columns, rows, weights: model.weights_origin(), warnings })
    }

    /// As columns of a data frame: prompt, seed, then the numbers; `weights` where they are random.
    pub fn frame(&self) -> Vec<Column> {
        let texts: Vec<&str> = self.rows.iter().map(|row| row.prompt.as_str()).collect();
        let seeds: Vec<u64> = self.rows.iter().map(|row| row.seed).collect();
        let mut frame = vec![Column::new("prompt".into(), texts), Column::new("seed".into(), seeds)];
        for name in &self.columns {
            let values: Vec<Option<f64>> = self.rows.iter().map(|row| row.values.get(name).copied()).collect();
            frame.push(Column::new(name.as_str().into(), values));
        }
        if self.weights == WeightsOrigin::Random {
            frame.push(Column::new("weights".into(), vec!["random"; self.rows.len()]));
        }
        frame
    }
}

/// The columns of a detector with their numbers: its score under its name; of the anisotropy metric its parts and `score`.
fn numbers(
    name: DetectorName,
    scorer: &Scorer,
    prompt: &str,
    (seed, generations): (u64, usize),
) -> Result<Vec<(String, f64)>> {
    let score = scorer.score(prompt, seed, generations)?;
    Ok(match name {
        DetectorName::Anisotropy => {
            let parts = score.parts.iter().map(|(part, value)| ((*part).to_owned(), *value));
            parts.chain([("score".to_owned(), score.value)]).collect()
        }
        other => vec![(other.to_string(), score.value)],
    })
}
