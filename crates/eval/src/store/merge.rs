//! Adds the records of other stores to a store, in little memory: of each record its key and a hash of its numbers.

use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{
    Key, MOST_FILES, claim, path_of,
    read::{Part, each_line, set_aside},
    record::Entry,
};
use crate::error::{Error, Result};

/// Bytes of a line at least.
pub(crate) const SHORTEST_LINE: u64 = 60;

/// A store that records are to be added to. What is added waits in a temporary file until everything has been checked.
pub(crate) struct StoreMerge {
    /// What the numbers of each known key are.
    known: HashMap<Key, u64>,
    waiting: CheckedMerge,
}

/// A store with checked records that are not in it yet.
pub(crate) struct CheckedMerge {
    path: PathBuf,
    file: File,
    new: BufWriter<File>,
    count: usize,
}

impl StoreMerge {
    /// Opens or creates the store of a model, for this process alone; about `expected` records are to come.
    ///
    /// # Errors
    /// As [`MeasurementStore::open`](super::MeasurementStore::open).
    pub(crate) fn open(folder: &Path, fingerprint: &str, expected: usize) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::write(folder))?;
        let path = path_of(folder, fingerprint, 0);
        let Some(file) = claim(&path)? else { return Err(Error::StoreInUse { path }) };
        let bytes = file.metadata().map_err(Error::read(&path))?.len();
        let mut known = HashMap::with_capacity(expected + (bytes / SHORTEST_LINE) as usize / 2);
        let mut part = Part::default();
        each_record(&path, Some(&mut part), |key, numbers, _, number| check(&mut known, key, numbers, &path, number))?;
        let file = match part.damaged.is_empty() {
            true if part.complete < part.bytes => {
                file.set_len(part.complete).map_err(Error::write(&path))?;
                file
            }
            true => file,
            false => set_aside(&path, &part)?,
        };
        for other in (1..MOST_FILES).map(|number| path_of(folder, fingerprint, number)) {
            if !other.exists() {
                break;
            }
            // As everywhere, what the first file says counts.
            each_record(&other, Some(&mut Part::default()), |key, numbers, _, _| {
                known.entry(key).or_insert(numbers);
                Ok(false)
            })?;
        }
        let new = tempfile::tempfile_in(folder).map_err(Error::write(folder))?;
        let new = BufWriter::with_capacity(1 << 20, new);
        Ok(Self { known, waiting: CheckedMerge { path, file, new, count: 0 } })
    }

    /// Adds the records of a store, which must hold nothing else, and returns how many there are.
    ///
    /// # Errors
    /// When it is damaged, contradicts what is known, or cannot be read.
    pub(crate) fn add(&mut self, path: &Path) -> Result<usize> {
        let Self { known, waiting } = self;
        let mut count = 0;
        each_record(path, None, |key, numbers, line, number| {
            count += 1;
            if check(known, key, numbers, path, number)? {
                waiting.new.write_all(line).map_err(Error::write(&waiting.path))?;
                waiting.count += 1;
            }
            Ok(true)
        })?;
        Ok(count)
    }

    /// All records are there: the known ones are forgotten.
    ///
    /// # Errors
    /// When the new records cannot be written.
    pub(crate) fn checked(mut self) -> Result<CheckedMerge> {
        self.waiting.new.flush().map_err(Error::write(&self.waiting.path))?;
        Ok(self.waiting)
    }
}

impl CheckedMerge {
    /// Appends the new records to the store, and returns how many there are. Killed on the way, the same merge goes on.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn commit(self) -> Result<usize> {
        let Self { path, mut file, new, count } = self;
        let append = || -> io::Result<()> {
            let mut new = new.into_inner().map_err(io::IntoInnerError::into_error)?;
            new.seek(SeekFrom::Start(0))?;
            io::copy(&mut new, &mut file)?;
            file.sync_data()
        };
        append().map_err(Error::write(&path))?;
        Ok(count)
    }
}

/// Remembers a record, and whether it is new; one that is known must have the same numbers.
fn check(known: &mut HashMap<Key, u64>, key: Key, numbers: u64, path: &Path, line: usize) -> Result<bool> {
    match known.entry(key) {
        Slot::Vacant(slot) => {
            slot.insert(numbers);
            Ok(true)
        }
        Slot::Occupied(slot) if *slot.get() == numbers => Ok(false),
        Slot::Occupied(slot) => Err(Error::ConflictingRecords {
            path: path.to_owned(),
            place: format!(", line {line}"),
            key: slot.key().to_string(),
        }),
    }
}

fn hash(values: &[f64]) -> u64 {
    let mut hash = DefaultHasher::new();
    values.iter().for_each(|value| value.to_bits().hash(&mut hash));
    hash.finish()
}

/// Shows every record of a file that counts, with a hash of its numbers, its line and the line's number. Damaged lines and
/// a cut end go to `part`; without one they are errors.
fn each_record(
    path: &Path,
    mut part: Option<&mut Part>,
    mut each: impl FnMut(Key, u64, &[u8], usize) -> Result<bool>,
) -> Result<()> {
    let open = || File::open(path).map_err(Error::read(path));
    let removals = removals(path, open()?)?;
    let mut number = 0;
    each_line(path, open()?, |line| {
        number += 1;
        let is_whole = line.last() == Some(&b'\n');
        if let Some(part) = &mut part {
            part.bytes += line.len() as u64;
            part.complete += if is_whole { line.len() as u64 } else { 0 };
        }
        let entry = if is_whole { Entry::parse(line) } else { Err("it is cut short".into()) };
        match (entry, &mut part) {
            (Ok(Entry::Record(key, _)), _) if removals.get(&key).is_some_and(|at| *at > number) => Ok(()),
            (Ok(Entry::Record(key, values)), _) => each(key, hash(&values), line, number).map(|_| ()),
            (Ok(Entry::Removal(_)), _) => Ok(()),
            (Err(_), Some(_)) if !is_whole => Ok(()),
            (Err(reason), Some(part)) => {
                part.damaged.push((number, line.to_vec(), reason));
                Ok(())
            }
            (Err(reason), None) => {
                let reason = format!("line {number}: {reason}");
                Err(Error::DamagedStore { path: path.to_owned(), reason })
            }
        }
    })
}

/// The lines of the last removal of each key that was removed.
fn removals(path: &Path, file: File) -> Result<HashMap<Key, usize>> {
    const MARK: &[u8] = b"\"removed\":true";
    let mut last = HashMap::new();
    let mut number = 0;
    each_line(path, file, |line| {
        number += 1;
        if line.windows(MARK.len()).any(|window| window == MARK)
            && let Ok(Entry::Removal(key)) = Entry::parse(line)
        {
            last.insert(key, number);
        }
        Ok(())
    })?;
    Ok(last)
}
