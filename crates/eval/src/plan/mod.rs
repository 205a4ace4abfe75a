//! What an experiment asks of its models, and what that costs, before a weight is read.

mod estimate;
mod experiment;
mod inputs;
mod resolved;

pub use estimate::{Estimate, ModelPlan, StoredMeasurements};
pub use experiment::Planner;
pub use inputs::check_inputs;
pub(crate) use resolved::{ANALYSIS_PRECISION, Built, ModelTasks, PicturePlaces, ResolvedTask};
