//! Reading the files of a store.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, ErrorKind, Write},
    path::{Path, PathBuf},
};

use super::{Key, record::Entry, records::Records};
use crate::error::{Error, Result};

/// Longest line that is read: a record of 10⁶ numbers.
const LONGEST_LINE: usize = 32 << 20;

/// Bytes of damaged lines that are set aside at most.
const MOST_DAMAGED: usize = 64 << 20;

/// What is done about records of one key in different files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreement {
    /// They must be equal: the files are parts of one run.
    Required,
    /// The one read first counts: other batches of prompts round differently.
    FirstCounts,
}

/// One file of a store.
#[derive(Default)]
pub(super) struct Part {
    /// Its number among the files that were read.
    pub(super) number: usize,
    /// Bytes of complete lines.
    pub(super) complete: u64,
    /// All bytes.
    pub(super) bytes: u64,
    /// Complete lines that cannot be used: number from 1, text, reason.
    pub(super) damaged: Vec<(usize, Vec<u8>, String)>,
}

/// Adds the records of a file that are not known yet; a file that is not there has none. Removals count within their file.
///
/// # Errors
/// When the file cannot be read, is no store, holds two records of one key that differ, or one that differs from a known
/// one where they must agree.
pub(super) fn read(records: &mut Records, path: &Path, agreement: Agreement) -> Result<Part> {
    let mut part = Part::default();
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let reason = "it is not a regular file".to_owned();
        return Err(Error::DamagedStore { path: path.to_owned(), reason });
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(part),
        Err(error) => return Err(Error::read(path)(error)),
    };
    let number = records.add_file(path.to_owned(), file.try_clone().map_err(Error::read(path))?);
    part.number = number;
    let (mut line_number, mut damaged_bytes) = (0, 0);
    // Where other files were read before: the keys that this one brings, and those of them whose records it repeats, with
    // whether they agree.
    let has_others = number > 0;
    let mut own: HashSet<Key> = HashSet::new();
    let mut repeated: HashMap<Key, bool> = HashMap::new();
    each_line(path, file, |line| {
        line_number += 1;
        let start = part.bytes;
        part.bytes += line.len() as u64;
        if line.last() != Some(&b'\n') {
            // The end of a line that a crash cut short.
            return Ok(());
        }
        part.complete += line.len() as u64;
        match Entry::parse(line) {
            Ok(Entry::Record(key, values)) => {
                let of_another = has_others && !own.contains(&key) && records.contains(&key);
                match (of_another, agreement) {
                    (true, Agreement::FirstCounts) => return Ok(()),
                    (true, Agreement::Required) => {
                        repeated.insert(key, agree(records, &key, &values));
                        return Ok(());
                    }
                    (false, _) if records.contains(&key) => {
                        let agree = agree(records, &key, &values);
                        return if agree { Ok(()) } else { Err(conflict(&key, path, line_number)) };
                    }
                    (false, _) => {}
                }
                if has_others {
                    own.insert(key);
                }
                records.insert(key, &values, Some((number, start)));
                Ok(())
            }
            Ok(Entry::Removal(key)) => {
                repeated.remove(&key);
                if !has_others || own.remove(&key) {
                    records.remove(&key);
                }
                Ok(())
            }
            Err(reason) => {
                damaged_bytes += line.len();
                if damaged_bytes > MOST_DAMAGED {
                    let reason = "most of it is no record; it is no store of memscope".to_owned();
                    return Err(Error::DamagedStore { path: path.to_owned(), reason });
                }
                part.damaged.push((line_number, line.to_vec(), reason));
                Ok(())
            }
        }
    })?;
    if let Some((key, _)) = repeated.iter().find(|(_, agrees)| !**agrees) {
        return Err(conflict(key, path, 0));
    }
    for (number, _, reason) in part.damaged.iter().take(3) {
        let path = path.display();
        tracing::warn!("{path}, line {number}: {reason}; it is set aside, and its numbers are measured again");
    }
    if let more @ 1.. = part.damaged.len().saturating_sub(3) {
        tracing::warn!("{}: so are {more} further lines", path.display());
    }
    Ok(part)
}

/// Whether a record agrees with the known one to the last bit.
fn agree(records: &Records, key: &Key, values: &[f64]) -> bool {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    records.get(key).is_some_and(|known| bits(&known) == bits(values))
}

/// Two records of one key that differ. `line` is 0 where they stand in different files.
fn conflict(key: &Key, path: &Path, line: usize) -> Error {
    let place = if line > 0 { format!(", line {line}") } else { String::new() };
    Error::ConflictingRecords { path: path.to_owned(), place, key: key.to_string() }
}

/// Calls `each` with every line, its line end included, in bounded memory.
pub(super) fn each_line(path: &Path, file: File, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut line = vec![];
    loop {
        let buffer = reader.fill_buf().map_err(Error::read(path))?;
        if buffer.is_empty() {
            return if line.is_empty() { Ok(()) } else { each(&line) };
        }
        let end = buffer.iter().position(|b| *b == b'\n').map_or(buffer.len(), |at| at + 1);
        line.extend_from_slice(&buffer[..end]);
        reader.consume(end);
        if line.len() > LONGEST_LINE {
            let reason = "a line is longer than any record; it is no store of memscope".to_owned();
            return Err(Error::DamagedStore { path: path.to_owned(), reason });
        }
        if line.last() == Some(&b'\n') {
            each(&line)?;
            line.clear();
        }
    }
}

/// Moves the damaged lines of a file to `NAME.damaged` beside it, and puts a file without them in its place, locked.
pub(super) fn set_aside(path: &Path, part: &Part) -> Result<File> {
    let aside = with_ending(path, "damaged");
    let mut damaged = OpenOptions::new().append(true).create(true).open(&aside).map_err(Error::write(&aside))?;
    for (_, line, _) in &part.damaged {
        damaged.write_all(line).map_err(Error::write(&aside))?;
    }
    damaged.sync_data().map_err(Error::write(&aside))?;

    let repaired = with_ending(path, "repaired");
    let mut file = File::create(&repaired).map_err(Error::write(&repaired))?;
    let mut number = 0;
    each_line(path, File::open(path).map_err(Error::read(path))?, |line| {
        number += 1;
        let whole = line.last() == Some(&b'\n');
        let keep = whole && part.damaged.binary_search_by_key(&number, |(n, ..)| *n).is_err();
        if keep { file.write_all(line).map_err(Error::write(&repaired)) } else { Ok(()) }
    })?;
    file.sync_data().map_err(Error::write(&repaired))?;
    drop(file);
    let file = OpenOptions::new().read(true).append(true).open(&repaired).map_err(Error::write(&repaired))?;
    if let Err(error) = file.try_lock() {
        tracing::debug!("cannot lock {}: {error}", repaired.display());
    }
    fs::rename(&repaired, path).map_err(Error::write(path))?;
    Ok(file)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
