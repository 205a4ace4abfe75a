//! What work asks of a model's networks.

use std::collections::{BTreeMap, HashSet};

use memscope_metric::PredictionRequest;
use memscope_model::cost::{PassGroup, Workload};
use serde::{Deserialize, Serialize};

/// What a run asked of the network, and how long it took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunCost {
    /// Predictions under the empty prompt (samples).
    pub unconditional_calls: usize,
    /// Predictions under a prompt (samples).
    pub conditional_calls: usize,
    /// Wall time of these predictions, in seconds.
    pub network_seconds: f64,
    /// What each measure did with them.
    pub measures: BTreeMap<String, MeasureCost>,
}

/// What one measure took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeasureCost {
    /// Measurements: one for each prompt under one noise.
    pub count: usize,
    /// Network calls (samples) it made itself, such as passes with a tangent.
    pub own_calls: usize,
    /// Wall time of its arithmetic and its own calls, in seconds.
    pub seconds: f64,
}

impl RunCost {
    /// Measurements of all measures.
    pub fn measurements(&self) -> usize {
        self.measures.values().map(|cost| cost.count).sum()
    }

    /// Network calls (samples) that measures made themselves.
    pub fn own_calls(&self) -> usize {
        self.measures.values().map(|cost| cost.own_calls).sum()
    }

    /// Network calls (samples) of all kinds.
    pub fn network_calls(&self) -> usize {
        self.unconditional_calls + self.conditional_calls + self.own_calls()
    }

    /// Adds another run's.
    pub fn add(&mut self, other: Self) {
        self.unconditional_calls += other.unconditional_calls;
        self.conditional_calls += other.conditional_calls;
        self.network_seconds += other.network_seconds;
        for (id, cost) in other.measures {
            let sum = self.measures.entry(id).or_default();
            sum.count += cost.count;
            sum.own_calls += cost.own_calls;
            sum.seconds += cost.seconds;
        }
    }
}

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
        self.work.batch = self.work.batch.max(other.work.batch);
        for group in other.work.passes {
            let same = |known: &&mut PassGroup| known.pass == group.pass && known.samples_per_call == group.samples_per_call;
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
