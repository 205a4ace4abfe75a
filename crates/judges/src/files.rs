//! Where a judge's files lie: a folder, or part of the program.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use memscope_torch_file::Source;

use crate::error::{Error, Result};

/// Most bytes of a configuration or tokenizer file.
const MAX_TEXT_FILE: u64 = 64 << 20;

/// A folder on disk or in the program.
#[derive(Clone, Debug)]
pub enum Files {
    /// On disk.
    Folder(PathBuf),
    /// In the program: a function from a path such as `sscd/config.json` to its bytes.
    Embedded(fn(&str) -> Option<&'static [u8]>),
}

impl Files {
    /// How it is named in messages.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Folder(path) => path.display().to_string(),
            Self::Embedded(_) => "the embedded judges".to_owned(),
        }
    }

    pub(crate) fn file_label(&self, name: &str) -> String {
        match self {
            Self::Folder(path) => path.join(name).display().to_string(),
            Self::Embedded(_) => format!("embedded {name}"),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(path) => path.join(name).is_file(),
            Self::Embedded(file) => file(name).is_some(),
        }
    }

    /// The first of these files that is there.
    pub(crate) fn first<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// A whole small file, `None` where it is not there.
    pub(crate) fn text(&self, name: &str) -> Result<Option<Vec<u8>>> {
        if !self.has(name) {
            return Ok(None);
        }
        let read = || {
            let source = self.source(name)?;
            if source.length() > MAX_TEXT_FILE {
                return Err(io::Error::other(format!("it has {} bytes, far too many", source.length())));
            }
            source.read(0, source.length())
        };
        read().map(Some).map_err(|source| self.cannot_read(name, source))
    }

    /// As [`Self::text`], for a file that must be there.
    pub(crate) fn required_text(&self, name: &str) -> Result<Vec<u8>> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    /// A file of any size, read when its parts are asked for.
    pub(crate) fn open(&self, name: &str) -> Result<Source> {
        if self.has(name) {
            self.source(name).map_err(|source| self.cannot_read(name, source))
        } else {
            Err(self.missing(name))
        }
    }

    pub(crate) fn missing(&self, name: &str) -> Error {
        Error::MissingFile { folder: self.label(), file: name.to_owned() }
    }

    fn cannot_read(&self, name: &str, source: io::Error) -> Error {
        Error::Read { file: self.file_label(name), source }
    }

    fn source(&self, name: &str) -> io::Result<Source> {
        match self {
            Self::Folder(path) => Source::file(File::open(path.join(name))?),
            Self::Embedded(file) => file(name).map(Source::Static).ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }
}

impl From<&Path> for Files {
    fn from(path: &Path) -> Self {
        Self::Folder(path.to_owned())
    }
}
