//! Running what is planned: the executor, the store, progress, and experiments as a whole.

mod executor;
mod experiment;
mod session;
mod sheets;
mod store;
mod sweep;
mod watch;

pub use executor::execute;
pub(crate) use experiment::FORMATS;
pub use experiment::{Observer, Outcome, run};
pub use session::Session;
pub(crate) use session::truncation_warnings;
pub use store::MeasurementStore;
pub use sweep::{SweepOutcome, run_sweep};
pub use watch::Watch;

pub(crate) use crate::tasks::is_whole_picture;
