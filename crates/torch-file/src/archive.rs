//! The zip archive around a pickle and its storages: where each entry lies, nothing unpacked.

use std::{
    collections::HashMap,
    io::{BufReader, Seek},
};

use memscope_text::excerpt;
use zip::{CompressionMethod, ZipArchive};

use crate::{
    error::{Result, TorchFileError},
    source::{Source, Stream},
    storages::{Storages, Stretch},
};

/// Most entries of an archive. The largest published text-to-image models have a few thousand.
const MAX_ENTRIES: usize = 100_000;
/// Most bytes of a pickle. Real ones have a few hundred kilobytes.
pub(crate) const MAX_PICKLE: u64 = 8 << 20;
/// Most bytes of an entry's name.
const MAX_NAME: usize = 1024;

/// Where an entry's bytes lie.
#[derive(Clone, Copy, Debug)]
struct Entry {
    place: Stretch,
    is_stored: bool,
}

/// Reads the directory of the archive and checks it: the bytes of `ROOT/data.pkl`, and the storages `ROOT/data/KEY`.
pub(crate) fn open(source: Source) -> Result<(Vec<u8>, Storages)> {
    let entries = read_directory(&source)?;
    check_overlaps(&entries)?;
    let mut roots = entries.keys().filter_map(|name| name.strip_suffix("/data.pkl")).filter(|r| !r.contains('/'));
    let root = roots.next().map(str::to_owned);
    let (Some(root), None) = (root, roots.next()) else {
        return Err(not_an_archive("it must have exactly one NAME/data.pkl"));
    };
    let small = |name: &str| match stored(&entries, &format!("{root}/{name}"))?.filter(|place| place.length <= 64) {
        Some(place) => Ok::<_, TorchFileError>(Some(source.read(place.start, place.length)?)),
        None => Ok(None),
    };
    if small("byteorder")?.is_some_and(|order| order == b"big") {
        return Err(TorchFileError::BigEndian);
    }
    let place = stored(&entries, &format!("{root}/data.pkl"))?.ok_or_else(|| not_an_archive("data.pkl is missing"))?;
    if place.length > MAX_PICKLE {
        let (size, limit) = (place.length, MAX_PICKLE);
        return Err(TorchFileError::TooLarge { what: "the size of its pickle in bytes", size, limit });
    }
    let pickle = source.read(place.start, place.length)?;
    let storages = storages(&entries, &root)?;
    Ok((pickle, Storages::new(source, storages)))
}

fn storages(entries: &HashMap<String, Entry>, root: &str) -> Result<HashMap<String, Stretch>> {
    let folder = format!("{root}/data/");
    let below = entries.keys().filter_map(|name| Some((name, name.strip_prefix(&folder)?)));
    let storages = below.filter_map(|(name, key)| match stored(entries, name) {
        Ok(place) => place.map(|place| Ok((key.to_owned(), place))),
        Err(error) => Some(Err(error)),
    });
    storages.collect()
}

/// The entry of that name, which must not be compressed.
fn stored(entries: &HashMap<String, Entry>, name: &str) -> Result<Option<Stretch>> {
    match entries.get(name) {
        Some(entry) if !entry.is_stored => Err(TorchFileError::Compressed { entry: excerpt(name) }),
        entry => Ok(entry.map(|entry| entry.place)),
    }
}

fn not_an_archive(reason: &str) -> TorchFileError {
    TorchFileError::NotAnArchive { reason: reason.to_owned() }
}

fn read_directory(source: &Source) -> Result<HashMap<String, Entry>> {
    let damaged = |e: &dyn std::fmt::Display| not_an_archive(&excerpt(&e.to_string()));
    let mut zip = ZipArchive::new(BufReader::new(Stream::new(source))).map_err(|e| damaged(&e))?;
    if zip.len() > MAX_ENTRIES {
        let (size, limit) = (zip.len() as u64, MAX_ENTRIES as u64);
        return Err(TorchFileError::TooLarge { what: "the number of its entries", size, limit });
    }
    let mut entries = HashMap::with_capacity(zip.len());
    for index in 0..zip.len() {
        let (name, entry) = read_entry(&mut zip, index)?;
        if entry.place.start.checked_add(entry.place.length).is_none_or(|end| end > source.length()) {
            return Err(not_an_archive(&format!("its entry '{}' ends beyond the file", excerpt(&name))));
        }
        if entries.insert(name.clone(), entry).is_some() {
            return Err(TorchFileError::Overlap { first: excerpt(&name), second: excerpt(&name) });
        }
    }
    Ok(entries)
}

fn read_entry<R: std::io::Read + Seek>(zip: &mut ZipArchive<R>, index: usize) -> Result<(String, Entry)> {
    let damaged = |e: &dyn std::fmt::Display| not_an_archive(&excerpt(&e.to_string()));
    let file = zip.by_index_raw(index).map_err(|e| damaged(&e))?;
    let raw = file.name_raw();
    let name = std::str::from_utf8(raw).ok().filter(|name| name.len() <= MAX_NAME).map(str::to_owned);
    let name = name.ok_or_else(|| TorchFileError::EntryName { entry: excerpt(&String::from_utf8_lossy(raw)) })?;
    let is_outside = name.split('/').any(|part| part == ".." || part == ".") || name.starts_with('/');
    if is_outside || name.contains(['\\', '\0']) || name.as_bytes().get(1) == Some(&b':') {
        return Err(TorchFileError::EntryName { entry: excerpt(&name) });
    }
    let start = file.data_start().ok_or_else(|| not_an_archive("an entry has no data"))?;
    let is_stored = file.compression() == CompressionMethod::Stored && !file.encrypted();
    if is_stored && file.size() != file.compressed_size() {
        return Err(not_an_archive(&format!("its entry '{}' has two sizes", excerpt(&name))));
    }
    Ok((name, Entry { place: Stretch { start, length: file.compressed_size() }, is_stored }))
}

/// Refuses entries that share bytes: a small file could claim to be an endless one.
fn check_overlaps(entries: &HashMap<String, Entry>) -> Result<()> {
    let mut by_place: Vec<_> = entries.iter().filter(|(_, entry)| entry.place.length > 0).collect();
    by_place.sort_by_key(|(_, entry)| entry.place.start);
    for pair in by_place.windows(2) {
        let [(first, a), (second, b)] = pair else { continue };
        if a.place.start + a.place.length > b.place.start {
            return Err(TorchFileError::Overlap { first: excerpt(first), second: excerpt(second) });
        }
    }
    Ok(())
}
