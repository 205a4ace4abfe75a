//! Names of stored records.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Changes whenever the meaning of a stored value does.
const VERSION: &str = "memscope-answers-1";

/// Names the numbers of one record: a hash of everything that determines them, and of nothing else, so that experiments
/// share what they have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key(String);

impl Key {
    /// SHA-256, cut to 128 bits, over the parts with their lengths.
    pub fn new(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in [VERSION].iter().chain(parts) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize()[..16].iter().map(|b| format!("{b:02x}")).collect())
    }

    /// The key as 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A record that a unit of work makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordId {
    /// Numbers in the measurement store.
    Numbers {
        /// Their key.
        key: Key,
        /// How many there are; `None` where that is known only after the prompt has been cut into tokens.
        count: Option<usize>,
    },
    /// A picture on disk; its name holds what determines it.
    Picture(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_depend_on_where_parts_end() {
        assert_ne!(Key::new(&["ab", "c"]), Key::new(&["a", "bc"]));
    }
}
