//! What can be measured about one prompt under one noise, and what the network must be asked for it.

use memscope_model::cost::{Pass, SamplesPerCall};

use crate::{generation::Generation, request::PredictionRequest};

/// Network calls that a measure makes itself for one generation.
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
    /// Plain predictions, `samples` in one network call for each generation.
    pub fn predictions(calls: usize, samples: usize) -> Self {
        Self { pass: Pass::Prediction, calls, samples_per_call: SamplesPerCall::PerPrompt(samples) }
    }
}

/// A group of numbers that the same predictions of the network yield.
pub trait Measure: Send + Sync {
    /// Names what is measured and how; part of the key under which values are stored.
    fn id(&self) -> String;

    /// Names of the values of one generation, in order.
    fn names(&self) -> Vec<String>;

    /// What must be asked, so that questions of many prompts can be batched.
    fn requests(&self) -> Vec<PredictionRequest>;

    /// What [`Self::measure`] asks the network itself for one generation, beyond the predictions in [`Self::requests`]: passes
    /// with a tangent or with an observer, trajectories.
    fn own(&self) -> Vec<OwnCalls> {
        vec![]
    }

    /// The samples of all of them.
    fn own_calls(&self) -> usize {
        self.own().iter().map(|own| own.calls).sum()
    }

    /// Most generations that are worth measuring together; fewer where one takes long, so that a run can be followed and
    /// stopped.
    fn most_at_once(&self) -> usize {
        usize::MAX
    }

    /// The values of each generation; all generations are of one model.
    ///
    /// # Errors
    /// The network fails, or its output is not finite.
    fn measure(&self, generations: &[Generation]) -> memscope_model::Result<Vec<Vec<f64>>>;
}
