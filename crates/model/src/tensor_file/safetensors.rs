//! The header of a safetensors file.

use std::collections::BTreeMap;

use memscope_text::excerpt;
use safetensors::tensor::Metadata;

use super::{Header, Stored};
use crate::{
    bytes::Bytes,
    error::{Error, Result},
};

/// Longest header of the format, as its own library reads it.
const LONGEST_HEADER: u64 = 100_000_000;

/// Whether a file of that length may be one of safetensors by its first eight bytes, the length of its header.
pub(super) fn may_begin(head: &[u8], len: u64) -> bool {
    let header = head.first_chunk().map(|head| u64::from_le_bytes(*head));
    header.is_some_and(|header| header <= LONGEST_HEADER && header + 8 <= len)
}

/// Reads and checks the header.
pub(super) fn read(label: &str, bytes: &Bytes) -> Result<Header> {
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
        let stored = Stored { dtype: info.dtype, shape: info.shape.clone(), start: start + from as u64, strides: None };
        tensors.insert(name, stored);
    }
    if start + next as u64 != len {
        return Err(damaged(format!("its tensors end at byte {}, the file has {len}", start + next as u64)));
    }
    Ok(Header { metadata: parsed.metadata().clone().unwrap_or_default(), tensors })
}
