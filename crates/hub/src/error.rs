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
    /// The connection ended too early, several times.
    #[error(
        "{url}: the connection ended after {got} of {expected} bytes; run the command again, it goes on from there"
    )]
    Interrupted {
        /// What was asked for.
        url: String,
        /// Bytes that are kept.
        got: u64,
        /// Bytes of the whole file.
        expected: u64,
    },
    /// The file is not the one that was announced; nothing of it is kept.
    #[error(
        "{url}: the SHA-256 is {got}, expected {expected}; nothing of it was kept. Run the command again; if it happens again, the file was changed at its source or on the way"
    )]
    WrongHash {
        /// What was asked for.
        url: String,
        /// SHA-256 announced, in hex.
        expected: String,
        /// SHA-256 of what came, in hex.
        got: String,
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
