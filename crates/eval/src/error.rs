//! What can go wrong in an experiment.

use std::path::PathBuf;

use memscope_results::{export::ExportError, stats::StatsError, table::TableError};

/// The result of the evaluation's own operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of reading, running and reporting an experiment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Input.
    /// The YAML file is not valid.
    #[error("{file}: {reason}")]
    Experiment {
        /// The file.
        file: String,
        /// What is wrong, with line and column where known.
        reason: String,
    },
    /// A `--set` argument is not valid.
    #[error("--set {given}: {reason}")]
    Override {
        /// The argument.
        given: String,
        /// What is wrong.
        reason: String,
    },
    /// A prompt list is not usable.
    #[error("{file}: {reason}")]
    Prompts {
        /// The file.
        file: String,
        /// What is wrong, and how to mend it.
        reason: String,
    },
    /// A table of scores is not usable.
    #[error("{file}: {reason}")]
    Scores {
        /// The file.
        file: String,
        /// What is wrong, and how to mend it.
        reason: String,
    },

    // Files.
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A store of measurements cannot be read.
    #[error("{}: {reason}; move the file away to measure again", path.display())]
    DamagedStore {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Two stored records of the same measurement differ.
    #[error("{}{place}: two records of {key} differ, so one of them is wrong; move the file away to measure again", path.display())]
    ConflictingRecords {
        /// The file.
        path: PathBuf,
        /// `, line N`, where it is known.
        place: String,
        /// The records' key.
        key: String,
    },
    /// Another run writes to the same store.
    #[error("{} is in use by another run; wait for it, or give another --results folder", path.display())]
    StoreInUse {
        /// The file.
        path: PathBuf,
    },
    /// A results folder cannot be read or written.
    #[error(transparent)]
    Results(#[from] memscope_results::Error),
    /// A table of the user could not be read or written.
    #[error(transparent)]
    Frame(#[from] memscope_frames::Error),

    // Running.
    /// The model failed.
    #[error(transparent)]
    Model(#[from] memscope_model::Error),
    /// A mitigation failed, or has a setting that cannot be used.
    #[error(transparent)]
    Mitigation(Box<memscope_mitigation::Error>),
    /// A judge cannot be opened, or failed.
    #[error(transparent)]
    Judge(Box<memscope_judges::Error>),
    /// A published prompt list is not in the cache, or cannot be brought there.
    #[error(transparent)]
    Hub(#[from] memscope_hub::Error),
    /// Options that contradict one another.
    #[error(transparent)]
    Protocol(#[from] memscope_metric::ProtocolError),
    /// A measured number is NaN or infinite.
    #[error("{quantity} of the prompt '{prompt}' is not finite")]
    NonFinite {
        /// The quantity.
        quantity: String,
        /// The prompt.
        prompt: String,
    },
    /// An instance of Theorem 1 that does not satisfy its assumptions.
    #[error(transparent)]
    Theorem(#[from] memscope_metric::theory::InstanceError),
    /// A score was asked for that nothing measured: a defect of this program.
    #[error("{detector} has no measurement of '{prompt}'")]
    NotMeasured {
        /// The detector.
        detector: String,
        /// The prompt.
        prompt: String,
    },
    /// A defect of this program.
    #[error("internal error: {what}; please report it")]
    Internal {
        /// What went wrong.
        what: &'static str,
    },
    /// The user asked to stop; what was measured is kept.
    #[error("stopped; what was measured is kept, the same command goes on from here")]
    Stopped,
    /// Scores that no statistic can be taken of.
    #[error(transparent)]
    Stats(#[from] StatsError),
    /// A table could not be built.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A table could not be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
}

impl From<memscope_judges::Error> for Error {
    fn from(error: memscope_judges::Error) -> Self {
        Self::Judge(Box::new(error))
    }
}

impl From<memscope_mitigation::Error> for Error {
    fn from(error: memscope_mitigation::Error) -> Self {
        match error {
            memscope_mitigation::Error::Model(model) => Self::Model(model),
            memscope_mitigation::Error::Stopped => Self::Stopped,
            other => Self::Mitigation(Box::new(other)),
        }
    }
}

impl Error {
    /// Something that only a defect of this program can cause.
    pub(crate) fn internal(what: &'static str) -> Self {
        Self::Internal { what }
    }

    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }

    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }
}
