//! The records of a store: where each stands in its file, and the numbers of some, so that what is held of a record is some
//! tens of bytes however many numbers it has.

use std::{borrow::Cow, collections::HashMap, fs::File, io, path::PathBuf};

use super::{
    Key,
    index::{Index, NO_FILE, Place},
    record::Entry,
};

/// Numbers that are held at most, 256 KiB; others are read again from their file.
const HELD: usize = 1 << 15;

/// Longest record that is read in one piece.
const PIECE: usize = 4096;

/// Numbers by key.
#[derive(Default)]
pub(super) struct Records {
    places: Index,
    held: HashMap<Key, Box<[f64]>>,
    held_numbers: usize,
    files: Vec<(PathBuf, File)>,
}

impl Records {
    /// Adds a file to read records from; returns its number.
    pub(super) fn add_file(&mut self, path: PathBuf, file: File) -> usize {
        self.files.push((path, file));
        self.files.len() - 1
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.places.get(key).is_some()
    }

    /// Whether a record has so many numbers.
    pub(super) fn has(&self, key: &Key, count: usize) -> bool {
        match self.places.get(key).map(Place::count) {
            None => false,
            Some(Some(known)) => known == count,
            Some(None) => self.get(key).is_some_and(|values| values.len() == count),
        }
    }

    /// The numbers of a record. One that cannot be read back from its file is not there, with a warning.
    pub(super) fn get(&self, key: &Key) -> Option<Cow<'_, [f64]>> {
        if let Some(values) = self.held.get(key) {
            return Some(Cow::Borrowed(values));
        }
        let place = self.places.get(key)?;
        let (path, file) = self.files.get(place.file())?;
        match line_at(file, place.start()).map(|line| Entry::parse(&line)) {
            Ok(Ok(Entry::Record(found, values))) if found == *key => Some(Cow::Owned(values)),
            _ => {
                tracing::warn!("{} was changed while it was in use: the record of {key} is gone", path.display());
                None
            }
        }
    }

    /// Adds a record, in the place of one of the same key: it stands in the `file`-th file from `start` on, or in no file.
    pub(super) fn insert(&mut self, key: Key, values: &[f64], at: Option<(usize, u64)>) {
        self.remove(&key);
        let (file, start) = at.unwrap_or((NO_FILE, 0));
        self.places.insert(&key, Place::new(file, start, values.len()));
        if at.is_none() || self.held_numbers + values.len() <= HELD {
            self.held_numbers += values.len();
            self.held.insert(key, values.into());
        }
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.places.remove(key);
        if let Some(values) = self.held.remove(key) {
            self.held_numbers -= values.len();
        }
    }
}

/// The line that starts at a position of a file, without its end.
fn line_at(file: &File, start: u64) -> io::Result<Vec<u8>> {
    let mut line = vec![];
    loop {
        let read = line.len();
        line.resize(read + PIECE, 0);
        let count = read_at(file, &mut line[read..], start + read as u64)?;
        line.truncate(read + count);
        if let Some(end) = line[read..].iter().position(|byte| *byte == b'\n') {
            line.truncate(read + end);
            return Ok(line);
        }
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], start: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, start)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], start: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, start)
}
