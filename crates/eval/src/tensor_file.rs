//! Tensors on their way to a .safetensors file.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::Read,
    path::Path,
};

use memscope_results::files::{Existing, write_over};
use safetensors::{Dtype, serialize, tensor::TensorView};

use crate::error::{Error, Result};

/// A tensor by name: its shape and its values in C order, little-endian.
pub struct NamedTensor {
    name: &'static str,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl NamedTensor {
    /// Of f32 values.
    pub fn f32<'v>(name: &'static str, shape: &[usize], values: impl IntoIterator<Item = &'v f32>) -> Self {
        let bytes = values.into_iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name, dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }

    /// A row of u64 values.
    pub fn u64(name: &'static str, values: impl IntoIterator<Item = u64>) -> Self {
        let bytes: Vec<u8> = values.into_iter().flat_map(u64::to_le_bytes).collect();
        Self { name, dtype: Dtype::U64, shape: vec![bytes.len() / size_of::<u64>()], bytes }
    }
}

/// Writes tensors with texts about them, whole or not at all.
///
/// # Errors
/// A shape that does not fit its values, a file that is there and must not be replaced, or a disk that takes no more.
pub fn write_tensors(
    path: &Path,
    tensors: &[NamedTensor],
    about: &BTreeMap<&str, String>,
    existing: Existing,
) -> Result<()> {
    let fail = |error: safetensors::SafeTensorError| Error::Write {
        path: path.to_owned(),
        source: std::io::Error::other(error.to_string()),
    };
    let mut views = vec![];
    for NamedTensor { name, dtype, shape, bytes } in tensors {
        views.push((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(fail)?));
    }
    let about: HashMap<String, String> = about.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let bytes = serialize(views, Some(about)).map_err(fail)?;
    Ok(write_over(path, &bytes, existing)?)
}

/// Bytes of a header at most.
const MOST_HEADER: u64 = 16 << 20;

/// Whether a .safetensors file is as long as its header says.
pub(crate) fn is_whole_tensor_file(path: &Path) -> bool {
    whole_length(path).is_some_and(|whole| fs::metadata(path).is_ok_and(|data| data.is_file() && data.len() == whole))
}

fn whole_length(path: &Path) -> Option<u64> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = Some(u64::from_le_bytes(length)).filter(|length| *length <= MOST_HEADER)?;
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_reader(file.take(length)).ok()?;
    let end = |tensor: &serde_json::Value| tensor.get("data_offsets")?.get(1)?.as_u64();
    Some(8 + length + header.values().filter_map(end).max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let values = [1.0_f32, -2.5, 3.0];
        let tensors = || [NamedTensor::f32("x", &[3, 1], &values), NamedTensor::u64("t", [7, u64::MAX])];
        let about = BTreeMap::from([("key", "text".to_owned())]);
        write_tensors(&path, &tensors(), &about, Existing::Refuse).unwrap();
        assert!(write_tensors(&path, &tensors(), &about, Existing::Refuse).is_err());
        let bytes = fs::read(&path).unwrap();
        let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!((read.tensor("x").unwrap().shape(), read.tensor("t").unwrap().dtype()), (&[3, 1][..], Dtype::U64));
        assert_eq!(read.tensor("x").unwrap().data()[4..8], (-2.5_f32).to_le_bytes());
        assert!(is_whole_tensor_file(&path));
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(!is_whole_tensor_file(&path) && !is_whole_tensor_file(folder.path()));
        assert!(write_tensors(&path, &[NamedTensor::f32("x", &[2], &values)], &about, Existing::Replace).is_err());
    }
}
