//! Running what is planned: the executor, and experiments as a whole.

mod executor;
mod experiment;
mod gathered;
mod loaded;
mod sheets;
mod sweep;

pub use executor::execute;
pub use experiment::{Observer, run};
pub use gathered::Outcome;
pub use sweep::{SweepOutcome, run_sweep};
