//! Running what is planned: the executor, the store, progress, and experiments as a whole.

mod executor;
mod experiment;
mod session;
mod store;
mod sweep;

pub use executor::{Watch, execute};
pub(crate) use experiment::{FORMATS, store_folder};
pub use experiment::{Observer, Outcome, run};
pub use session::Session;
pub(crate) use session::truncation_warnings;
pub use store::MeasurementStore;
pub use sweep::{SweepOutcome, point_folder, run_sweep};

pub(crate) use crate::tasks::is_whole_picture;
