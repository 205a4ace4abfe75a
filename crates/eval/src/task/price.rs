//! What work asks of a model's networks.

use std::collections::HashSet;

use memscope_metric::PredictionRequest;
use memscope_model::cost::{PassGroup, Workload};
use memscope_results::RunCost;

/// Network calls (samples) by what they are for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    /// For measurements.
    pub measuring: RunCost,
    /// For the times of detectors.
    pub timing: usize,
    /// For pictures and for gradients by tokens.
    pub drawing: usize,
}

impl Calls {
    /// All of them.
    pub fn total(&self) -> usize {
        self.measuring.network_calls() + self.timing + self.drawing
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.measuring.add(other.measuring);
        self.timing += other.timing;
        self.drawing += other.drawing;
    }
}

/// What executing units asks of the networks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Price {
    /// Network calls by what they are for.
    pub calls: Calls,
    /// The same as passes, with prompts to encode and pictures to decode.
    pub work: Workload,
}

impl Price {
    /// Adds that of another unit of the same task.
    pub fn add(&mut self, other: Self) {
        self.calls.add(other.calls);
        self.work.prompts += other.work.prompts;
        self.work.images += other.work.images;
        self.work.encodings += other.work.encodings;
        self.work.batch = self.work.batch.max(other.work.batch);
        for group in other.work.passes {
            let same =
                |known: &&mut PassGroup| known.pass == group.pass && known.samples_per_call == group.samples_per_call;
            match self.work.passes.iter_mut().find(same) {
                Some(known) => known.calls += group.calls,
                None => self.work.passes.push(group),
            }
        }
    }
}

/// Predictions under the empty prompt that a plan has asked for so far, by the position of their noise.
#[derive(Debug, Default)]
pub struct SharedPredictions(HashSet<(usize, PredictionRequest)>);

impl SharedPredictions {
    /// Those of the requests on a noise that were not made before: how many.
    pub(crate) fn add(&mut self, noise: usize, requests: &[PredictionRequest]) -> usize {
        requests.iter().filter(|request| self.0.insert((noise, **request))).count()
    }
}
