//! From stored records to scores: the only place that reads a store back.

mod analysis;
mod detection;
mod mitigation;
mod prompts;
mod stored;
mod timing;

pub(crate) use analysis::read_analysis;
pub use analysis::{AnalysisResult, AnalysisValues};
pub(crate) use detection::read_scores;
pub use detection::{ClassValues, DetectorScores, SeedScores, score_sets};
pub(crate) use mitigation::read_mitigation;
pub use mitigation::{COPY, MethodResult, MitigatedPrompt, MitigationResult, Quantity, VERBATIM};
pub use prompts::{DetectionResult, DetectionRow};
pub use stored::{StoredPlan, StoredValues};
pub(crate) use timing::read_timings;
pub use timing::{DetectorTiming, Window};
