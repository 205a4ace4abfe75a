//! Scores for prompts of unknown class.

use std::collections::BTreeMap;

use memscope_frames::FrameColumn as Column;
use memscope_metric::Detector;
use memscope_model::{Blueprint, Execution, LatentDiffusion, WeightsOrigin};
use serde::Serialize;

use crate::{
    error::{Error, Result},
    estimate::ModelPlan,
    registry::DetectorName,
    run::{Agenda, AskedModel, NoisePlan, RunPrompt, Runner, Watch},
    store::ScoreStore,
    warning::Warning,
};

/// What is asked about a list of prompts.
pub struct Detection {
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

impl Detection {
    fn agenda(&self, model: AskedModel, prompts: &[String]) -> Agenda {
        let measures = self.detectors.iter().flat_map(|(_, d)| d.measures()).collect();
        Agenda::new(model, self.noise.clone(), measures, RunPrompt::list(prompts), self.batch)
    }

    /// What scoring the prompts would ask of a model.
    pub fn plan(&self, blueprint: &Blueprint, execution: Execution, prompts: &[String]) -> ModelPlan {
        // Nothing is stored, so that the key does not matter.
        let model = AskedModel::planned(blueprint, execution, String::new());
        ModelPlan::of_agenda(blueprint, execution, &self.agenda(model, prompts))
    }

    /// Scores the prompts on the model that the detectors were built for.
    pub fn run(self, model: &LatentDiffusion, prompts: &[String], watch: &mut dyn Watch) -> Result<DetectionResult> {
        let (seeds, generations) = (&self.noise.seeds, self.noise.generations);
        let runner = Runner::new(model, self.agenda(AskedModel::of(model), prompts));
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
            for &seed in seeds {
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
        let weights = model.weights_origin();
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
