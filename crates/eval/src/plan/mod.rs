//! What is to be done: units of work, what each costs, and which of them a store lacks.
//!
//! A [`Task`] is described once: it lists its units, says what a unit costs, and executes a unit. A dry run is the sum of
//! the prices of the units that a run would execute.

mod estimate;
mod experiment;
mod identity;
mod key;
mod measures;
mod noise;
mod price;
mod resolved;
mod unit;

pub use estimate::{Estimate, ModelPlan, StoredMeasurements};
pub use experiment::Planner;
pub use identity::ModelIdentity;
pub use key::{Key, RecordId};
pub(crate) use measures::PlannedMeasure;
pub use measures::{Located, Measures};
pub use noise::{NoisePlan, NoiseSharing, RunPrompt};
pub use price::{Calls, Price, SharedPredictions};
pub(crate) use resolved::{ANALYSIS_PRECISION, Built, ModelTasks, PicturePlaces, ResolvedTask};
pub use unit::{CachePolicy, Execute, KnownRecords, OpenUnit, Part, PlannedRecords, Task, open_units, price};
pub(crate) use unit::{all_units, records, slabs};
