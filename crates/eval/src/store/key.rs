//! Names of stored records.

use std::{borrow::Cow, fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// Changes whenever the meaning of a stored value does.
const VERSION: &str = "memscope-answers-1";

/// Names the numbers of one record: a hash of everything that determines them, and of nothing else, so that experiments
/// share what they have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 16]);

impl Key {
    /// SHA-256, cut to 128 bits, over the parts with their lengths.
    pub fn new(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in [VERSION].iter().chain(parts) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }

    pub(super) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Key {
    type Err = &'static str;

    /// Reads 32 hexadecimal digits, in lower case as they are written.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a key has 32 hexadecimal digits";
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(WRONG),
        };
        let mut key = [0; 16];
        if text.len() != 2 * key.len() {
            return Err(WRONG);
        }
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(digits[0])? << 4 | digit(digits[1])?;
        }
        Ok(Self(key))
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Cow<str>>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
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
    /// A .safetensors file; its name holds what determines it.
    Tensors(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_depend_on_where_parts_end() {
        assert_ne!(Key::new(&["ab", "c"]), Key::new(&["a", "bc"]));
    }

    #[test]
    fn keys_are_written_as_digits() {
        let key = Key::new(&["model"]);
        assert_eq!(key.to_string().parse(), Ok(key));
        for wrong in [
            "",
            "00112233445566778899aabbccddeef",
            "00112233445566778899AABBCCDDEEFF",
            "é0112233445566778899aabbccddeef",
        ] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong}");
        }
    }
}
