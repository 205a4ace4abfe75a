//! One task on one model, as work to be shared: what single commands do.

use memscope_model::{Blueprint, Execution};
use memscope_results::Results;

use super::Work;
use crate::{
    error::Result,
    task::{ModelIdentity, Task},
};

/// One task on one model.
pub struct SingleTask<F> {
    /// The model.
    pub blueprint: Blueprint,
    /// Where and in which number format it runs.
    pub execution: Execution,
    /// Makes the task for a model.
    pub task: F,
}

impl<T: Task, F: Fn(ModelIdentity) -> T> Work for SingleTask<F> {
    fn blueprint(&self) -> &Blueprint {
        &self.blueprint
    }

    fn execution(&self) -> Execution {
        self.execution
    }

    fn visit(
        &self,
        model: &ModelIdentity,
        _: &Results,
        visit: &mut dyn FnMut(&[&dyn Task]) -> Result<()>,
    ) -> Result<()> {
        visit(&[&(self.task)(model.clone())])
    }
}
