//! An audit: whether a model copies its training pictures, which, and how sure that is (docs/audit.md).
//!
//! [`decide`] turns scores into decisions; an [`Audit`] is everything that readers of one need, as it is stored.

mod decide;
mod record;
mod words;

pub use decide::{Claim, Decision, decide};
pub use record::{
    Answer, Audit, AuditFolder, AuditRow, AuditedModel, CalibrationRecord, CheckpointRow, Draw, FORMAT, Share,
};
pub use words::{percent, statement};
