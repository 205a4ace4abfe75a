//! The files of a model, wherever they lie.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use memscope_hub::Variant;

use crate::{
    bytes::{Bytes, read_limited},
    checkpoint::Checkpoint,
    error::{Error, Result},
    lora::Changes,
    sizes::SizeConditions,
};

/// The largest small file of each kind that is read: vocabularies and shard indices have tens of thousands of lines,
/// configurations some dozens.
fn limit(file: &str) -> u64 {
    const MIB: u64 = 1 << 20;
    match file {
        _ if file.starts_with("tokenizer") => 64 * MIB,
        _ if file.contains(".index.") => 64 * MIB,
        _ => MIB,
    }
}

/// The files of a model: a folder in diffusers layout, on disk or embedded, or what stands for one.
#[derive(Clone, Debug)]
pub(crate) enum ModelFiles {
    Embedded(memscope_embedded::Model),
    Folder { path: PathBuf, variant: Option<Variant> },
    Checkpoint(Arc<Checkpoint>),
    Changed { base: Box<ModelFiles>, changes: Arc<Changes>, sizes: SizeConditions },
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
            Self::Embedded(_) => format!("{}/{file}", self.name()),
            Self::Checkpoint(_) => format!("{}, read as Stable Diffusion's {file} or that of --config", self.name()),
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

    /// What the user says of the size of pictures.
    pub(crate) fn sizes(&self) -> SizeConditions {
        match self {
            Self::Changed { sizes, .. } => *sizes,
            _ => SizeConditions::default(),
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
