//! Audits: what is asked of a model, and of the model it was made from, about prompts and their pictures, and how that
//! becomes scores (docs/spec/audit.md).

mod calibration;
mod describing;
mod nearest_pictures;
mod plan;
mod scores;
mod statistic;
mod subject;

pub use calibration::{CALIBRATION_FORMAT, CalibrationFile, CalibrationScore};
pub use describing::Describing;
pub use nearest_pictures::{NearDuplicates, NearestPicture, NearestPictures};
pub use plan::{AuditPlan, AuditSettings, Drawing};
pub use scores::AuditScores;
pub use statistic::{Given, StatisticName, UnknownStatistic};
pub use subject::{Subject, SubjectItem};
