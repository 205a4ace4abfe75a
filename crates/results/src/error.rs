//! What can go wrong with a results folder.

use std::{io, path::PathBuf};

use memscope_text::long_excerpt;

use crate::{export_error::ExportError, stats::StatsError, table::TableError};

/// The result of this crate's own operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of reading, writing and comparing results.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Files.
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A link, folder, pipe or device stands where a file should.
    #[error("{} is not a regular file: links, folders, pipes and devices are not read", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file is larger than its kind can be.
    #[error("{} has {bytes} bytes; a file of its kind has at most {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A name in a results folder leads elsewhere.
    #[error(
        "{} names the file {}, which is no plain name inside the folder; the entry is not followed",
        long_excerpt(index),
        long_excerpt(name)
    )]
    OutsideName {
        /// The file that holds the name.
        index: String,
        /// The name.
        name: String,
    },

    // Folders.
    /// Another run writes to the same folder.
    #[error("{} is in use by another run; wait for it, or give another --results folder", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds a run with other settings.
    #[error(
        "{} holds results with other settings ({differences}); give --overwrite to replace them, or another --results \
         folder", folder.display()
    )]
    OtherSettings {
        /// The folder.
        folder: PathBuf,
        /// What differs.
        differences: String,
    },
    /// The shards there are those of another plan.
    #[error(
        "{} holds shards of another plan: {}; merge or remove that folder first, or give another --results folder",
        folder.display(), long_excerpt(differences)
    )]
    OtherPlan {
        /// The folder of the shards.
        folder: PathBuf,
        /// What differs.
        differences: String,
    },
    /// Shards are missing, or were not made alike.
    #[error("{}: {reason}", folder.display())]
    Shards {
        /// The folder of the shards.
        folder: PathBuf,
        /// Which, and how to mend it.
        reason: String,
    },
    /// A folder holds no results.
    #[error("{}: {reason}", folder.display())]
    NoResults {
        /// The folder.
        folder: PathBuf,
        /// Why, and how to mend it.
        reason: String,
    },
    /// A file is damaged.
    #[error("{} is damaged: {}; run the experiment again", path.display(), long_excerpt(reason))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file was written by a later version.
    #[error(
        "{} has format {found}, this version reads formats up to {known}; update memscope, or run the experiment again with \
         this version", path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The latest version that is known.
        known: u32,
    },
    /// Two folders hold no experiment of the same name.
    #[error(
        "nothing can be compared: {} holds {}, {} holds {}; give two folders of the same experiment",
        first.display(), long_excerpt(&first_names.join(", ")), second.display(),
        long_excerpt(&second_names.join(", "))
    )]
    NothingInCommon {
        /// The first folder.
        first: PathBuf,
        /// Its experiments.
        first_names: Vec<String>,
        /// The second folder.
        second: PathBuf,
        /// Its experiments.
        second_names: Vec<String>,
    },

    // Parts of this crate with errors of their own.
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

impl Error {
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }

    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }
}
