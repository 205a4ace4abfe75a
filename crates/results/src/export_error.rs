//! What can go wrong when a table is exported.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a table could not be exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The name is no plain file name.
    #[error("{name:?} is not a file name: it is empty or holds a path separator")]
    BadName {
        /// The name.
        name: String,
    },
    /// The folder could not be made.
    #[error("cannot create folder {}", path.display())]
    CreateFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder stands where the file should go.
    #[error("cannot write {}: it is a folder", path.display())]
    IsFolder {
        /// The path.
        path: PathBuf,
    },
    /// A file could not be created or written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
