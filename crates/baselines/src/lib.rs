//! The other detectors, one file each, behind the same trait as the anisotropy metric.

mod jeon;
mod membench;
mod ren;
mod wen;

pub use jeon::{Jeon, SharpnessPower};
pub use membench::MemBench;
pub use ren::Ren;
pub use wen::Wen;
