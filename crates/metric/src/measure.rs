//! What can be measured about one prompt under one noise, and what the network must be asked for it.

use memscope_model::cost::{Pass, SamplesPerCall};

use crate::probe::Probe;

/// A question to the network about one latent x_T.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// The prediction under the empty prompt; shared by every prompt with the same x_T.
    Unconditional {
        /// Timestep.
        t: usize,
    },
    /// The prediction under the prompt.
    Conditional {
        /// Timestep.
        t: usize,
    },
}

/// Network calls that a measure makes itself for one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnCalls {
    /// What they carry.
    pub pass: Pass,
    /// How many (samples).
    pub calls: usize,
    /// How many at once.
    pub samples_per_call: SamplesPerCall,
}

impl OwnCalls {
    /// Plain predictions, `samples` in one network call for each probe.
    pub fn predictions(calls: usize, samples: usize) -> Self {
        Self { pass: Pass::Prediction, calls, samples_per_call: SamplesPerCall::PerPrompt(samples) }
    }
}

/// A group of numbers that the same answers of the network yield.
pub trait Measure: Send + Sync {
    /// Names what is measured and how; part of the key under which values are stored.
    fn id(&self) -> String;

    /// Names of the values of one probe, in order.
    fn names(&self) -> Vec<String>;

    /// What must be asked, so that questions of many prompts can be batched.
    fn asks(&self) -> Vec<Ask>;

    /// What [`Self::measure`] asks the network itself for one probe, beyond the predictions in [`Self::asks`]: passes
    /// with a tangent or with an observer, trajectories.
    fn own(&self) -> Vec<OwnCalls> {
        vec![]
    }

    /// The samples of all of them.
    fn own_calls(&self) -> usize {
        self.own().iter().map(|own| own.calls).sum()
    }

    /// Most probes that are worth measuring together; fewer where one takes long, so that a run can be followed and
    /// stopped.
    fn most_probes(&self) -> usize {
        usize::MAX
    }

    /// The values of each probe; all probes are of one model.
    fn measure(&self, probes: &[Probe]) -> memscope_model::Result<Vec<Vec<f64>>>;
}
