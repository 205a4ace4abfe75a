//! Experiments: from a YAML file to result tables.
//!
//! An [`ExperimentFile`] is checked into an [`Experiment`]; its work on a model is a list of
//! [tasks](task::Task), each with units that have a price and make records. A dry run sums the prices, [`run::run`] executes
//! what the [`MeasurementStore`] lacks, [`score`] reads it back, and every table of [`report`] is a query over the scores.

pub mod audit;
mod error;
mod frames;
pub mod manifest;
mod picture_file;
pub mod plan;
pub mod prompts;
pub mod report;
pub mod run;
pub mod score;
pub mod shard;
pub mod spec;
pub mod store;
mod table_file;
pub mod task;
pub mod tasks;
mod tensor_file;

pub use error::{Error, Result};
pub use frames::{LabelledScores, read_labelled_scores};
pub use spec::{Experiment, ExperimentFile};
pub use store::MeasurementStore;
pub use table_file::{TableFile, write_columns};
pub use tensor_file::{NamedTensor, write_tensors};
