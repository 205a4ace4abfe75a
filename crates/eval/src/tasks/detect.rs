//! Detection on a list of prompts of unknown class: the measurements of the detectors that are asked for.

use memscope_metric::Detector;

use super::MeasurementPlan;
use crate::{
    prompts::PromptTexts,
    spec::DetectorName,
    task::{ModelIdentity, NoisePlan, RunPrompts},
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

impl Detection {
    /// The measurements behind the scores.
    pub fn task(&self, model: ModelIdentity, prompts: impl Into<PromptTexts>) -> MeasurementPlan {
        let measures = self.detectors.iter().flat_map(|(_, detector)| detector.measures()).collect();
        MeasurementPlan::new(model, self.noise.clone(), measures, RunPrompts::list(prompts), self.batch)
    }
}
