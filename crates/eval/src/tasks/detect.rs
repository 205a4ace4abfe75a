//! Detection on a list of prompts of unknown class: the measurements of the detectors that are asked for.

use std::sync::Arc;

use memscope_metric::Detector;

use super::MeasurementPlan;
use crate::{
    spec::DetectorName,
    task::{ModelIdentity, NoisePlan, RunPrompt},
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
    pub fn task<T: Clone + Into<Arc<str>>>(&self, model: ModelIdentity, prompts: &[T]) -> MeasurementPlan {
        let measures = self.detectors.iter().flat_map(|(_, detector)| detector.measures()).collect();
        MeasurementPlan::new(model, self.noise.clone(), measures, RunPrompt::list(prompts), self.batch)
    }
}
