//! From stored records to scores: the only place that reads a store back.

mod analysis;
mod detection;
mod graded;
mod mitigation;
mod prompts;
mod records;
mod score_file;
mod stored;
mod timing;

pub(crate) use analysis::read_analysis;
pub use analysis::{AnalysisResult, AnalysisValues};
pub(crate) use detection::read_scores;
pub use detection::{DetectorScores, SeedScores};
pub use graded::GradedScores;
pub(crate) use graded::read_graded;
pub(crate) use mitigation::read_mitigation;
pub use mitigation::{MethodResult, MitigatedPrompt, MitigationResult, Quantity, is_copied};
pub(crate) use prompts::detector_means;
pub use prompts::{DetectionResult, DetectionRow};
pub(crate) use records::prompt_records;
pub use score_file::ScoreFile;
pub(crate) use score_file::Wanted;
pub use stored::{StoredPlan, StoredValues};
pub(crate) use timing::read_timings;
