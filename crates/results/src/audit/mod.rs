//! An audit: whether a model copies its training pictures, which, and how sure that is (docs/audit.md).
//!
//! [`decide`] turns scores into decisions; an [`Audit`] is everything that readers of one need, as it is stored.

mod decide;
mod evidence;
mod record;
mod splits;
mod words;

pub use decide::{Claim, Decision, decide};
pub use evidence::{
    AcceptableCheckpoint, Alternative, Answer, Draw, DuplicatePicture, Duplicates, NearPicture, WordShare,
};
pub use record::{Audit, AuditFolder, AuditRow, AuditedModel, CalibrationRecord, CheckpointRow, FORMAT, Share};
pub use splits::{Calibrating, FlaggedShares, Mean, SplitCheck, SplitLevel, check_splits, flagged_shares};
pub use words::{SplitSays, acceptable_says, percent, splits_say, statement};
