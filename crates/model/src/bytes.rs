//! Bytes of files: regular ones only, and never more than asked for.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
};

/// Bytes of a weight file: part of the program, or on disk.
#[derive(Clone, Debug)]
pub(crate) enum Bytes {
    Static(&'static [u8]),
    /// Read in pieces, never mapped: the pages of a map would stay resident beside the tensors made from them, and a
    /// file that shrinks while it is mapped ends the program.
    OnDisk {
        path: PathBuf,
        len: u64,
    },
}

/// Reads ranges of [`Bytes`]; each thread has its own.
pub(crate) enum Reader<'a> {
    Bytes(&'a [u8]),
    File { file: File, piece: Vec<u8> },
}

/// Bytes read at once; a multiple of the size of every number.
pub(crate) const PIECE: usize = 1 << 20;

impl Bytes {
    /// A file on disk, which must be a regular one.
    pub(crate) fn on_disk(path: PathBuf) -> io::Result<Self> {
        let len = regular(&path)?;
        Ok(Self::OnDisk { path, len })
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Static(bytes) => bytes.len() as u64,
            Self::OnDisk { len, .. } => *len,
        }
    }

    pub(crate) fn reader(&self) -> io::Result<Reader<'_>> {
        Ok(match self {
            Self::Static(bytes) => Reader::Bytes(bytes),
            Self::OnDisk { path, .. } => {
                regular(path)?;
                Reader::File { file: File::open(path)?, piece: vec![] }
            }
        })
    }

    /// Calls `each` with all bytes, in order, piece by piece.
    pub(crate) fn read_all(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let (mut reader, len) = (self.reader()?, self.len());
        let mut start = 0;
        while start < len {
            let end = len.min(start + PIECE as u64);
            each(reader.read(start..end)?);
            start = end;
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// The bytes of a range, which should not be much longer than [`PIECE`].
    pub(crate) fn read(&mut self, range: Range<u64>) -> io::Result<&[u8]> {
        let len = range.end.saturating_sub(range.start) as usize;
        match self {
            Self::Bytes(bytes) => {
                let start = range.start as usize;
                Ok(bytes.get(start..start.saturating_add(len)).ok_or(io::ErrorKind::UnexpectedEof)?)
            }
            Self::File { file, piece } => {
                piece.resize(len, 0);
                file.seek(SeekFrom::Start(range.start))?;
                file.read_exact(piece)?;
                Ok(piece)
            }
        }
    }
}

/// The length of a regular file; a FIFO, device, socket or folder in its place is an error. Looked at before it is
/// opened: opening a FIFO waits for a writer.
pub(crate) fn regular(path: &Path) -> io::Result<u64> {
    let metadata = std::fs::metadata(path)?;
    match metadata.is_file() {
        true => Ok(metadata.len()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

/// The whole content of a regular file of at most `limit` bytes.
pub(crate) fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let too_long = |len: u64| {
        let message = format!("{len} bytes are more than such a file has (at most {limit})");
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    let len = regular(path)?;
    if len > limit {
        return Err(too_long(len));
    }
    let mut content = Vec::with_capacity(len as usize);
    // It may have grown since.
    File::open(path)?.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit { Err(too_long(content.len() as u64)) } else { Ok(content) }
}
