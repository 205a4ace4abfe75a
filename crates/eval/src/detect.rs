//! Scores for prompts of unknown class.

use std::collections::BTreeMap;

use memscope_metric::Detector;
use memscope_model::{LatentDiffusion, WeightsOrigin};
use polars::prelude::Column;
use serde::Serialize;

use crate::{
    error::{Error, Result},
    registry::DetectorName,
    run::{NoisePlan, RunPrompt, Runner, Watch},
    store::ScoreStore,
    warning::Warning,
};

/// What is asked about a list of prompts.
pub struct Detection<'a> {
    /// The model.
    pub model: &'a LatentDiffusion,
    /// The detectors.
    pub detectors: Vec<(DetectorName, Box<dyn Detector>)>,
    /// The noises; a prompt's score under a seed combines all generations.
    pub noise: NoisePlan,
    /// Samples per network call.
    pub batch: usize,
}

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

impl Detection<'_> {
    /// Scores the prompts.
    pub fn run(self, prompts: &[String], watch: &mut dyn Watch) -> Result<DetectionResult> {
        let seeds = self.noise.seeds.clone();
        let generations = self.noise.generations;
        let measures = self.detectors.iter().flat_map(|(_, d)| d.measures()).collect();
        let runner = Runner::new(self.model, self.noise, measures, RunPrompt::list(prompts), self.batch);
        let mut store = ScoreStore::in_memory();
        runner.run(&mut store, watch)?;

        let missing = |name: DetectorName, prompt: &str| Error::NotMeasured {
            detector: name.to_string(),
            prompt: prompt.to_owned(),
        };
        let quantities: Vec<_> = self.detectors.iter().map(|(_, detector)| detector.quantities()).collect();
        let located = self.detectors.iter().zip(&quantities);
        let located = located.map(|((name, _), q)| runner.locate(q).ok_or_else(|| missing(*name, "any prompt")));
        let located = located.collect::<Result<Vec<_>>>()?;
        let mut columns: Vec<String> = vec![];
        let mut rows = vec![];
        for prompt in prompts {
            for &seed in &seeds {
                let mut values = BTreeMap::new();
                for ((name, detector), located) in self.detectors.iter().zip(&located) {
                    let measured = runner
                        .read(&store, located, prompt, seed, generations)
                        .ok_or_else(|| missing(*name, prompt))?;
                    let score = detector.score(&measured);
                    let numbers: Vec<(String, f64)> = match name {
                        DetectorName::Anisotropy => {
                            let parts = score.parts.iter().map(|(part, value)| ((*part).to_owned(), *value));
                            parts.chain([("score".to_owned(), score.value)]).collect()
                        }
                        other => vec![(other.to_string(), score.value)],
                    };
                    for (column, value) in numbers {
                        if !columns.contains(&column) {
                            columns.push(column.clone());
                        }
                        values.insert(column, value);
                    }
                }
                rows.push(DetectionRow { prompt: prompt.clone(), seed, values });
            }
        }
        let weights = self.model.weights_origin();
        Ok(DetectionResult { columns, rows, weights, warnings: runner.truncation_warnings() })
    }
}

impl DetectionResult {
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
