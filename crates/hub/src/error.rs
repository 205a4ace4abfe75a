//! What can go wrong on the way from the network to the disk.

use std::{fmt, io, path::PathBuf};

/// The result of the hub's own operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of finding and downloading files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Names.
    /// Not a Hub id.
    #[error("'{given}' is no Hub id; give owner/name or owner/name@revision")]
    BadId {
        /// What was given.
        given: String,
    },
    /// Not a variant of weight files.
    #[error("variant '{given}' must be letters, digits, '-' and '_', e.g. fp16")]
    BadVariant {
        /// What was given.
        given: String,
    },

    // What is where.
    /// A Hub model that is not in the cache, at least not whole.
    #[error(
        "{model} is not in the Hub cache {}: {absence}; run `memscope models fetch {argument}` where there is a network (HF_TOKEN for gated models; HF_HOME moves the cache), or give a local folder in diffusers layout",
        cache.display()
    )]
    NotInCache {
        /// The model.
        model: String,
        /// Its name as an argument of `memscope models fetch`.
        argument: String,
        /// Where it was looked for.
        cache: PathBuf,
        /// Why it is not there.
        absence: Box<Absence>,
    },
    /// No such repository on the Hub.
    #[error("{endpoint} has no model {model}; check the id and the revision (a private model needs HF_TOKEN)")]
    UnknownRepository {
        /// The model.
        model: String,
        /// The Hub.
        endpoint: String,
    },
    /// No such branch, tag or commit.
    #[error("{id} has no revision '{revision}'; give a branch, tag or full commit, or leave it out for main")]
    UnknownRevision {
        /// `owner/name`.
        id: String,
        /// What was asked for.
        revision: String,
    },
    /// A repository that not everybody may read.
    #[error(
        "{id} is gated or private (the Hub answered {status}; {token}): accept its licence at {page}, then set HF_TOKEN to a token of that account"
    )]
    Gated {
        /// `owner/name`.
        id: String,
        /// HTTP status.
        status: u16,
        /// The model's page.
        page: String,
        /// What is known of the token.
        token: &'static str,
    },
    /// A published list that is not in the cache, or not as it was published.
    #[error("{list}: {reason}")]
    List {
        /// The list.
        list: String,
        /// What is wrong, and how to mend it.
        reason: String,
    },

    // Transfer.
    /// No connection, or no answer.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why.
        reason: String,
    },
    /// The server answered with an error.
    #[error("{url}: the server answered {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The server's answer is not what its protocol says.
    #[error("{url}: {reason}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server has asked to come back later, as often as it was asked.
    #[error("{url}: the server answered {status} (too busy) {attempts} times; run the command again later")]
    Busy {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
        /// How often it was asked.
        attempts: u32,
    },
    /// Several attempts brought nothing more of a file.
    #[error(
        "{url}: the connection ended after {got} of {expected} bytes, and {attempts} attempts brought no more ({reason}); what came is kept in {}: run the command again, it goes on from there", partial.display()
    )]
    Interrupted {
        /// What was asked for.
        url: String,
        /// Bytes that came at best.
        got: u64,
        /// Bytes of the whole file.
        expected: u64,
        /// Attempts that brought no more.
        attempts: u32,
        /// How the last one ended.
        reason: String,
        /// Where the part is.
        partial: PathBuf,
    },
    /// The deadline has passed.
    #[error("{url}: the server takes too long; what has come is kept, run the command again")]
    TooSlow {
        /// What was asked for.
        url: String,
    },
    /// The file is not the one that was announced; nothing of it is kept.
    #[error(
        "{url}: the {algorithm} is {got}, expected {expected}; nothing of it was kept. Run the command again; if it happens again, the file was changed at its source or on the way"
    )]
    WrongHash {
        /// What was asked for.
        url: String,
        /// What was computed.
        algorithm: &'static str,
        /// The hash announced, in hex.
        expected: String,
        /// The hash of what came, in hex.
        got: String,
    },

    // The disk.
    /// The disk has no room for what would come.
    #[error("{} bytes are to come, but the disk of {} has {} free; make room, or set HF_HOME to another disk", needed, folder.display(), free)]
    NoSpace {
        /// Where they would be.
        folder: PathBuf,
        /// Bytes to come.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// A link or file where a folder of the cache is to be.
    #[error("{} is a link or a file where the cache needs a folder; move it away", path.display())]
    NoFolder {
        /// Its path.
        path: PathBuf,
    },
    /// What was recorded of a download cannot be read.
    #[error("{}: the record of a download {reason}; `memscope models fetch` writes it anew", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process downloads the same file.
    #[error("{} is being downloaded by another process; wait for it", path.display())]
    InUse {
        /// The partial file.
        path: PathBuf,
    },
    /// The file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificates named by `SSL_CERT_FILE` cannot be used.
    #[error("SSL_CERT_FILE {}: {reason}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The user asked to stop; what has come is kept.
    #[error("stopped; what has come is kept, the same command goes on from here")]
    Stopped,
}

/// Why a Hub model is not in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// Nobody has downloaded it.
    NotDownloaded,
    /// It was downloaded in part.
    Incomplete {
        /// A file that is missing.
        file: String,
    },
    /// The network may not be asked.
    Offline,
    /// The network does not answer.
    Unreachable {
        /// The Hub.
        endpoint: String,
        /// What went wrong.
        reason: String,
    },
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::NotDownloaded => f.write_str("it has not been downloaded"),
            Self::Incomplete { file } => write!(f, "{file} is missing there"),
            Self::Offline => f.write_str("it is not there whole, and HF_HUB_OFFLINE forbids to download it"),
            Self::Unreachable { endpoint, reason } => write!(f, "{endpoint} cannot be reached ({reason})"),
        }
    }
}
