//! What work is: units that have a price and make records.
//!
//! A [`Task`] is described once: it lists its units, says what a unit costs, and executes a unit. A dry run is the sum of
//! the prices of the units that a run would execute. The kinds of tasks stand in [`crate::tasks`].

mod identity;
mod measures;
mod noise;
mod price;
mod session;
mod unit;
mod watch;

pub use identity::ModelIdentity;
pub(crate) use measures::PlannedMeasure;
pub use measures::{Located, Measures};
pub use noise::{NoisePlan, RunPrompts};
pub use price::{Calls, Price, SharedPredictions};
pub use session::Session;
pub(crate) use session::truncation_warnings;
pub use unit::{CachePolicy, Execute, KnownRecords, OpenUnit, Part, PlannedRecords, Task, open_units, price};
pub(crate) use unit::{all_units, records, slabs};
pub use watch::Watch;
