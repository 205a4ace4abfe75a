//! Tensors of a safetensors file (sharded or not), checked against what the network asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use candle_core::{DType, Device, Shape, Tensor};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use crate::{
    error::{Error, Result},
    execution::Place,
    files::{Bytes, ModelFiles},
    layout::weight_files,
};

/// Where one tensor lies.
struct Entry {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    range: (usize, usize),
}

/// All tensors of one network, unread, where they shall be read to, and which of them have been asked for.
pub(crate) struct Weights {
    label: String,
    shards: Vec<(String, Bytes)>,
    entries: BTreeMap<String, Entry>,
    place: Place,
    used: Mutex<BTreeSet<String>>,
}

impl Weights {
    /// Opens `folder/stem.safetensors` or its shards (`folder/stem.safetensors.index.json`), of the model's variant.
    pub(crate) fn open(files: &ModelFiles, folder: &str, stem: &str, place: Place) -> Result<Self> {
        let names = weight_files(files, folder, stem)?;
        let label = names.first().map_or_else(|| files.label(folder), |name| files.label(name));
        let mut weights = Self { label, shards: vec![], entries: BTreeMap::new(), place, used: Mutex::default() };
        for name in names {
            weights.add_shard(files.label(&name), files.open(&name)?)?;
        }
        Ok(weights)
    }

    fn add_shard(&mut self, label: String, bytes: Bytes) -> Result<()> {
        let damaged = |reason: String| Error::DamagedWeights { file: label.clone(), reason };
        let data = bytes.whole();
        let (header, metadata) = SafeTensors::read_metadata(data).map_err(|e| damaged(e.to_string()))?;
        let start = header + 8;
        let shard = self.shards.len();
        for (name, info) in metadata.tensors() {
            let range = (start + info.data_offsets.0, start + info.data_offsets.1);
            if range.1 > data.len() {
                return Err(damaged(format!("tensor '{name}' ends at byte {}, the file has {}", range.1, data.len())));
            }
            self.entries.insert(name, Entry { shard, dtype: info.dtype, shape: info.shape.clone(), range });
        }
        self.shards.push((label, bytes));
        Ok(())
    }

    /// Everything below a prefix, e.g. `down_blocks.0`.
    pub(crate) fn root(&self) -> Scope<'_> {
        Scope { weights: self, prefix: String::new() }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The tensor in the place's format and on its device.
    pub(crate) fn get(&self, name: &str, expected: &[usize]) -> Result<Tensor> {
        let entry = self
            .entries
            .get(name)
            .ok_or_else(|| Error::MissingTensor { file: self.label.clone(), tensor: name.to_owned() })?;
        let (file, bytes) = &self.shards[entry.shard];
        if entry.shape != expected {
            return Err(Error::TensorShape {
                file: file.clone(),
                tensor: name.to_owned(),
                expected: expected.to_vec(),
                got: entry.shape.clone(),
            });
        }
        let append = appender(entry.dtype).ok_or_else(|| Error::TensorDtype {
            file: file.clone(),
            tensor: name.to_owned(),
            dtype: format!("{:?}", entry.dtype),
        })?;
        let mut data = Vec::with_capacity(expected.iter().product());
        bytes
            .read(entry.range.0..entry.range.1, |piece| append(&mut data, piece))
            .map_err(|source| Error::Read { path: file.into(), source })?;
        // A sum is finite only if every element is (overflow cannot happen with f64 partial sums of f32).
        if !data.iter().map(|x| f64::from(*x)).sum::<f64>().is_finite() {
            return Err(Error::NonFiniteWeights { file: file.clone(), tensor: name.to_owned() });
        }
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        let Place { dtype, device } = &self.place;
        let largest = f32::from(f16::MAX);
        if *dtype == DType::F16 && data.iter().any(|x| x.abs() > largest) {
            return Err(Error::BeyondHalfPrecision { file: file.clone(), tensor: name.to_owned() });
        }
        // Narrowed before it moves.
        Ok(Tensor::from_vec(data, expected, &Device::Cpu)?.to_dtype(*dtype)?.to_device(device)?)
    }

    /// Fails when the file holds tensors nobody asked for, apart from `ignored` (by suffix).
    pub(crate) fn finish(&self, ignored: &[&str]) -> Result<()> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let extra: Vec<&String> = self
            .entries
            .keys()
            .filter(|name| !used.contains(*name) && !ignored.iter().any(|suffix| name.ends_with(suffix)))
            .collect();
        match extra.first() {
            None => Ok(()),
            Some(first) => {
                Err(Error::ExtraTensors { file: self.label.clone(), count: extra.len(), first: (*first).clone() })
            }
        }
    }
}

/// Appends stored numbers in f32.
type Append = fn(&mut Vec<f32>, &[u8]);

fn appender(dtype: Dtype) -> Option<Append> {
    let append: Append = match dtype {
        Dtype::F32 => |to, raw| to.extend(raw.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
        Dtype::F16 => |to, raw| to.extend(raw.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32())),
        Dtype::BF16 => |to, raw| to.extend(raw.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32())),
        _ => return None,
    };
    Some(append)
}

/// A view of [`Weights`] below a dotted prefix.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
}

impl Scope<'_> {
    pub(crate) fn at(&self, name: impl std::fmt::Display) -> Self {
        let prefix = if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) };
        Self { weights: self.weights, prefix }
    }

    /// The dotted path of this scope.
    pub(crate) fn path(&self) -> String {
        self.prefix.clone()
    }

    pub(crate) fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.weights.get(&self.at(name).prefix, shape)
    }
}

/// Lends [`Weights`] to candle-transformers' builders, keeping the typed error that candle would flatten.
pub(crate) struct CandleBackend<'a> {
    weights: &'a Weights,
    error: &'a Mutex<Option<Error>>,
}

impl<'a> CandleBackend<'a> {
    pub(crate) fn new(weights: &'a Weights, error: &'a Mutex<Option<Error>>) -> Self {
        Self { weights, error }
    }
}

impl candle_nn::var_builder::SimpleBackend for CandleBackend<'_> {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: candle_nn::Init,
        dtype: DType,
        dev: &Device,
    ) -> candle_core::Result<Tensor> {
        match self.weights.get(name, shape.dims()) {
            Ok(tensor) => tensor.to_dtype(dtype)?.to_device(dev),
            Err(error) => {
                let message = error.to_string();
                self.error.lock().unwrap_or_else(PoisonError::into_inner).replace(error);
                Err(candle_core::Error::Msg(message))
            }
        }
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("tensor '{name}' was asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.weights.contains(name)
    }
}
