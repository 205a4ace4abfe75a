//! The files of a model, wherever they lie.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use memscope_hub::Variant;

use crate::{
    error::{Error, Result},
    mmap,
};

/// Bytes of a weight file: part of the program, or on disk.
#[derive(Clone)]
pub(crate) enum Bytes {
    Static(&'static [u8]),
    /// The map is for headers. Weights are read from the file: pages of a map stay resident beside the tensors made
    /// from them, which would double the memory of loading.
    OnDisk {
        map: Arc<memmap2::Mmap>,
        path: PathBuf,
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
    /// The whole file; what is looked at stays in memory.
    pub(crate) fn whole(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            Self::OnDisk { map, .. } => map,
        }
    }

    pub(crate) fn reader(&self) -> io::Result<Reader<'_>> {
        Ok(match self {
            Self::Static(bytes) => Reader::Bytes(bytes),
            Self::OnDisk { path, .. } => Reader::File { file: File::open(path)?, piece: vec![] },
        })
    }

    /// Calls `each` with all bytes, in order, piece by piece.
    pub(crate) fn read_all(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let (mut reader, len) = (self.reader()?, self.whole().len());
        for start in (0..len).step_by(PIECE) {
            each(reader.read(start..len.min(start + PIECE))?);
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// The bytes of a range, which should not be much longer than [`PIECE`].
    pub(crate) fn read(&mut self, range: Range<usize>) -> io::Result<&[u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.get(range).ok_or(io::ErrorKind::UnexpectedEof)?),
            Self::File { file, piece } => {
                piece.resize(range.len(), 0);
                file.seek(SeekFrom::Start(range.start as u64))?;
                file.read_exact(piece)?;
                Ok(piece)
            }
        }
    }
}

/// A folder in diffusers layout, on disk or embedded.
#[derive(Clone, Debug)]
pub(crate) enum ModelFiles {
    Embedded(memscope_embedded::Model),
    Folder { path: PathBuf, variant: Option<Variant> },
}

impl ModelFiles {
    /// The name used in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Embedded(model) => format!("embedded:{}", model.name()),
            Self::Folder { path, .. } => path.display().to_string(),
        }
    }

    /// A file's name in messages.
    pub(crate) fn label(&self, file: &str) -> String {
        match self {
            Self::Embedded(_) => format!("{}/{file}", self.name()),
            Self::Folder { path, .. } => path.join(file).display().to_string(),
        }
    }

    pub(crate) fn exists(&self, file: &str) -> bool {
        match self {
            Self::Embedded(model) => model.file(file).is_some(),
            Self::Folder { path, .. } => path.join(file).is_file(),
        }
    }

    fn missing(&self, file: &str) -> Error {
        Error::MissingFile { model: self.name(), file: file.to_owned() }
    }

    fn read_error(&self, path: PathBuf, file: &str, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::NotFound { self.missing(file) } else { Error::Read { path, source } }
    }

    /// A small file, read whole.
    pub(crate) fn read(&self, file: &str) -> Result<Cow<'static, [u8]>> {
        match self {
            Self::Embedded(model) => model.file(file).map(Cow::Borrowed).ok_or_else(|| self.missing(file)),
            Self::Folder { path, .. } => {
                let path = path.join(file);
                std::fs::read(&path).map(Cow::Owned).map_err(|e| self.read_error(path, file, e))
            }
        }
    }

    /// A small file that need not be there.
    pub(crate) fn read_optional(&self, file: &str) -> Result<Option<Cow<'static, [u8]>>> {
        if self.exists(file) { self.read(file).map(Some) } else { Ok(None) }
    }

    /// A large file.
    pub(crate) fn open(&self, file: &str) -> Result<Bytes> {
        match self {
            Self::Embedded(model) => model.file(file).map(Bytes::Static).ok_or_else(|| self.missing(file)),
            Self::Folder { path, .. } => {
                let path = path.join(file);
                let map = mmap::map_file(&path).map_err(|e| self.read_error(path.clone(), file, e))?;
                Ok(Bytes::OnDisk { map: Arc::new(map), path })
            }
        }
    }

    /// The variant of the weight files.
    pub(crate) fn variant(&self) -> Option<&Variant> {
        match self {
            Self::Embedded(_) => None,
            Self::Folder { variant, .. } => variant.as_ref(),
        }
    }

    /// The files of a folder on disk, as `folder/name`.
    pub(crate) fn list(&self, folder: &str) -> Vec<String> {
        let Some(entries) = self.folder().and_then(|path| std::fs::read_dir(path.join(folder)).ok()) else {
            return vec![];
        };
        entries.flatten().map(|entry| format!("{folder}/{}", entry.file_name().to_string_lossy())).collect()
    }

    /// The folder on disk, if the model lies in one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Embedded(_) => None,
            Self::Folder { path, .. } => Some(path),
        }
    }
}
