//! Memory-mapped files.
#![allow(unsafe_code)]

use std::{fs::File, io, path::Path};

/// Maps a file into memory for reading.
pub(crate) fn map_file(path: &Path) -> io::Result<memmap2::Mmap> {
    let file = File::open(path)?;
    // SAFETY: weight files are opened read-only and are not changed while a model is loaded; whoever
    // truncates one under a running program gets a bus error, as with every memory-mapped reader.
    unsafe { memmap2::Mmap::map(&file) }
}
