//! Where the storages of a file lie.

use std::collections::HashMap;

use memscope_text::excerpt;

use crate::{
    error::{Result, TorchFileError},
    source::Source,
};

/// A stretch of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

/// An open file and its storages by key.
#[derive(Debug)]
pub(crate) struct Storages {
    source: Source,
    places: HashMap<String, Stretch>,
}

impl Storages {
    pub(crate) fn new(source: Source, places: HashMap<String, Stretch>) -> Self {
        Self { source, places }
    }

    /// Bytes of the whole file.
    pub(crate) fn file_length(&self) -> u64 {
        self.source.length()
    }

    /// The storage of that key, `None` where there is none.
    pub(crate) fn find(&self, key: &str) -> Option<Stretch> {
        self.places.get(key).copied()
    }

    /// Part of a storage.
    pub(crate) fn read(&self, key: &str, start: u64, length: u64) -> Result<Vec<u8>> {
        let missing =
            || TorchFileError::NotAnArchive { reason: format!("its storage {} is missing or short", excerpt(key)) };
        let place = self.find(key).ok_or_else(missing)?;
        if start.checked_add(length).is_none_or(|end| end > place.length) {
            return Err(missing());
        }
        Ok(self.source.read(place.start + start, length)?)
    }
}
