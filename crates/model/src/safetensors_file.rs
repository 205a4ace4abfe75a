//! The header of a safetensors file.

use std::collections::{BTreeMap, HashMap};

use memscope_text::excerpt;
use safetensors::{Dtype, tensor::Metadata};

use crate::{
    bytes::Bytes,
    error::{Error, Result},
};

/// Longest header of the format, as its own library reads it.
const LONGEST_HEADER: u64 = 100_000_000;

/// Where one tensor lies in a file.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// First byte, counted from the beginning of the file.
    pub(crate) start: u64,
}

/// What the header says.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    /// The texts under `__metadata__`.
    pub(crate) metadata: HashMap<String, String>,
    /// The tensors by name.
    pub(crate) tensors: BTreeMap<String, Stored>,
}

impl Header {
    /// Reads and checks the header of a file; `label` names it in messages. The tensors' bytes are not read.
    ///
    /// # Errors
    ///
    /// Where the file is not a complete safetensors file, or cannot be read.
    pub(crate) fn read(label: &str, bytes: &Bytes) -> Result<Self> {
        let damaged = |reason: String| Error::DamagedWeights { file: label.to_owned(), reason };
        let unreadable = |source| Error::Read { path: label.into(), source };
        let len = bytes.len();
        if len < 8 {
            return Err(damaged("it ends before its header".into()));
        }
        let mut reader = bytes.reader().map_err(unreadable)?;
        let first: &[u8] = reader.read(0..8).map_err(unreadable)?;
        let header = first.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        if header > LONGEST_HEADER || header + 8 > len {
            return Err(damaged(format!("its first 8 bytes announce a header of {header} bytes, the file has {len}")));
        }
        let start = 8 + header;
        let text = reader.read(8..start).map_err(unreadable)?;
        let parsed: Metadata = serde_json::from_slice(text).map_err(|e| damaged(format!("header: {e}")))?;
        let mut tensors = BTreeMap::new();
        let mut infos: Vec<_> = parsed.tensors().into_iter().collect();
        infos.sort_by_key(|(_, info)| info.data_offsets);
        let mut next = 0;
        for (name, info) in infos {
            let (from, to) = info.data_offsets;
            let numbers = info.shape.iter().try_fold(1usize, |n, dim| n.checked_mul(*dim));
            let bits = numbers.and_then(|n| n.checked_mul(info.dtype.bitsize()));
            if from != next || to < from || bits.is_none_or(|bits| bits % 8 != 0 || bits / 8 != to - from) {
                return Err(damaged(format!("tensor '{}': shape and place do not fit", excerpt(&name))));
            }
            if start + to as u64 > len {
                return Err(damaged(format!(
                    "tensor '{}' ends at byte {}, the file has {len}",
                    excerpt(&name),
                    start + to as u64
                )));
            }
            next = to;
            let stored = Stored { dtype: info.dtype, shape: info.shape.clone(), start: start + from as u64 };
            tensors.insert(name, stored);
        }
        if start + next as u64 != len {
            return Err(damaged(format!("its tensors end at byte {}, the file has {len}", start + next as u64)));
        }
        Ok(Self { metadata: parsed.metadata().clone().unwrap_or_default(), tensors })
    }
}
