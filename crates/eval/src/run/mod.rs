//! Running what is planned: the executor, and experiments as a whole.

mod executor;
mod experiment;
mod sheets;
mod sweep;

pub use executor::execute;
pub use experiment::{Observer, Outcome, run};
pub use sweep::{SweepOutcome, run_sweep};
