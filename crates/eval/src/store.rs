//! Measured numbers of one model, kept across runs: append-only, safe against a crash at any moment.
//!
//! One line a record: `{"key":"…","values":[…]}`. The key is a hash of everything that determines the
//! values and of nothing else, so that experiments share what they have in common. A line that a crash
//! cut short is dropped when the store is opened.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Changes whenever the meaning of a stored value does.
const VERSION: &str = "memscope-answers-1";

/// Identifies the values of one measure for one prompt under one noise.
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
}

#[derive(Serialize, Deserialize)]
struct Record {
    key: Key,
    values: Vec<f64>,
}

/// The store of one model.
pub struct ScoreStore {
    records: HashMap<Key, Vec<f64>>,
    file: Option<(PathBuf, File)>,
    last_sync: Instant,
}

/// At most this much measuring is lost to a power cut; a killed process loses only its last line.
const SYNC_EVERY: Duration = Duration::from_secs(2);

impl ScoreStore {
    /// A store that is forgotten.
    pub fn in_memory() -> Self {
        Self { records: HashMap::new(), file: None, last_sync: Instant::now() }
    }

    /// Opens or creates the store of a model below `folder`, alone.
    pub fn open(folder: &Path, fingerprint: &str) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::write(folder))?;
        let path = path_of(folder, fingerprint);
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(Error::write(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::StoreInUse { path }),
            // Some network file systems have no locks; a single run on them is safe.
            Err(TryLockError::Error(error)) => tracing::debug!("cannot lock {}: {error}", path.display()),
        }
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).map_err(Error::read(&path))?;
        let (records, complete) = parse(&path, &bytes)?;
        if complete < bytes.len() {
            file.set_len(complete as u64).map_err(Error::write(&path))?;
        }
        Ok(Self { records, file: Some((path, file)), last_sync: Instant::now() })
    }

    /// The stored answers of a model, without a claim to the file and without making it.
    pub fn peek(folder: &Path, fingerprint: &str) -> Result<Self> {
        let path = path_of(folder, fingerprint);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            // A results folder that cannot be made is told of when it is made.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Self::in_memory());
            }
            Err(error) => return Err(Error::read(&path)(error)),
        };
        Ok(Self { records: parse(&path, &bytes)?.0, ..Self::in_memory() })
    }

    /// The values under a key.
    pub fn get(&self, key: &Key) -> Option<&[f64]> {
        self.records.get(key).map(Vec::as_slice)
    }

    /// Appends a batch of records; on return they survive the end of this process.
    pub fn append(&mut self, batch: Vec<(Key, Vec<f64>)>) -> Result<()> {
        if let Some((path, file)) = &mut self.file {
            let mut lines = String::new();
            for (key, values) in &batch {
                let record = Record { key: key.clone(), values: values.clone() };
                let line = serde_json::to_string(&record)
                    .map_err(|e| Error::Write { path: path.clone(), source: e.into() })?;
                lines.push_str(&line);
                lines.push('\n');
            }
            file.write_all(lines.as_bytes()).map_err(Error::write(&*path))?;
        }
        self.records.extend(batch);
        if self.last_sync.elapsed() > SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    /// Waits until everything is on the disk.
    pub fn sync(&mut self) -> Result<()> {
        if let Some((path, file)) = &self.file {
            file.sync_data().map_err(Error::write(path))?;
        }
        self.last_sync = Instant::now();
        Ok(())
    }

    /// Forgets the records under these keys, so that they are measured again. The file keeps them until
    /// newer records follow; of two records the later one counts.
    pub fn forget<'a>(&mut self, keys: impl Iterator<Item = &'a Key>) {
        for key in keys {
            self.records.remove(key);
        }
    }
}

fn path_of(folder: &Path, fingerprint: &str) -> PathBuf {
    folder.join(format!("{}.jsonl", &fingerprint[..fingerprint.len().min(16)]))
}

/// The records and the number of bytes of complete lines.
fn parse(path: &Path, bytes: &[u8]) -> Result<(HashMap<Key, Vec<f64>>, usize)> {
    let mut records = HashMap::new();
    let mut complete = 0;
    for (i, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        let whole = line.last() == Some(&b'\n');
        match serde_json::from_slice::<Record>(line) {
            Ok(record) if whole => {
                records.insert(record.key, record.values);
                complete += line.len();
            }
            // Only the last line can be cut short.
            _ if complete + line.len() == bytes.len() => break,
            Ok(_) => break,
            Err(error) => {
                return Err(Error::DamagedStore { path: path.to_owned(), line: i + 1, reason: error.to_string() });
            }
        }
    }
    Ok((records, complete))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(i: usize) -> (Key, Vec<f64>) {
        (Key::new(&["model", &i.to_string()]), vec![i as f64, 1.0 / 3.0, -0.0, 1e-300])
    }

    #[test]
    fn values_come_back_to_the_last_bit_and_a_cut_line_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = ScoreStore::open(folder.path(), "abc").unwrap();
        store.append(vec![record(1), record(2)]).unwrap();
        drop(store);
        let path = folder.path().join("abc.jsonl");
        let whole = fs::read(&path).unwrap();
        // A crash may cut the file anywhere.
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let mut store = ScoreStore::open(folder.path(), "abc").unwrap();
            for i in [1, 2] {
                let (key, values) = record(i);
                assert!(store.get(&key).is_none_or(|v| v.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits())));
                if store.get(&key).is_none() {
                    store.append(vec![record(i)]).unwrap();
                }
            }
            drop(store);
            assert_eq!(fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn damage_in_the_middle_is_an_error_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = ScoreStore::open(folder.path(), "abc").unwrap();
        store.append(vec![record(1), record(2)]).unwrap();
        drop(store);
        let path = folder.path().join("abc.jsonl");
        let mut bytes = fs::read(&path).unwrap();
        bytes[3] = b'#';
        fs::write(&path, bytes).unwrap();
        assert!(matches!(ScoreStore::open(folder.path(), "abc"), Err(Error::DamagedStore { line: 1, .. })));
    }

    #[test]
    fn two_runs_do_not_share_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let _first = ScoreStore::open(folder.path(), "abc").unwrap();
        assert!(matches!(ScoreStore::open(folder.path(), "abc"), Err(Error::StoreInUse { .. })));
    }

    #[test]
    fn forgotten_records_are_measured_again_and_the_later_one_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = ScoreStore::open(folder.path(), "abc").unwrap();
        let (key, _) = record(1);
        store.append(vec![record(1), record(2)]).unwrap();
        store.forget([&key].into_iter());
        assert_eq!(store.get(&key), None);
        store.append(vec![(key.clone(), vec![7.0])]).unwrap();
        drop(store);
        assert_eq!(ScoreStore::open(folder.path(), "abc").unwrap().get(&key), Some([7.0].as_slice()));
    }

    #[test]
    fn keys_depend_on_where_parts_end() {
        assert_ne!(Key::new(&["ab", "c"]), Key::new(&["a", "bc"]));
    }
}
