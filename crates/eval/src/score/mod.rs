//! From stored records to scores: the only place that reads a store back.

mod analysis;
mod detection;
mod prompts;
mod stored;
mod timing;

pub use analysis::{AnalysisResult, AnalysisValues};
pub use detection::{ClassValues, DetectorScores, SeedScores, score_sets};
pub use prompts::{DetectionResult, DetectionRow};
pub use stored::{StoredPlan, StoredValues};
pub use timing::{DetectorTiming, Window};
pub(crate) use timing::read_timings;
