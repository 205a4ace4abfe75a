//! The other detectors, one file each, behind the same trait as the anisotropy metric.

mod jeon;
mod membench;
mod ren;
mod token_significance;
mod wen;

pub use jeon::{Jeon, SharpnessPower};
pub use membench::MemBench;
pub use ren::{Ren, RenMode};
pub use token_significance::token_significance;
pub use wen::Wen;
