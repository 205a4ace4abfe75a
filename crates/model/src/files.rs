//! The files of a model, wherever they lie.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    error::{Error, Result},
    layout::Variant,
    raw,
};

/// Bytes of a weight file: part of the program, or on disk.
#[derive(Clone)]
pub(crate) enum Bytes {
    Static(&'static [u8]),
    /// The map is for headers. Weights are read from the file: pages of a map stay resident beside the tensors made
    /// from them, which would double the memory of loading.
    OnDisk {
        map: Arc<memmap2::Mmap>,
        file: Arc<Mutex<File>>,
    },
}

/// Most bytes read at once; a multiple of the size of every number.
const PIECE: usize = 1 << 20;

impl Bytes {
    /// The whole file; what is looked at stays in memory.
    pub(crate) fn whole(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            Self::OnDisk { map, .. } => map,
        }
    }

    /// Calls `each` with the bytes of `range`, in order, piece by piece. Pieces hold whole numbers.
    pub(crate) fn read(&self, range: Range<usize>, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        match self {
            Self::Static(bytes) => each(bytes.get(range).ok_or(io::ErrorKind::UnexpectedEof)?),
            Self::OnDisk { file, .. } => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(range.start as u64))?;
                let mut piece = vec![0; PIECE.min(range.len())];
                let mut left = range.len();
                while left > 0 {
                    let piece = &mut piece[..PIECE.min(left)];
                    file.read_exact(piece)?;
                    each(piece);
                    left -= piece.len();
                }
            }
        }
        Ok(())
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
                let opened = raw::map_file(&path).and_then(|map| Ok((map, File::open(&path)?)));
                let (map, handle) = opened.map_err(|e| self.read_error(path, file, e))?;
                Ok(Bytes::OnDisk { map: Arc::new(map), file: Arc::new(Mutex::new(handle)) })
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
