//! What a file of tensors says about itself: names, formats, shapes and places, nothing of the tensors' bytes.

mod pickled;
mod safetensors;

use std::collections::{BTreeMap, HashMap};

use ::safetensors::Dtype;

use crate::{
    bytes::Bytes,
    error::{Error, Result},
};

/// Where one tensor lies in a file.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// First byte, counted from the beginning of the file.
    pub(crate) start: u64,
    /// Numbers from one index to the next, by dimension; `None` in row-major order without gaps.
    pub(crate) strides: Option<Vec<usize>>,
}

/// What a file holds.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    /// The texts under `__metadata__` of a safetensors file.
    pub(crate) metadata: HashMap<String, String>,
    /// The tensors by name.
    pub(crate) tensors: BTreeMap<String, Stored>,
}

impl Header {
    /// Reads and checks what a safetensors or PyTorch file says; its first bytes tell which it is, not its name. `label`
    /// names it in messages.
    ///
    /// # Errors
    ///
    /// Where the file is not a complete one of these kinds, holds what the reader of pickles does not allow, or cannot be
    /// read.
    pub(crate) fn read(label: &str, bytes: &Bytes) -> Result<Self> {
        let unreadable = |source| Error::Read { path: label.into(), source };
        let head = bytes.reader().map_err(unreadable)?.read(0..bytes.len().min(8)).map_err(unreadable)?.to_vec();
        let is_pickled = memscope_torch_file::is_torch_file(&head);
        if is_pickled || (pickled::has_extension(label) && !safetensors::may_begin(&head, bytes.len())) {
            return pickled::read(label, bytes);
        }
        safetensors::read(label, bytes)
    }
}
