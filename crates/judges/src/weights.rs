//! Named tensors of a safetensors or PyTorch file, in f32.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Device, Tensor};
use half::{bf16, f16};
use memscope_torch_file::{ElementType, Source, TorchFile, is_torch_file};
use safetensors::{Dtype, tensor::Metadata};
use serde::Deserialize;

use crate::{
    error::{Error, Result},
    files::Files,
};

/// Most bytes of a safetensors header, as the format's own reader has it.
const MAX_HEADER: u64 = 100_000_000;

/// The tensors of one network, unread.
#[derive(Debug)]
pub(crate) struct Weights {
    label: String,
    parts: Vec<Part>,
    device: Device,
}

/// A file of tensors.
#[derive(Debug)]
enum Part {
    Safetensors { source: Source, tensors: BTreeMap<String, Stored> },
    Torch(TorchFile),
}

/// A tensor in a safetensors file.
#[derive(Debug)]
struct Stored {
    element: Option<ElementType>,
    dtype: Dtype,
    shape: Vec<usize>,
    start: u64,
    length: u64,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    /// Opens a file of tensors, or, where `name` ends in `.index.json`, the files that it lists.
    pub(crate) fn open(files: &Files, name: &str, device: &Device) -> Result<Self> {
        let label = files.file_label(name);
        let mut parts = vec![];
        if name.ends_with(".index.json") {
            let index: Index = serde_json::from_slice(&files.required_text(name)?)
                .map_err(|e| Error::Config { file: label.clone(), reason: e.to_string() })?;
            let folder = name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            for shard in index.weight_map.into_values().collect::<BTreeSet<_>>() {
                if shard.contains(['/', '\\']) {
                    let reason = "it names a file in another folder".to_owned();
                    return Err(Error::Config { file: label, reason });
                }
                parts.push(open_part(files, &format!("{folder}{shard}"))?);
            }
        } else {
            parts.push(open_part(files, name)?);
        }
        Ok(Self { label, parts, device: device.clone() })
    }

    /// The file's name, for messages.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The shape of a tensor.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match self.find(name)? {
            Part::Safetensors { tensors, .. } => tensors.get(name).map(|stored| stored.shape.clone()),
            Part::Torch(file) => file.layout(name).map(|(_, shape)| shape),
        }
    }

    /// All names, sorted within each file.
    pub(crate) fn names(&self) -> Vec<&str> {
        fn names(part: &Part) -> Vec<&str> {
            match part {
                Part::Safetensors { tensors, .. } => tensors.keys().map(String::as_str).collect(),
                Part::Torch(file) => file.names().collect(),
            }
        }
        self.parts.iter().flat_map(names).collect()
    }

    /// A number among the attributes of a TorchScript module.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.parts.iter().find_map(|part| match part {
            Part::Torch(file) => file.number(name),
            Part::Safetensors { .. } => None,
        })
    }

    /// The numbers of a tensor that must have that shape.
    pub(crate) fn vector(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>> {
        let missing = || Error::MissingTensor { file: self.label.clone(), tensor: name.to_owned() };
        let part = self.find(name).ok_or_else(missing)?;
        let got = self.shape(name).ok_or_else(missing)?;
        if got != expected {
            return Err(Error::TensorShape {
                file: self.label.clone(),
                tensor: name.to_owned(),
                expected: expected.to_vec(),
                got,
            });
        }
        let (element, bytes) = self.read(part, name)?;
        let wrong_type =
            |element: String| Error::TensorType { file: self.label.clone(), tensor: name.to_owned(), element };
        let numbers = element.and_then(|element| to_f32(element, &bytes));
        let numbers = numbers.ok_or_else(|| {
            wrong_type(match part {
                Part::Safetensors { tensors, .. } => format!("{:?}", tensors.get(name).map(|stored| stored.dtype)),
                Part::Torch(_) => format!("{element:?}"),
            })
        })?;
        if !numbers.iter().all(|x| x.is_finite()) {
            return Err(Error::NonFinite { file: self.label.clone(), tensor: name.to_owned() });
        }
        Ok(numbers)
    }

    /// The same as a tensor on the device.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.on_device(self.vector(name, shape)?, shape)
    }

    pub(crate) fn on_device(&self, numbers: Vec<f32>, shape: &[usize]) -> Result<Tensor> {
        Ok(Tensor::from_vec(numbers, shape, &self.device)?)
    }

    fn find(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| match part {
            Part::Safetensors { tensors, .. } => tensors.contains_key(name),
            Part::Torch(file) => file.layout(name).is_some(),
        })
    }

    fn read(&self, part: &Part, name: &str) -> Result<(Option<ElementType>, Vec<u8>)> {
        match part {
            Part::Torch(file) => {
                let refused = |source| Error::TorchFile { file: self.label.clone(), source };
                let tensor = file.read(name).map_err(refused)?;
                Ok((Some(tensor.element), tensor.bytes))
            }
            Part::Safetensors { source, tensors } => {
                let missing = || Error::MissingTensor { file: self.label.clone(), tensor: name.to_owned() };
                let stored = tensors.get(name).ok_or_else(missing)?;
                let bytes = source.read(stored.start, stored.length);
                let bytes = bytes.map_err(|source| Error::Read { file: self.label.clone(), source })?;
                Ok((stored.element, bytes))
            }
        }
    }
}

fn open_part(files: &Files, name: &str) -> Result<Part> {
    let file = files.file_label(name);
    let source = files.open(name)?;
    let head = source.read(0, source.length().min(8)).map_err(|source| Error::Read { file: file.clone(), source })?;
    if is_torch_file(&head) {
        return TorchFile::from_source(source).map(Part::Torch).map_err(|source| Error::TorchFile { file, source });
    }
    read_header(source, &head).map_err(|reason| Error::Safetensors { file, reason })
}

fn read_header(source: Source, head: &[u8]) -> std::result::Result<Part, String> {
    let length = head.first_chunk::<8>().map(|head| u64::from_le_bytes(*head)).ok_or("it is too short")?;
    if length > MAX_HEADER {
        return Err("its header is too long".to_owned());
    }
    let header = source.read(8, length).map_err(|e| e.to_string())?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| e.to_string())?;
    let mut tensors = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        let (begin, end) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        let count = info.shape.iter().try_fold(1_u64, |count, size| count.checked_mul(*size as u64));
        let bits = count.and_then(|count| count.checked_mul(info.dtype.bitsize() as u64));
        let bytes = end.checked_sub(begin).filter(|bytes| bytes.checked_mul(8) == bits);
        let bytes = bytes.ok_or("a tensor's bytes do not fit its shape")?;
        let start = (8 + length).checked_add(begin).ok_or("a tensor lies beyond all files")?;
        if start.checked_add(bytes).is_none_or(|end| end > source.length()) {
            return Err(format!("it ends at byte {}, before its tensors do", source.length()));
        }
        let element = element_type(info.dtype);
        tensors.insert(name, Stored { element, dtype: info.dtype, shape: info.shape.clone(), start, length: bytes });
    }
    Ok(Part::Safetensors { source, tensors })
}

fn element_type(dtype: Dtype) -> Option<ElementType> {
    match dtype {
        Dtype::F32 => Some(ElementType::F32),
        Dtype::F64 => Some(ElementType::F64),
        Dtype::F16 => Some(ElementType::F16),
        Dtype::BF16 => Some(ElementType::Bf16),
        _ => None,
    }
}

/// `None` where the elements are no floating-point numbers.
fn to_f32(element: ElementType, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|chunk| convert(*chunk)).collect()
    }
    match element {
        ElementType::F32 => Some(each(bytes, f32::from_le_bytes)),
        ElementType::F64 => Some(each(bytes, |b| f64::from_le_bytes(b) as f32)),
        ElementType::F16 => Some(each(bytes, |b| f16::from_le_bytes(b).to_f32())),
        ElementType::Bf16 => Some(each(bytes, |b| bf16::from_le_bytes(b).to_f32())),
        _ => None,
    }
}
