//! Reading the files of a store.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, ErrorKind, Write},
    path::{Path, PathBuf},
};

use super::record::Entry;
use crate::{
    error::{Error, Result},
    plan::Key,
};

/// Longest line that is read: a record of 10⁶ numbers.
const LONGEST_LINE: usize = 32 << 20;

/// The records of all files read so far.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) records: HashMap<Key, Vec<f64>>,
}

/// What is done about records of one key in different files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreement {
    /// They must be equal: the files are parts of one run.
    Required,
    /// The one read first counts: other batches of prompts round differently.
    FirstCounts,
}

/// One file of them.
#[derive(Default)]
pub(super) struct Part {
    /// Bytes of complete lines.
    pub(super) complete: u64,
    /// All bytes.
    pub(super) bytes: u64,
    /// Complete lines that cannot be used: number from 1, text, reason.
    pub(super) damaged: Vec<(usize, Vec<u8>, String)>,
}

impl Contents {
    /// Adds the records of a file; a file that is not there has none. Removals count within their file.
    pub(super) fn read(&mut self, path: &Path, agreement: Agreement) -> Result<Part> {
        let mut part = Part::default();
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(part),
            Err(error) => return Err(Error::read(path)(error)),
        };
        let mut own: HashMap<Key, Vec<f64>> = HashMap::new();
        let mut number = 0;
        each_line(path, file, |line| {
            number += 1;
            part.bytes += line.len() as u64;
            if line.last() != Some(&b'\n') {
                // The end of a line that a crash cut short.
                return Ok(());
            }
            part.complete += line.len() as u64;
            match Entry::parse(line) {
                Ok(Entry::Record(key, values)) => insert(&mut own, key, values, path, number),
                Ok(Entry::Removal(key)) => {
                    own.remove(&key);
                    Ok(())
                }
                Err(reason) => {
                    part.damaged.push((number, line.to_vec(), reason));
                    Ok(())
                }
            }
        })?;
        for (key, values) in own {
            match agreement {
                Agreement::Required => insert(&mut self.records, key, values, path, 0)?,
                Agreement::FirstCounts => {
                    self.records.entry(key).or_insert(values);
                }
            }
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
}

/// Adds a record; two of one key must agree to the last bit. `line` is 0 where they stand in different files.
fn insert(records: &mut HashMap<Key, Vec<f64>>, key: Key, values: Vec<f64>, path: &Path, line: usize) -> Result<()> {
    let same = |known: &[f64]| known.iter().map(|v| v.to_bits()).eq(values.iter().map(|v| v.to_bits()));
    match records.get(&key) {
        Some(known) if !same(known) => {
            let place = if line > 0 { format!(", line {line}") } else { String::new() };
            Err(Error::ConflictingRecords { path: path.to_owned(), place, key: key.as_str().to_owned() })
        }
        Some(_) => Ok(()),
        None => {
            records.insert(key, values);
            Ok(())
        }
    }
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
