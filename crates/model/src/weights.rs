//! Tensors of weight files (one, or shards), checked against what the network asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::VarBuilder;
use half::f16;
use memscope_text::excerpt;

use crate::{
    bytes::Bytes,
    checkpoint::{Entry, Network, View},
    error::{Error, Result},
    execution::{DeviceChoice, Execution, Place},
    files::ModelFiles,
    layout::weight_files,
    lora::Changes,
    numbers::read_view,
    tensor_file::Header,
};

/// All tensors of one network, unread, where they shall be read to, and which of them have been asked for.
pub(crate) struct Weights {
    /// The folder of the network.
    folder: String,
    label: String,
    shards: Vec<(String, Bytes)>,
    entries: BTreeMap<String, Entry>,
    changes: Option<Arc<Changes>>,
    is_single_file: bool,
    place: Place,
    used: Mutex<BTreeSet<String>>,
}

impl Weights {
    /// Opens `folder/stem.safetensors` or its shards, PyTorch's files in their place, of the model's variant, or
    /// the network's part of a single file.
    pub(crate) fn open(files: &ModelFiles, folder: &str, stem: &str, place: Place) -> Result<Self> {
        let (changes, used) = (files.changes().cloned(), Mutex::default());
        let folder = folder.to_owned();
        if let Some(checkpoint) = files.checkpoint() {
            let network = checkpoint.network(&folder).cloned().ok_or_else(|| Error::Checkpoint {
                file: files.name(),
                reason: match folder.as_str() {
                    "vae" => "it holds no VAE (first_stage_model.*); give one with --vae FILE".into(),
                    _ => format!("it holds no {folder}"),
                },
            })?;
            let label = network.shards.first().map_or_else(|| files.name(), |(label, _)| label.clone());
            let Network { shards, entries } = network;
            return Ok(Self { folder, label, shards, entries, changes, is_single_file: true, place, used });
        }
        let names = weight_files(files, &folder, stem)?;
        let label = names.first().map_or_else(|| files.label(&folder), |name| files.label(name));
        let (shards, entries) = (vec![], BTreeMap::new());
        let mut weights = Self { folder, label, shards, entries, changes, is_single_file: false, place, used };
        for name in names {
            weights.add_shard(files.label(&name), files.open(&name)?)?;
        }
        Ok(weights)
    }

    fn add_shard(&mut self, label: String, bytes: Bytes) -> Result<()> {
        let header = Header::read(&label, &bytes)?;
        let shard = self.shards.len();
        for (name, stored) in header.tensors {
            if let Some(first) = self.entries.get(&name) {
                return Err(Error::TensorTwice {
                    tensor: excerpt(&name),
                    first: self.shards[first.shard].0.clone(),
                    second: label,
                });
            }
            self.entries.insert(name, Entry { shard, stored, view: View::Whole });
        }
        self.shards.push((label, bytes));
        Ok(())
    }

    /// The shapes of a network's tensors; nothing is read but headers.
    pub(crate) fn shapes(files: &ModelFiles, folder: &str, stem: &str) -> Result<BTreeMap<String, Vec<usize>>> {
        let weights = Self::open(
            files,
            folder,
            stem,
            Place::open(Execution { device: DeviceChoice::Cpu, ..Execution::default() })?,
        )?;
        let shapes = weights.entries.into_iter().map(|(name, entry)| (name, entry.view.shape(&entry.stored.shape)));
        Ok(shapes.collect())
    }

    /// Numbers of all tensors together, and the formats they are stored in.
    pub(crate) fn summary(&self) -> (u64, BTreeSet<String>) {
        let numbers = self.entries.values().map(|entry| entry.view.range(&entry.stored.shape).1 as u64).sum();
        (numbers, self.entries.values().map(|entry| format!("{:?}", entry.stored.dtype)).collect())
    }

    /// Everything below a prefix, e.g. `down_blocks.0`.
    pub(crate) fn root(&self) -> Scope<'_> {
        Scope { weights: self, prefix: String::new() }
    }

    /// The names of all tensors, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
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
        let (stored, view) = (&entry.stored, entry.view);
        // In single files a 1x1 convolution may stand for a dense layer.
        if stored.shape != expected && !(self.is_single_file && view.fits(&stored.shape, expected)) {
            return Err(Error::TensorShape {
                file: file.clone(),
                tensor: name.to_owned(),
                expected: expected.to_vec(),
                got: view.shape(&stored.shape),
            });
        }
        let data = read_view(file, name, bytes, stored, view)?;
        let data = match &self.changes {
            Some(changes) => changes.apply(&self.folder, name, expected, data)?,
            None => data,
        };
        if self.changes.is_some() && data.iter().any(|x| !x.is_finite()) {
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

    /// Fails when the file holds tensors nobody asked for, apart from those that are `ignored`.
    pub(crate) fn finish(&self, ignored: impl Fn(&str) -> bool) -> Result<()> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let extra: Vec<&String> = self.entries.keys().filter(|name| !used.contains(*name) && !ignored(name)).collect();
        match extra.first() {
            None => Ok(()),
            Some(first) => {
                Err(Error::ExtraTensors { file: self.label.clone(), count: extra.len(), first: excerpt(first) })
            }
        }
    }
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

    pub(crate) fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.weights.get(&self.at(name).prefix, shape)
    }
}

impl Weights {
    /// What candle's builders make of the tensors, in f32 on the place's device.
    ///
    /// # Errors
    ///
    /// A tensor that is missing or does not fit, as [`Error`] says it; an operation that fails.
    pub(crate) fn build<T>(&self, build: impl FnOnce(VarBuilder) -> candle_core::Result<T>) -> Result<T> {
        let error = Mutex::new(None);
        let backend = Box::new(CandleBackend { weights: self, error: &error });
        let built = build(VarBuilder::from_backend(backend, DType::F32, self.place.device.clone()));
        built
            .map_err(|flat| error.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(Error::Compute(flat)))
    }
}

/// Lends [`Weights`] to candle-transformers' builders, keeping the typed error that candle would flatten.
struct CandleBackend<'a> {
    weights: &'a Weights,
    error: &'a Mutex<Option<Error>>,
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
