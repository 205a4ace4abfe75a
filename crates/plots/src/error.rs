//! What can be wrong with a figure's input or with writing it.

use std::path::PathBuf;

/// Why a figure could not be drawn or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A list that must hold something is empty.
    #[error("figure `{figure}`: {field} is empty")]
    Empty {
        /// Name of the figure.
        figure: String,
        /// The field at fault.
        field: String,
    },
    /// Two lists that belong together differ in length.
    #[error("figure `{figure}`: {field} has {got} values, expected {expected}")]
    Length {
        /// Name of the figure.
        figure: String,
        /// The field at fault.
        field: String,
        /// Number of values the field must have.
        expected: usize,
        /// Number of values it has.
        got: usize,
    },
    /// A number cannot be drawn.
    #[error("figure `{figure}`: {field}[{index}] = {value} {reason}")]
    Value {
        /// Name of the figure.
        figure: String,
        /// The field at fault.
        field: String,
        /// Position in the field, from 0.
        index: usize,
        /// The number found there.
        value: f64,
        /// What the number would have to be.
        reason: &'static str,
    },
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
    /// A file or folder could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}
