//! PyTorch's files (`.ckpt`, `.pt`, `.pth`, `.bin`), without running anything of them.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    path::Path,
};

use memscope_torch_file::{ElementType, Source, TorchFile, TorchFileError};
use safetensors::Dtype;

use super::{Header, Stored};
use crate::{
    bytes::{Bytes, regular},
    error::{Error, Result},
};

/// The level under which trainers keep the weights, beside their own state. diffusers looks there, too
/// (`loaders/single_file_utils.py`, `load_single_file_checkpoint`).
const STATE_DICT: &str = "state_dict.";

/// Whether a name ends as PyTorch's files do.
pub(super) fn has_extension(label: &str) -> bool {
    let extension = Path::new(label).extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    matches!(extension.as_deref(), Some("ckpt" | "pt" | "pth" | "bin"))
}

pub(super) fn read(label: &str, bytes: &Bytes) -> Result<Header> {
    let refused = |source| Error::TorchFile { file: label.to_owned(), source };
    let source = match bytes {
        Bytes::Static(bytes) => Source::Static(bytes),
        Bytes::OnDisk { path, .. } => {
            let open = || {
                regular(path)?;
                Source::file(File::open(path)?)
            };
            open().map_err(|source| Error::Read { path: path.clone(), source })?
        }
    };
    let file = TorchFile::from_source(source).map_err(refused)?;
    let mut prefix = String::new();
    while file.names().any(|name| name.strip_prefix(&prefix).is_some_and(|name| name.starts_with(STATE_DICT))) {
        prefix.push_str(STATE_DICT);
    }
    let mut tensors = BTreeMap::new();
    for name in file.names() {
        let (Some(short), Some(place)) = (name.strip_prefix(&prefix), file.place(name)) else { continue };
        let dtype = dtype(place.element);
        let stored = Stored { dtype, shape: place.shape, start: place.start, strides: place.strides };
        tensors.insert(short.to_owned(), stored);
    }
    if tensors.is_empty() {
        return Err(refused(TorchFileError::NotAnArchive { reason: "it names no tensors".into() }));
    }
    Ok(Header { metadata: HashMap::new(), tensors })
}

fn dtype(element: ElementType) -> Dtype {
    match element {
        ElementType::F32 => Dtype::F32,
        ElementType::F64 => Dtype::F64,
        ElementType::F16 => Dtype::F16,
        ElementType::Bf16 => Dtype::BF16,
        ElementType::I64 => Dtype::I64,
        ElementType::I32 => Dtype::I32,
        ElementType::I16 => Dtype::I16,
        ElementType::I8 => Dtype::I8,
        ElementType::U8 => Dtype::U8,
        ElementType::Bool => Dtype::BOOL,
    }
}
