//! Results as types: what a run leaves behind, and everything that readers of it need.
//!
//! Tables ([`ResultTable`]) with their exports, statistics of scores, the paper's published numbers, and the records
//! that say where numbers come from ([`Manifest`]). [`Folder`] owns every path below an experiment's folder and is the
//! only way to write into it. Figures are plain numbers here ([`figures`]); who draws them needs nothing else. No network
//! is known here.

pub mod audit;
pub mod compare;
pub mod cost;
mod determinants;
mod differing;
mod error;
pub mod export;
mod export_error;
pub mod figures;
pub mod files;
mod folder;
pub mod gallery;
mod lock;
pub mod manifest;
pub mod paired;
pub mod paper;
pub mod prompts;
pub mod scores;
mod settings;
pub mod shards;
pub mod stats;
pub mod table;
pub mod timing;
pub mod warning;
pub mod written;

pub use compare::{Comparison, compare};
pub use cost::{MeasureCost, RunCost};
pub use error::{Error, Result};
pub use folder::{Folder, OpenRun, Results};
pub use lock::Lock;
pub use manifest::{DetectorRecord, Manifest, ModelRecord};
pub use settings::{Settings, settings_of};
pub use table::ResultTable;
pub use warning::Warning;
