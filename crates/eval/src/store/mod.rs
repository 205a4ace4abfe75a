//! Measured numbers of one model, kept across runs: append-only, safe against a crash at any moment.
//!
//! One line a record: `{"key":"…","values":[…],"check":"…"}`. A line that a crash cut short is dropped when the store is
//! opened; a damaged line is set aside with a warning, and its numbers are measured again; two records of one key that
//! differ are an error. A store may be spread over several files.

mod index;
mod key;
mod merge;
mod read;
mod record;
mod records;

use std::{
    borrow::Cow,
    collections::HashSet,
    fs::{self, File, OpenOptions, TryLockError},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub use self::key::{Key, RecordId};
pub(crate) use self::merge::{SHORTEST_LINE, StoreMerge};
use self::{read::Agreement, record::Entry, records::Records};
use crate::error::{Error, Result};

/// The store of one model.
pub struct MeasurementStore {
    records: Records,
    file: Option<Own>,
    last_sync: Instant,
}

/// The file that this process appends to.
struct Own {
    path: PathBuf,
    file: File,
    /// Its number among the files of the store.
    number: usize,
    bytes: u64,
}

/// At most this much measuring is lost to a power cut; a killed process loses only its last line.
const SYNC_EVERY: Duration = Duration::from_secs(2);

/// Files of one store in one folder, at most: one for each process that writes at the same time.
const MOST_FILES: usize = 254;

impl MeasurementStore {
    /// A store that is forgotten.
    pub fn in_memory() -> Self {
        Self { records: Records::default(), file: None, last_sync: Instant::now() }
    }

    /// Opens or creates the store of a model below `folder`, for this process alone.
    ///
    /// # Errors
    /// When another process writes to it, when the folder or the file cannot be read or written, and when two records of
    /// one key differ.
    pub fn open(folder: &Path, fingerprint: &str) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::write(folder))?;
        let path = path_of(folder, fingerprint, 0);
        match claim(&path)? {
            Some(file) => {
                let mut records = Records::default();
                read_parts(&mut records, folder, fingerprint, 1)?;
                Self::with_file(path, file, records, Agreement::Required)
            }
            None => Err(Error::StoreInUse { path }),
        }
    }

    /// The same for a folder that several processes may write to at once: each writes to a file of its own and knows what
    /// the others had stored when it began.
    ///
    /// # Errors
    /// When the folder or a file cannot be read or written, and when two records of one key differ.
    pub fn open_shared(folder: &Path, fingerprint: &str) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::write(folder))?;
        let mut mine = None;
        let mut others = Records::default();
        for number in 0..MOST_FILES {
            let path = path_of(folder, fingerprint, number);
            let exists = path.exists();
            if mine.is_none()
                && let Some(file) = claim(&path)?
            {
                mine = Some((path, file));
            } else if exists {
                read::read(&mut others, &path, Agreement::FirstCounts)?;
            }
            if mine.is_some() && !exists {
                break;
            }
        }
        match mine {
            Some((path, file)) => Self::with_file(path, file, others, Agreement::FirstCounts),
            None => Err(Error::StoreInUse { path: path_of(folder, fingerprint, 0) }),
        }
    }

    /// Opens or creates the store of a model below `folder`, for this process alone, over the records of another folder,
    /// which stays as it is.
    ///
    /// # Errors
    /// As [`MeasurementStore::open`].
    pub fn open_over(folder: &Path, base: &Path, fingerprint: &str) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::write(folder))?;
        let path = path_of(folder, fingerprint, 0);
        match claim(&path)? {
            Some(file) => {
                let mut records = Records::default();
                read_parts(&mut records, base, fingerprint, 0)?;
                Self::with_file(path, file, records, Agreement::FirstCounts)
            }
            None => Err(Error::StoreInUse { path }),
        }
    }

    /// The stored records of a model, without a claim to the files and without making them.
    ///
    /// # Errors
    /// When a file cannot be read, and when two records of one key differ.
    pub fn peek(folder: &Path, fingerprint: &str) -> Result<Self> {
        let mut records = Records::default();
        read_parts(&mut records, folder, fingerprint, 0)?;
        Ok(Self { records, ..Self::in_memory() })
    }

    fn with_file(path: PathBuf, mut file: File, mut records: Records, agreement: Agreement) -> Result<Self> {
        let mut part = read::read(&mut records, &path, agreement)?;
        if !part.damaged.is_empty() {
            // What was read stays to be read in the file as it was; only new records go to the other one.
            file = read::set_aside(&path, &part)?;
            let again = File::open(&path).map_err(Error::read(&path))?;
            part.complete = again.metadata().map_err(Error::read(&path))?.len();
            part.number = records.add_file(path.clone(), again);
        } else if part.complete < part.bytes {
            file.set_len(part.complete).map_err(Error::write(&path))?;
        }
        let own = Own { path, file, number: part.number, bytes: part.complete };
        Ok(Self { records, file: Some(own), last_sync: Instant::now() })
    }

    /// The numbers under a key.
    pub fn get(&self, key: &Key) -> Option<Cow<'_, [f64]>> {
        self.records.get(key)
    }

    /// Whether there are numbers under a key.
    pub fn contains(&self, key: &Key) -> bool {
        self.records.contains(key)
    }

    /// Whether the numbers of a record are there, all of them.
    pub fn holds(&self, key: &Key, count: Option<usize>) -> bool {
        count.map_or_else(|| self.records.contains(key), |count| self.records.has(key, count))
    }

    /// Appends records; on return they survive the end of this process.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&mut self, batch: Vec<(Key, Vec<f64>)>) -> Result<()> {
        let entries: Vec<Entry> = batch.into_iter().map(|(key, values)| Entry::Record(key, values)).collect();
        let places = self.write(&entries)?;
        for (i, entry) in entries.iter().enumerate() {
            if let Entry::Record(key, values) = entry {
                self.records.insert(*key, values, places.get(i).copied());
            }
        }
        Ok(())
    }

    /// Removes the records under these keys, where there are any, so that they are measured again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remove<'a>(&mut self, keys: impl IntoIterator<Item = &'a Key>) -> Result<()> {
        let known: HashSet<&Key> = keys.into_iter().filter(|key| self.records.contains(key)).collect();
        let entries: Vec<Entry> = known.into_iter().map(|key| Entry::Removal(*key)).collect();
        self.write(&entries)?;
        for entry in &entries {
            if let Entry::Removal(key) = entry {
                self.records.remove(key);
            }
        }
        Ok(())
    }

    /// Removes those of the records that hold another number of values than they should, with a warning.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn remove_misshapen(&mut self, records: &[RecordId]) -> Result<()> {
        let misshapen = |record: &RecordId| match record {
            RecordId::Numbers { key, count } if self.contains(key) && !self.holds(key, *count) => Some(*key),
            _ => None,
        };
        let keys: Vec<Key> = records.iter().filter_map(misshapen).collect();
        if !keys.is_empty() {
            tracing::warn!(
                "{} stored records do not have the number of values they should; measured again",
                keys.len()
            );
        }
        self.remove(&keys)
    }

    /// Writes lines; returns where each stands, nothing for a store without a file.
    fn write(&mut self, entries: &[Entry]) -> Result<Vec<(usize, u64)>> {
        let mut places = vec![];
        if let Some(Own { path, file, number, bytes }) = &mut self.file {
            let mut lines = String::new();
            for entry in entries {
                let line = entry.to_line().map_err(|e| Error::Write { path: path.clone(), source: e.into() })?;
                places.push((*number, *bytes + lines.len() as u64));
                lines.push_str(&line);
                lines.push('\n');
            }
            file.write_all(lines.as_bytes()).map_err(Error::write(&*path))?;
            *bytes += lines.len() as u64;
        }
        if self.last_sync.elapsed() > SYNC_EVERY {
            self.sync()?;
        }
        Ok(places)
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// When the disk reports that it is not.
    pub fn sync(&mut self) -> Result<()> {
        if let Some(Own { path, file, .. }) = &self.file {
            file.sync_data().map_err(Error::write(path))?;
        }
        self.last_sync = Instant::now();
        Ok(())
    }
}

/// The file that a model's store begins with.
pub(crate) fn store_file(folder: &Path, fingerprint: &str) -> PathBuf {
    path_of(folder, fingerprint, 0)
}

/// The `number`-th file of a model's store.
fn path_of(folder: &Path, fingerprint: &str, number: usize) -> PathBuf {
    let name = fingerprint.get(..16).unwrap_or(fingerprint);
    folder.join(if number == 0 { format!("{name}.jsonl") } else { format!("{name}.{number}.jsonl") })
}

/// Adds the records of a model's files from the `first` on.
fn read_parts(records: &mut Records, folder: &Path, fingerprint: &str, first: usize) -> Result<()> {
    for number in first..MOST_FILES {
        let path = path_of(folder, fingerprint, number);
        if !path.exists() {
            break;
        }
        read::read(records, &path, Agreement::FirstCounts)?;
    }
    Ok(())
}

/// Opens a file to append to, for this process alone; `None` where another has it.
fn claim(path: &Path) -> Result<Option<File>> {
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let source = std::io::Error::other("it is not a regular file");
        return Err(Error::Write { path: path.to_owned(), source });
    }
    let open = || OpenOptions::new().read(true).append(true).create(true).open(path).map_err(Error::write(path));
    let mut file = open()?;
    loop {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            // Some network file systems have no locks; a single run on them is safe.
            Err(TryLockError::Error(error)) => {
                tracing::debug!("cannot lock {}: {error}", path.display());
                return Ok(Some(file));
            }
        }
        // Another process may have put a new file in its place in between.
        if is_at(&file, path) {
            return Ok(Some(file));
        }
        file = open()?;
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => place(open) == place(named),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests;
