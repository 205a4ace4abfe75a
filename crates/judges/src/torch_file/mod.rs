//! PyTorch's files without PyTorch: state dicts (`.pt`, `.pth`, `.ckpt`, `.bin`) and TorchScript archives.
//!
//! A file is a zip archive with one pickle, `data.pkl`, and a file per storage. [Pickles can run any program]; this
//! reader runs nothing: a list of a few names is allowed, each with a fixed meaning, and everything else is refused by
//! name. Sizes, depth and the number of values are bounded, nothing is unpacked to disk, and tensors must lie inside their
//! storages. TorchScript's code is not looked at.
//!
//! [Pickles can run any program]: https://docs.python.org/3/library/pickle.html
//!
//! Layout: PyTorch's `torch/serialization.py` and `torch/csrc/jit/serialization/pickler.cpp`.

mod archive;
mod error;
mod globals;
mod pickle;
pub(crate) mod source;
mod tensors;

use std::{collections::BTreeMap, fs::File, path::Path};

use self::{archive::Archive, source::Source, tensors::Named};
pub use self::{
    error::{Result, TorchFileError},
    globals::ElementType,
};

/// A tensor as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTensor {
    /// Type of its elements.
    pub element: ElementType,
    /// Sizes.
    pub shape: Vec<usize>,
    /// Elements in row-major order, little-endian.
    pub bytes: Vec<u8>,
}

/// Reads every tensor of a state dict or TorchScript archive: name → type, shape, bytes.
///
/// Names of nested dictionaries and modules are joined by dots, as in `state_dict.model.weight`.
///
/// # Errors
/// When the file cannot be read or holds anything that this reader does not allow.
pub fn read_state_dict(path: &Path) -> Result<BTreeMap<String, StoredTensor>> {
    let file = TorchFile::open(path)?;
    file.names().map(|name| Ok((name.to_owned(), file.read(name)?))).collect()
}

/// An opened PyTorch file; tensors are read when they are asked for.
#[derive(Debug)]
pub struct TorchFile {
    archive: Archive,
    named: Named,
}

impl TorchFile {
    /// Opens a file and checks all that it says about its tensors.
    ///
    /// # Errors
    /// As [`read_state_dict`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_source(Source::file(File::open(path)?)?)
    }

    /// The same from bytes in memory.
    ///
    /// # Errors
    /// As [`read_state_dict`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::from_source(Source::Owned(bytes))
    }

    pub(crate) fn from_source(source: Source) -> Result<Self> {
        let archive = Archive::open(source)?;
        let named = tensors::collect(&pickle::read(&archive.pickle()?)?)?;
        tensors::check(&named, &archive)?;
        Ok(Self { archive, named })
    }

    /// Names of the tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.tensors.keys().map(String::as_str)
    }

    /// Element type and shape of a tensor.
    pub fn layout(&self, name: &str) -> Option<(ElementType, Vec<usize>)> {
        let tensor = self.named.tensors.get(name)?;
        Some((tensor.storage.element, tensor.shape.iter().map(|size| *size as usize).collect()))
    }

    /// A number that is an attribute of a module or an item of a dictionary, e.g. `embeddings.0.pooling_param`.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.named.numbers.get(name).copied()
    }

    /// Reads a tensor.
    ///
    /// # Errors
    /// When there is none of that name, or reading fails.
    pub fn read(&self, name: &str) -> Result<StoredTensor> {
        let no_such = || TorchFileError::NoSuchTensor { tensor: error::printable(name) };
        let tensor = self.named.tensors.get(name).ok_or_else(no_such)?;
        let bytes = tensors::read(tensor, &self.archive)?;
        let shape = tensor.shape.iter().map(|size| *size as usize).collect();
        Ok(StoredTensor { element: tensor.storage.element, shape, bytes })
    }
}
