//! Results as types: what a run leaves behind, and everything that readers of it need.
//!
//! Tables ([`ResultTable`]) with their exports, statistics of scores, the paper's published numbers, and the records
//! that say where numbers come from. No network is known here.

pub mod cost;
pub mod export;
pub mod gallery;
pub mod manifest;
pub mod paper;
pub mod scores;
pub mod stats;
pub mod table;
pub mod timing;
pub mod warning;

pub use cost::{MeasureCost, RunCost};
pub use manifest::{DetectorRecord, Manifest, ModelRecord};
pub use table::ResultTable;
pub use warning::Warning;
