//! The files of a model, wherever they lie.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    checkpoint::Checkpoint,
    error::{Error, Result},
    lora::Changes,
    variant::Variant,
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

/// The largest small file of each kind that is read: vocabularies and shard indices have tens of thousands of lines,
/// configurations some dozens.
fn limit(file: &str) -> u64 {
    const MIB: u64 = 1 << 20;
    match file {
        _ if file.starts_with("tokenizer") => 64 * MIB,
        _ if file.ends_with(".index.json") || file.contains(".safetensors.index.") => 64 * MIB,
        _ => MIB,
    }
}

/// The files of a model: a folder in diffusers layout, on disk or embedded, or what stands for one.
#[derive(Clone, Debug)]
pub(crate) enum ModelFiles {
    Embedded(memscope_embedded::Model),
    Folder { path: PathBuf, variant: Option<Variant> },
    Checkpoint(Arc<Checkpoint>),
    Changed { base: Box<ModelFiles>, changes: Arc<Changes> },
}

impl ModelFiles {
    /// The name used in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Embedded(model) => format!("embedded:{}", model.name()),
            Self::Folder { path, .. } => path.display().to_string(),
            Self::Checkpoint(checkpoint) => checkpoint.path.display().to_string(),
            Self::Changed { base, .. } => base.name(),
        }
    }

    /// A file's name in messages.
    pub(crate) fn label(&self, file: &str) -> String {
        match self {
            Self::Embedded(_) | Self::Checkpoint(_) => format!("{}/{file}", self.name()),
            Self::Folder { path, .. } => path.join(file).display().to_string(),
            Self::Changed { base, .. } => base.label(file),
        }
    }

    pub(crate) fn exists(&self, file: &str) -> bool {
        match self {
            Self::Embedded(model) => model.file(file).is_some(),
            // Whatever it is: what is not a regular file is refused by name when it is read.
            Self::Folder { path, .. } => path.join(file).exists(),
            Self::Checkpoint(checkpoint) => checkpoint.small.contains_key(file),
            Self::Changed { base, .. } => base.exists(file),
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
                read_limited(&path, limit(file)).map(Cow::Owned).map_err(|e| self.read_error(path, file, e))
            }
            Self::Checkpoint(checkpoint) => {
                checkpoint.small.get(file).cloned().map(Cow::Owned).ok_or_else(|| self.missing(file))
            }
            Self::Changed { base, .. } => base.read(file),
        }
    }

    /// A small file that need not be there.
    pub(crate) fn read_optional(&self, file: &str) -> Result<Option<Cow<'static, [u8]>>> {
        if self.exists(file) { self.read(file).map(Some) } else { Ok(None) }
    }

    /// A file of a folder, however large.
    pub(crate) fn open(&self, file: &str) -> Result<Bytes> {
        match self {
            Self::Embedded(model) => model.file(file).map(Bytes::Static).ok_or_else(|| self.missing(file)),
            Self::Folder { path, .. } => {
                let path = path.join(file);
                Bytes::on_disk(path.clone()).map_err(|e| self.read_error(path, file, e))
            }
            Self::Checkpoint(_) => Err(self.missing(file)),
            Self::Changed { base, .. } => base.open(file),
        }
    }

    /// The variant of the weight files.
    pub(crate) fn variant(&self) -> Option<&Variant> {
        match self {
            Self::Embedded(_) | Self::Checkpoint(_) => None,
            Self::Folder { variant, .. } => variant.as_ref(),
            Self::Changed { base, .. } => base.variant(),
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
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Embedded(_) | Self::Checkpoint(_) => None,
            Self::Folder { path, .. } => Some(path),
            Self::Changed { base, .. } => base.folder(),
        }
    }

    /// The single file, if the model is one.
    pub(crate) fn checkpoint(&self) -> Option<&Checkpoint> {
        match self {
            Self::Checkpoint(checkpoint) => Some(checkpoint),
            Self::Changed { base, .. } => base.checkpoint(),
            _ => None,
        }
    }

    /// What LoRA files change.
    pub(crate) fn changes(&self) -> Option<&Arc<Changes>> {
        match self {
            Self::Changed { changes, .. } => Some(changes),
            _ => None,
        }
    }
}
