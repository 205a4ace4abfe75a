//! The zip archive around a pickle and its storages: where each entry lies, nothing unpacked.

use std::{
    collections::HashMap,
    io::{BufReader, Seek},
};

use zip::{CompressionMethod, ZipArchive};

use super::{
    error::{Result, TorchFileError, printable},
    source::{Source, Stream},
};

/// Most entries of an archive. The largest published text-to-image models have a few thousand.
const MAX_ENTRIES: usize = 100_000;
/// Most bytes of a pickle. Real ones have a few hundred kilobytes.
const MAX_PICKLE: u64 = 8 << 20;
/// Most bytes of an entry's name.
const MAX_NAME: usize = 1024;

/// Where an entry's bytes lie.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u64,
    length: u64,
    is_stored: bool,
}

/// A PyTorch archive: `ROOT/data.pkl` and `ROOT/data/N`.
#[derive(Debug)]
pub(super) struct Archive {
    source: Source,
    root: String,
    entries: HashMap<String, Entry>,
}

impl Archive {
    /// Reads the directory of the archive and checks it.
    pub(super) fn open(source: Source) -> Result<Self> {
        let entries = read_directory(&source)?;
        check_overlaps(&entries)?;
        let mut roots = entries.keys().filter_map(|name| name.strip_suffix("/data.pkl")).filter(|r| !r.contains('/'));
        let root = roots.next().map(str::to_owned);
        let (Some(root), None) = (root, roots.next()) else {
            return Err(not_an_archive("it must have exactly one NAME/data.pkl"));
        };
        let archive = Self { source, root, entries };
        if archive.small_entry("byteorder")?.is_some_and(|order| order == b"big") {
            return Err(TorchFileError::BigEndian);
        }
        Ok(archive)
    }

    /// Bytes of the whole file.
    pub(super) fn length(&self) -> u64 {
        self.source.len()
    }

    /// The bytes of `data.pkl`.
    pub(super) fn pickle(&self) -> Result<Vec<u8>> {
        let entry = self.stored("data.pkl")?.ok_or_else(|| not_an_archive("data.pkl is missing"))?;
        if entry.length > MAX_PICKLE {
            let (size, limit) = (entry.length, MAX_PICKLE);
            return Err(TorchFileError::TooLarge { what: "the size of its pickle in bytes", size, limit });
        }
        Ok(self.source.read(entry.start, entry.length)?)
    }

    /// Bytes of the storage with that key, `None` where there is no such entry.
    pub(super) fn storage_length(&self, key: &str) -> Result<Option<u64>> {
        Ok(self.stored(&format!("data/{key}"))?.map(|entry| entry.length))
    }

    /// Part of a storage.
    pub(super) fn read_storage(&self, key: &str, start: u64, length: u64) -> Result<Vec<u8>> {
        let name = format!("data/{key}");
        let entry = self.stored(&name)?.ok_or_else(|| not_an_archive(&format!("{name} is missing")))?;
        if start.checked_add(length).is_none_or(|end| end > entry.length) {
            return Err(not_an_archive(&format!("{name} ends too early")));
        }
        Ok(self.source.read(entry.start + start, length)?)
    }

    fn small_entry(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let entry = self.stored(name)?.filter(|entry| entry.length <= 64);
        entry.map(|entry| Ok(self.source.read(entry.start, entry.length)?)).transpose()
    }

    fn stored(&self, name: &str) -> Result<Option<Entry>> {
        let name = format!("{}/{name}", self.root);
        match self.entries.get(&name) {
            Some(entry) if !entry.is_stored => Err(TorchFileError::Compressed { entry: printable(&name) }),
            entry => Ok(entry.copied()),
        }
    }
}

fn not_an_archive(reason: &str) -> TorchFileError {
    TorchFileError::NotAnArchive { reason: reason.to_owned() }
}

fn read_directory(source: &Source) -> Result<HashMap<String, Entry>> {
    let damaged = |e: &dyn std::fmt::Display| not_an_archive(&printable(&e.to_string()));
    let mut zip = ZipArchive::new(BufReader::new(Stream::new(source))).map_err(|e| damaged(&e))?;
    if zip.len() > MAX_ENTRIES {
        let (size, limit) = (zip.len() as u64, MAX_ENTRIES as u64);
        return Err(TorchFileError::TooLarge { what: "the number of its entries", size, limit });
    }
    let mut entries = HashMap::with_capacity(zip.len());
    for index in 0..zip.len() {
        let (name, entry) = read_entry(&mut zip, index)?;
        if entry.start.checked_add(entry.length).is_none_or(|end| end > source.len()) {
            return Err(not_an_archive(&format!("its entry '{}' ends beyond the file", printable(&name))));
        }
        if entries.insert(name.clone(), entry).is_some() {
            return Err(TorchFileError::Overlap { first: printable(&name), second: printable(&name) });
        }
    }
    Ok(entries)
}

fn read_entry<R: std::io::Read + Seek>(zip: &mut ZipArchive<R>, index: usize) -> Result<(String, Entry)> {
    let damaged = |e: &dyn std::fmt::Display| not_an_archive(&printable(&e.to_string()));
    let file = zip.by_index_raw(index).map_err(|e| damaged(&e))?;
    let raw = file.name_raw();
    let name = std::str::from_utf8(raw).ok().filter(|name| name.len() <= MAX_NAME).map(str::to_owned);
    let name = name.ok_or_else(|| TorchFileError::EntryName { entry: printable(&String::from_utf8_lossy(raw)) })?;
    let is_outside = name.split('/').any(|part| part == ".." || part == ".") || name.starts_with('/');
    if is_outside || name.contains(['\\', '\0']) || name.as_bytes().get(1) == Some(&b':') {
        return Err(TorchFileError::EntryName { entry: printable(&name) });
    }
    let start = file.data_start().ok_or_else(|| not_an_archive("an entry has no data"))?;
    let is_stored = file.compression() == CompressionMethod::Stored && !file.encrypted();
    if is_stored && file.size() != file.compressed_size() {
        return Err(not_an_archive(&format!("its entry '{}' has two sizes", printable(&name))));
    }
    Ok((name, Entry { start, length: file.compressed_size(), is_stored }))
}

/// Refuses entries that share bytes: a small file could claim to be an endless one.
fn check_overlaps(entries: &HashMap<String, Entry>) -> Result<()> {
    let mut by_place: Vec<_> = entries.iter().filter(|(_, entry)| entry.length > 0).collect();
    by_place.sort_by_key(|(_, entry)| entry.start);
    for pair in by_place.windows(2) {
        let [(first, a), (second, b)] = pair else { continue };
        if a.start + a.length > b.start {
            return Err(TorchFileError::Overlap { first: printable(first), second: printable(second) });
        }
    }
    Ok(())
}
