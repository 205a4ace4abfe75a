//! One line of a store.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Key;

/// A line as it is written. Lines of earlier versions have no `check`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: Key,
    values: Vec<f64>,
    /// This record and all earlier ones of its key no longer count.
    #[serde(default, skip_serializing_if = "is_false")]
    removed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check: Option<String>,
}

// The form that serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// What a line says.
#[derive(Debug, PartialEq)]
pub(super) enum Entry {
    /// The numbers of a key.
    Record(Key, Vec<f64>),
    /// What was stored under a key before is to be measured again.
    Removal(Key),
}

impl Entry {
    /// The line without its line end.
    pub(super) fn to_line(&self) -> serde_json::Result<String> {
        let (key, values, removed) = match self {
            Self::Record(key, values) => (*key, values.clone(), false),
            Self::Removal(key) => (*key, vec![], true),
        };
        let check = Some(checksum(&key, &values, removed));
        serde_json::to_string(&Line { key, values, removed, check })
    }

    /// Reads a line; the reason where it is damaged.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let line: Line = serde_json::from_slice(line).map_err(|_| "it is no record".to_owned())?;
        let given = line.check.as_deref();
        if given.is_some_and(|given| given != checksum(&line.key, &line.values, line.removed)) {
            return Err("its checksum does not match".into());
        }
        if line.values.iter().any(|value| !value.is_finite()) {
            return Err("its numbers are no valid ones".into());
        }
        Ok(if line.removed { Self::Removal(line.key) } else { Self::Record(line.key, line.values) })
    }
}

/// The first 64 bits of SHA-256 over the key, the numbers' bits, and whether the line removes a record.
fn checksum(key: &Key, values: &[f64], removed: bool) -> String {
    let mut hash = Sha256::new();
    hash.update(key.to_string());
    hash.update([u8::from(removed)]);
    values.iter().for_each(|value| hash.update(value.to_bits().to_le_bytes()));
    hash.finalize()[..8].iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_any_changed_character_is_noticed() {
        let entry = Entry::Record(Key::new(&["model"]), vec![1.5, -0.25, 1.0 / 3.0, 1e-300]);
        let line = entry.to_line().unwrap();
        assert_eq!(Entry::parse(line.as_bytes()).unwrap(), entry);
        for i in 0..line.len() {
            for wrong in [b'7', b'-', b'#', b' '] {
                let mut bytes = line.clone().into_bytes();
                if bytes[i] == wrong {
                    continue;
                }
                bytes[i] = wrong;
                // A blank beside a comma says the same; everything else is damage.
                assert!(Entry::parse(&bytes).is_err(), "{}", String::from_utf8_lossy(&bytes));
            }
        }
    }

    #[test]
    fn a_line_of_an_earlier_version_has_no_checksum() {
        let key = Key::new(&["model"]);
        let line = format!("{{\"key\":\"{key}\",\"values\":[1.0,2.5]}}");
        assert_eq!(Entry::parse(line.as_bytes()).unwrap(), Entry::Record(key, vec![1.0, 2.5]));
    }
}
