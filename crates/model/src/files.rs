//! The files of a model, wherever they lie.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    error::{Error, Result},
    layout::Variant,
    raw,
};

/// Bytes of a weight file: part of the program, or mapped from disk.
#[derive(Clone)]
pub(crate) enum Bytes {
    Static(&'static [u8]),
    Mapped(Arc<memmap2::Mmap>),
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            Self::Mapped(map) => map,
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

    /// A large file, without a copy.
    pub(crate) fn map(&self, file: &str) -> Result<Bytes> {
        match self {
            Self::Embedded(model) => model.file(file).map(Bytes::Static).ok_or_else(|| self.missing(file)),
            Self::Folder { path, .. } => {
                let path = path.join(file);
                raw::map_file(&path).map(|map| Bytes::Mapped(Arc::new(map))).map_err(|e| self.read_error(path, file, e))
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
