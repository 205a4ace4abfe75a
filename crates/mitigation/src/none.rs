//! No mitigation: what the others are compared with.

use memscope_metric::OwnCalls;
use memscope_model::Sampling;

use crate::{
    error::Result,
    method::{Changed, Mitigation, Subject},
};

/// Draws the prompt as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmitigated;

impl Mitigation for Unmitigated {
    fn name(&self) -> &'static str {
        "none"
    }

    fn id(&self) -> String {
        "none".into()
    }

    fn cost(&self, _: usize, _: Sampling) -> Vec<OwnCalls> {
        vec![]
    }

    fn apply(&self, subject: &Subject) -> Result<Changed> {
        Ok(subject.unchanged())
    }
}
