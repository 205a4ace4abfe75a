//! What a run asked of the network, and how long that took.

use std::collections::BTreeMap;

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

    /// Network calls (samples) of all kinds.
    pub fn network_calls(&self) -> usize {
        let own: usize = self.measures.values().map(|cost| cost.own_calls).sum();
        self.unconditional_calls + self.conditional_calls + own
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
