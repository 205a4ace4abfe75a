//! Experiments: from a YAML file to result tables.
//!
//! An [`ExperimentFile`] is checked into an [`Experiment`]; [`session::run`] asks the network what the
//! [`ScoreStore`] does not hold yet, and every table is a query over the stored answers.

pub mod compare;
pub mod detect;
pub mod detection;
mod draft;
mod error;
pub mod estimate;
pub mod experiment;
mod frames;
pub mod gallery;
pub mod manifest;
pub mod measures;
pub mod network;
pub mod probes;
pub mod profile;
mod prompt_format;
pub mod prompts;
pub mod registry;
pub mod run;
pub mod session;
mod store;
pub mod sweep;
pub mod tables;
pub mod theorem;
pub mod timing;

pub use error::{Error, Result};
pub use experiment::{Experiment, ExperimentFile};
pub use frames::{FrameFormat, read_labelled_scores, write_frame};
// What moved to the results crate stays reachable by its old path until every user names the new one.
pub use memscope_results::{ResultTable, Warning, export, paper, stats, table, warning};
pub use store::{Key, ScoreStore};
