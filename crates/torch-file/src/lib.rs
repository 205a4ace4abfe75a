//! PyTorch's files without PyTorch: state dicts (`.pt`, `.pth`, `.ckpt`, `.bin`) and TorchScript archives.
//!
//! A file is a zip archive with one pickle, `data.pkl`, and a file per storage; before torch 1.6 it was a row of pickles
//! with the storages behind them. [Pickles can run any program]; this reader runs nothing: a list of a few names is
//! allowed, each with a fixed meaning, and everything else is refused by name. Sizes, depth and the number of values are
//! bounded, nothing is unpacked to disk, and tensors must lie inside their storages. TorchScript's code is not looked at.
//!
//! [Pickles can run any program]: https://docs.python.org/3/library/pickle.html
//!
//! Layout: PyTorch's `torch/serialization.py` (`_save`, `_legacy_save`) and `torch/csrc/jit/serialization/pickler.cpp`.

mod archive;
mod error;
mod globals;
mod legacy;
mod pickle;
mod source;
mod storages;
mod tensors;

use std::{collections::BTreeMap, fs::File, path::Path};

use memscope_text::excerpt;

pub use self::{
    error::{Result, TorchFileError},
    globals::ElementType,
    source::Source,
};
use self::{storages::Storages, tensors::Named};

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

/// Where a tensor lies in the file, as it is: element `(i, j, ...)` begins at byte
/// `start + width * (i * strides[0] + j * strides[1] + ...)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorPlace {
    /// Type of its elements, little-endian.
    pub element: ElementType,
    /// Sizes.
    pub shape: Vec<usize>,
    /// First byte, counted from the beginning of the file.
    pub start: u64,
    /// Elements from one index to the next; `None` where they lie in row-major order without gaps.
    pub strides: Option<Vec<usize>>,
}

/// Whether a file that begins with these bytes (eight are enough) was written by torch.save or torch.jit.save.
pub fn is_torch_file(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || legacy::begins(head)
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
    storages: Storages,
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

    /// The same from what is open already.
    ///
    /// # Errors
    /// As [`read_state_dict`].
    pub fn from_source(source: Source) -> Result<Self> {
        let head = source.read(0, source.length().min(legacy::HEAD))?;
        let (values, storages) = match legacy::begins(&head) {
            true => legacy::open(source)?,
            false => {
                let (pickle, storages) = archive::open(source)?;
                (pickle::read(&pickle)?, storages)
            }
        };
        let named = tensors::collect(&values)?;
        tensors::check(&named, &storages)?;
        Ok(Self { storages, named })
    }

    /// Names of the tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.tensors.keys().map(String::as_str)
    }

    /// Element type and shape of a tensor.
    pub fn layout(&self, name: &str) -> Option<(ElementType, Vec<usize>)> {
        self.place(name).map(|place| (place.element, place.shape))
    }

    /// Where a tensor lies in the file.
    pub fn place(&self, name: &str) -> Option<TensorPlace> {
        let tensor = self.named.tensors.get(name)?;
        tensors::place(tensor, &self.storages)
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
        let no_such = || TorchFileError::NoSuchTensor { tensor: excerpt(name) };
        let tensor = self.named.tensors.get(name).ok_or_else(no_such)?;
        let bytes = tensors::read(tensor, &self.storages)?;
        let shape = tensor.shape.iter().map(|size| *size as usize).collect();
        Ok(StoredTensor { element: tensor.storage.element, shape, bytes })
    }
}
