//! What a run would cost, before it starts: network calls, operations, seconds and memory. No weights are read.

use memscope_model::{
    Blueprint, Execution,
    cost::{DType, MemoryNeed, Speed, Workload},
    memory::{AvailableMemory, available_memory},
};
use serde::Serialize;

use crate::{
    error::Result,
    store::MeasurementStore,
    task::{CachePolicy, Calls, KnownRecords, PlannedRecords, Price, Task, price},
};

/// What a run asks of one model.
#[derive(Clone, Debug)]
pub struct ModelPlan {
    /// The model.
    pub blueprint: Blueprint,
    /// How its networks compute.
    pub execution: Execution,
    /// Whether stored measurements were looked for.
    pub stored: StoredMeasurements,
    /// What is still to be done, task by task.
    pub prices: Vec<Price>,
    /// Bytes that gradients may keep to save time, see [`Blueprint::trace_memory`].
    pub trace_memory: u64,
}

/// Whether a plan knows the measurements that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredMeasurements {
    /// They are not counted again.
    Known,
    /// The weights were never hashed here, so their measurements cannot be found without reading them; everything is
    /// counted.
    Unknown,
}

/// What a run costs on one model.
#[derive(Clone, Debug, Serialize)]
pub struct Estimate {
    /// The model.
    pub model: String,
    /// Whether stored measurements were left out.
    pub stored_measurements: StoredMeasurements,
    /// Measurements: one of each measure for each prompt under one noise.
    pub measurements: usize,
    /// Predictions under a prompt (samples).
    pub conditional_calls: usize,
    /// Predictions under the empty prompt (samples).
    pub unconditional_calls: usize,
    /// Network calls that measures make themselves (samples), such as passes with a tangent.
    pub own_calls: usize,
    /// Network calls (samples) for the times of the detectors.
    pub timing_calls: usize,
    /// Network calls (samples) for drawing pictures.
    pub drawing_calls: usize,
    /// Floating-point operations of the networks' matrix products.
    pub flops: f64,
    /// Wall time of the networks at the measured speed, in seconds; statistics, tables and figures come on top.
    /// Not known of a GPU.
    pub seconds: Option<f64>,
    /// The measured speed of the network, in operations a second.
    pub flops_per_second: Option<f64>,
    /// Resident memory at the peak on the CPU, in bytes.
    pub memory: MemoryNeed,
}

impl ModelPlan {
    /// A plan without work yet.
    pub fn new(blueprint: &Blueprint, execution: Execution, stored: StoredMeasurements) -> Self {
        // A variable that is no amount of memory is refused where the memory is checked.
        let available = available_memory().ok().flatten().filter(|_| execution.is_cpu());
        let trace_memory = available.map_or(0, |available| blueprint.trace_memory(execution.dtype.dtype(), available));
        Self { blueprint: blueprint.clone(), execution, stored, prices: vec![], trace_memory }
    }

    /// The plan of one task on its own, with what a store holds of it.
    pub fn of_task(
        blueprint: &Blueprint,
        execution: Execution,
        task: &dyn Task,
        (store, stored): (&MeasurementStore, StoredMeasurements),
        policy: CachePolicy,
    ) -> Self {
        let mut planned = PlannedRecords::default();
        let price = price(task, &mut KnownRecords::new(store, &mut planned), policy);
        Self { prices: vec![price], ..Self::new(blueprint, execution, stored) }
    }

    /// Network calls (samples) of all tasks.
    pub fn calls(&self) -> Calls {
        let mut calls = Calls::default();
        self.prices.iter().for_each(|price| calls.add(price.calls.clone()));
        calls
    }

    fn work(&self) -> impl Iterator<Item = Workload> {
        self.prices.iter().map(|price| Workload { trace_memory: self.trace_memory, ..price.work.clone() })
    }

    /// The part that needs the most memory; where nothing is asked, loading does.
    fn largest(&self) -> Workload {
        let need = |work: &Workload| self.blueprint.memory(work, self.storage()).total();
        self.work().max_by_key(need).unwrap_or_default()
    }

    fn storage(&self) -> DType {
        self.execution.dtype.dtype()
    }

    /// Peak memory: that of the most demanding part.
    pub fn memory(&self) -> MemoryNeed {
        self.blueprint.memory(&self.largest(), self.storage())
    }

    /// Refuses a run that does not fit, before anything is loaded. What a GPU holds is not known.
    ///
    /// # Errors
    /// When more memory is needed than available.
    pub fn check_memory(&self, available: AvailableMemory) -> Result<()> {
        match self.execution.is_cpu() {
            true => Ok(self.blueprint.check_memory(&self.largest(), self.storage(), available)?),
            false => Ok(()),
        }
    }

    /// Measures the speed of the CPU; of a GPU nothing is known.
    ///
    /// # Errors
    /// When the network's operations fail.
    pub fn calibrate(&self) -> Result<Option<Speed>> {
        if self.execution.is_cpu() { Ok(Some(self.blueprint.calibrate()?)) } else { Ok(None) }
    }

    /// The costs at a measured speed.
    pub fn estimate(&self, speed: Option<&Speed>) -> Estimate {
        let calls = self.calls();
        Estimate {
            model: self.blueprint.source().to_string(),
            stored_measurements: self.stored,
            measurements: calls.measuring.measurements(),
            conditional_calls: calls.measuring.conditional_calls,
            unconditional_calls: calls.measuring.unconditional_calls,
            own_calls: calls.measuring.measures.values().map(|cost| cost.own_calls).sum(),
            timing_calls: calls.timing,
            drawing_calls: calls.drawing,
            flops: self.work().map(|work| self.blueprint.flops(&work).total()).sum(),
            seconds: speed.map(|speed| self.work().map(|work| self.blueprint.seconds(&work, speed)).sum()),
            flops_per_second: speed.map(|speed| speed.overall(&self.blueprint)),
            memory: self.memory(),
        }
    }
}
