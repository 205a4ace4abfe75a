//! Bytes of a file: on disk, or in memory.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::{Mutex, PoisonError},
};

/// Something that can be read at any place, by any thread.
#[derive(Debug)]
pub enum Source {
    /// A file, read when it is asked for.
    File(Mutex<File>, u64),
    /// Bytes in memory.
    Owned(Vec<u8>),
    /// Part of the program.
    Static(&'static [u8]),
}

impl Source {
    /// An open file.
    ///
    /// # Errors
    /// When its length cannot be asked for.
    pub fn file(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self::File(Mutex::new(file), length))
    }

    /// Bytes of the whole.
    pub fn length(&self) -> u64 {
        match self {
            Self::File(_, length) => *length,
            Self::Owned(bytes) => bytes.len() as u64,
            Self::Static(bytes) => bytes.len() as u64,
        }
    }

    /// `length` bytes from `start`.
    ///
    /// # Errors
    /// When the source ends before them; nothing is allocated then.
    pub fn read(&self, start: u64, length: u64) -> io::Result<Vec<u8>> {
        let end = start.checked_add(length).filter(|end| *end <= self.length());
        let (Some(_), Ok(size)) = (end, usize::try_from(length)) else {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{length} bytes from byte {start} on are asked for, there are {}", self.length()),
            ));
        };
        match self {
            Self::File(file, _) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(start))?;
                let mut bytes = vec![0; size];
                file.read_exact(&mut bytes)?;
                Ok(bytes)
            }
            // In range: checked against the length above.
            Self::Owned(bytes) => Ok(bytes[start as usize..start as usize + size].to_vec()),
            Self::Static(bytes) => Ok(bytes[start as usize..start as usize + size].to_vec()),
        }
    }
}

/// [`Source`] as a stream, for readers of archives.
pub(crate) struct Stream<'a> {
    source: &'a Source,
    position: u64,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(source: &'a Source) -> Self {
        Self { source, position: 0 }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let left = self.source.length().saturating_sub(self.position);
        let count = left.min(to.len() as u64);
        let bytes = self.source.read(self.position, count)?;
        to[..bytes.len()].copy_from_slice(&bytes);
        self.position += count;
        Ok(bytes.len())
    }
}

impl Seek for Stream<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::End(offset) => (self.source.length(), offset),
            SeekFrom::Current(offset) => (self.position, offset),
        };
        let position = base.checked_add_signed(offset);
        self.position =
            position.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the beginning"))?;
        Ok(self.position)
    }
}
