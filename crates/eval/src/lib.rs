//! Experiments: from a YAML file to result tables.
//!
//! An [`ExperimentFile`](spec::ExperimentFile) is checked into an [`Experiment`]; its work on a model is a list of
//! [tasks](plan::Task), each with units that have a price and make records. A dry run sums the prices, [`run::run`] executes
//! what the [`MeasurementStore`] lacks, [`score`] reads it back, and every table of [`report`] is a query over the scores.

pub mod compare;
mod error;
pub mod export;
mod frames;
pub mod manifest;
pub mod paper;
pub mod paper_lists;
pub mod plan;
mod prompt_format;
pub mod prompts;
pub mod report;
pub mod run;
pub mod score;
pub mod spec;
pub mod stats;
pub mod table;
pub mod tasks;
mod warning;

pub use error::{Error, Result};
pub use frames::{FrameFormat, read_labelled_scores, write_frame};
pub use run::MeasurementStore;
pub use spec::{Experiment, ExperimentFile};
pub use table::ResultTable;
pub use warning::Warning;
