//! What can go wrong in a mitigation.

/// The result of a mitigation's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of mitigations.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model failed.
    #[error(transparent)]
    Model(#[from] memscope_model::Error),
    /// A setting that cannot be used.
    #[error("{method}: {reason}")]
    Setting {
        /// The method.
        method: &'static str,
        /// What is wrong, and how to mend it.
        reason: String,
    },
    /// The user asked to stop.
    #[error("stopped")]
    Stopped,
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}

impl Error {
    pub(crate) fn setting(method: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting { method, reason: reason.into() }
    }
}
