//! Some units of a task, as a task.

use crate::{
    error::Result,
    store::Key,
    task::{Calls, Execute, OpenUnit, Part, Price, Session, SharedPredictions, Task},
};

/// Some units of a task with some of their parts: priced, resumed and executed as the task itself is, to the same bits.
pub struct TaskSlice<'t> {
    task: &'t dyn Task,
    units: Vec<OpenUnit>,
}

impl<'t> TaskSlice<'t> {
    /// These units of a task, in ascending order.
    pub fn new(task: &'t dyn Task, units: Vec<OpenUnit>) -> Self {
        Self { task, units }
    }

    /// As the task calls a unit and its parts.
    fn of_task(&self, open: &OpenUnit) -> OpenUnit {
        let own = &self.units[open.unit];
        OpenUnit { unit: own.unit, parts: open.parts.iter().map(|part| own.parts[*part]).collect() }
    }

    fn all_of_task(&self, open: &[OpenUnit]) -> Vec<OpenUnit> {
        open.iter().map(|open| self.of_task(open)).collect()
    }
}

impl Task for TaskSlice<'_> {
    fn units(&self) -> usize {
        self.units.len()
    }

    fn parts(&self, unit: usize) -> Vec<Part> {
        let own = &self.units[unit];
        let mut all = self.task.parts(own.unit);
        own.parts.iter().map(|part| std::mem::take(&mut all[*part])).collect()
    }

    fn weight(&self, unit: usize) -> usize {
        self.task.weight(self.units[unit].unit)
    }

    fn prompt_batches(&self, open: &[OpenUnit]) -> Vec<Vec<String>> {
        self.task.prompt_batches(&self.all_of_task(open))
    }

    fn prompts(&self, open: &[OpenUnit]) -> usize {
        self.task.prompts(&self.all_of_task(open))
    }

    fn price(&self, open: &OpenUnit, shared: &mut SharedPredictions) -> Price {
        self.task.price(&self.of_task(open), shared)
    }

    fn is_divisible(&self) -> bool {
        self.task.is_divisible()
    }

    fn follows(&self) -> bool {
        self.task.follows()
    }

    fn begin<'s>(&'s self, session: &'s Session<'s>) -> Result<Box<dyn Execute + 's>> {
        Ok(Box::new(Executing { slice: self, task: self.task.begin(session)? }))
    }
}

struct Executing<'s> {
    slice: &'s TaskSlice<'s>,
    task: Box<dyn Execute + 's>,
}

impl Execute for Executing<'_> {
    fn execute(&mut self, open: &OpenUnit, calls: &mut Calls) -> Result<Vec<(Key, Vec<f64>)>> {
        self.task.execute(&self.slice.of_task(open), calls)
    }
}
