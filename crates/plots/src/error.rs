//! What can be wrong with a figure's input or with writing it.

use memscope_results::figures::FigureError;

/// Why a figure could not be drawn or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The numbers make no figure.
    #[error(transparent)]
    Data(#[from] FigureError),
    /// A results folder cannot be read or written.
    #[error(transparent)]
    Results(#[from] memscope_results::Error),
    /// The page could not be made.
    #[error(transparent)]
    Report(#[from] crate::report::ReportError),
    /// A figure's name cannot be a file stem.
    #[error("figure name `{0}` must consist of letters, digits, `-`, `_` and `.`, and not start with `.`")]
    Name(String),
    /// The drawing backend or the shipped font failed.
    #[error("figure `{figure}`: drawing failed: {message}")]
    Drawing {
        /// Name of the figure.
        figure: String,
        /// The backend's own words.
        message: String,
    },
}
