//! What every memorization detector is to the rest of the program.

use std::fmt::Debug;

use crate::{loss::Loss, measure::Measure};

/// A number of one generation, by the measure that yields it and its name there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    /// [`Measure::id`].
    pub measure: String,
    /// One of [`Measure::names`].
    pub name: String,
}

impl Quantity {
    /// The quantity `name` of `measure`.
    pub fn new(measure: &impl Measure, name: &impl ToString) -> Self {
        Self { measure: measure.id(), name: name.to_string() }
    }
}

/// A detector's verdict on one prompt; higher means more likely memorized.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The score.
    pub value: f64,
    /// What it was combined from, by name.
    pub parts: Vec<(&'static str, f64)>,
}

/// Tells memorized prompts from others by what the network predicts, without generating an image.
pub trait Detector: Debug + Send + Sync {
    /// The name used in YAML, tables and on the command line.
    fn name(&self) -> &'static str;

    /// What must be measured for each generation.
    fn measures(&self) -> Vec<Box<dyn Measure>>;

    /// The quantities that [`Self::score`] reads, in order.
    fn quantities(&self) -> Vec<Quantity>;

    /// The score of one prompt; `generations[j]` holds the quantities of generation j.
    fn score(&self, generations: &[Vec<f64>]) -> Score;

    /// The score of a batch of latents as a loss that can be lowered; `None` where it has no gradient here.
    fn loss(&self) -> Option<Box<dyn Loss>> {
        None
    }
}
