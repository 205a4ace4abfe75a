//! Content hashes as the Hub announces them.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The hash that the content of a file must have: git's for small files, SHA-256 for those in large-file storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentHash {
    /// SHA-1 of `blob LENGTH\0` and the content (git's object id), in hex.
    GitSha1(String),
    /// SHA-256 of the content, in hex.
    Sha256(String),
}

impl ContentHash {
    /// 40 hexadecimal digits are git's hash, 64 are SHA-256; anything else is no hash.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| text.to_ascii_lowercase())?;
        match digits.len() {
            40 => Some(Self::GitSha1(digits)),
            64 => Some(Self::Sha256(digits)),
            _ => None,
        }
    }

    /// The digits; the name of the blob in the Hub cache.
    pub fn digits(&self) -> &str {
        match self {
            Self::GitSha1(digits) | Self::Sha256(digits) => digits,
        }
    }

    /// What is computed.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::GitSha1(_) => "git SHA-1",
            Self::Sha256(_) => "SHA-256",
        }
    }

    /// Begins to hash a content of that many bytes.
    pub(crate) fn hasher(&self, size: u64) -> Hasher {
        match self {
            Self::GitSha1(_) => {
                let mut hasher = Sha1::new();
                hasher.update(format!("blob {size}\0"));
                Hasher::GitSha1(hasher)
            }
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
        }
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.digits())
    }
}

/// A hash under way.
#[derive(Clone)]
pub(crate) enum Hasher {
    GitSha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::GitSha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    /// The hash of what has come so far, in hex.
    pub(crate) fn digits(&self) -> String {
        match self.clone() {
            Self::GitSha1(hasher) => hex(&hasher.finalize()),
            Self::Sha256(hasher) => hex(&hasher.finalize()),
        }
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `git hash-object` and `sha256sum` of "hello\n".
    #[test]
    fn the_hashes_are_those_of_git_and_sha256sum() {
        for digits in [
            "ce013625030ba8dba906f756967f9e9ca394464a",
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        ] {
            let hash = ContentHash::parse(digits).unwrap();
            let mut hasher = hash.hasher(6);
            hasher.update(b"hel");
            hasher.update(b"lo\n");
            assert_eq!(hasher.digits(), hash.digits());
        }
        for wrong in ["", "main", "../x", &"g".repeat(40), &"a".repeat(41)] {
            assert_eq!(ContentHash::parse(wrong), None);
        }
    }
}
