//! From the values of a pickle to named tensors that fit their storages.

use std::collections::BTreeMap;

use memscope_text::excerpt;

use crate::{
    TensorPlace,
    error::{Result, TorchFileError},
    pickle::{Id, TensorRef, Value, Values},
    storages::Storages,
};

/// Deepest nesting of modules and dictionaries.
const MAX_DEPTH: usize = 64;
/// Most values that are visited. A value that is referred to from many places counts each time.
const MAX_VISITS: u64 = 1_000_000;
/// Most bytes of all names together.
const MAX_NAMES: usize = 64 << 20;

/// Tensors and numbers by dotted name.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) tensors: BTreeMap<String, TensorRef>,
    pub(crate) numbers: BTreeMap<String, f64>,
}

/// Collects the tensors and numbers in dictionaries and modules. Names are joined by dots; lists, texts and other values are left out.
pub(crate) fn collect(values: &Values) -> Result<Named> {
    let mut named = Named::default();
    let mut walk = Walk { values, visits: 0, names: 0, named: &mut named };
    walk.visit(values.root, "", 0)?;
    Ok(named)
}

struct Walk<'a> {
    values: &'a Values,
    visits: u64,
    names: usize,
    named: &'a mut Named,
}

impl Walk<'_> {
    fn visit(&mut self, id: Id, name: &str, depth: usize) -> Result<()> {
        self.visits += 1;
        self.names += name.len();
        within("the number of values in its dictionaries", self.visits, MAX_VISITS)?;
        within("the nesting of its dictionaries", depth as u64, MAX_DEPTH as u64)?;
        within("the length of its names together", self.names as u64, MAX_NAMES as u64)?;
        let values = self.values;
        match values.get(id) {
            Value::Dict(items) => {
                for (key, value) in items {
                    // Also where the key is passed over.
                    self.visits += 1;
                    let name = join(name, values.get(*key));
                    match name {
                        Some(name) => self.visit(*value, &name, depth + 1)?,
                        None => within("the number of values in its dictionaries", self.visits, MAX_VISITS)?,
                    }
                }
            }
            Value::Object(Some(attributes)) => self.visit(*attributes, name, depth + 1)?,
            Value::Tensor(tensor) => self.add(name, tensor)?,
            Value::Int(number) => {
                self.named.numbers.insert(name.to_owned(), *number as f64);
            }
            Value::Float(number) => {
                self.named.numbers.insert(name.to_owned(), *number);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Walk<'_> {
    fn add(&mut self, name: &str, tensor: &TensorRef) -> Result<()> {
        match self.named.tensors.insert(name.to_owned(), tensor.clone()) {
            None => Ok(()),
            Some(_) => {
                let (tensor, reason) = (excerpt(name), "two tensors have this name".to_owned());
                Err(TorchFileError::Tensor { tensor, reason })
            }
        }
    }
}

fn join(prefix: &str, key: &Value) -> Option<String> {
    let key = match key {
        Value::Text(key) => key.clone(),
        Value::Int(key) => key.to_string(),
        _ => return None,
    };
    Some(if prefix.is_empty() { key } else { format!("{prefix}.{key}") })
}

fn within(what: &'static str, size: u64, limit: u64) -> Result<()> {
    if size > limit { Err(TorchFileError::TooLarge { what, size, limit }) } else { Ok(()) }
}

/// Checks that the storages are there, whole, and that every tensor lies inside its own.
pub(crate) fn check(named: &Named, storages: &Storages) -> Result<()> {
    let mut total = 0_u64;
    for (name, tensor) in &named.tensors {
        let refuse = |reason: String| Err(TorchFileError::Tensor { tensor: excerpt(name), reason });
        let storage = &tensor.storage;
        let Some(there) = storages.find(&storage.key).map(|place| place.length) else {
            return refuse(format!("its storage {} is missing", storage.key));
        };
        let claimed = storage.elements.checked_mul(storage.element.width() as u64);
        if claimed != Some(there) {
            return refuse(format!(
                "its storage {} has {there} bytes where {} elements are expected (truncated?)",
                storage.key, storage.elements
            ));
        }
        let Some(bytes) = extent(tensor) else {
            return refuse(format!(
                "its shape {:?} with strides {:?} reaches beyond its storage or repeats elements",
                tensor.shape, tensor.strides
            ));
        };
        total = total.saturating_add(bytes);
    }
    // Weights that are tied share a storage; thousands of views of one storage would be a bomb.
    within("the size of its tensors together in bytes", total, storages.file_length().saturating_mul(4))
}

/// Bytes of a tensor, `None` where it does not lie in its storage or is larger than it.
fn extent(tensor: &TensorRef) -> Option<u64> {
    let TensorRef { storage, offset, shape, strides } = tensor;
    let count = shape.iter().try_fold(1_u64, |count, size| count.checked_mul(*size))?;
    if count == 0 {
        return Some(0);
    }
    let mut last = *offset;
    for (size, stride) in shape.iter().zip(strides) {
        last = last.checked_add((size - 1).checked_mul(*stride)?)?;
    }
    let fits = last < storage.elements && count <= storage.elements;
    fits.then(|| count.checked_mul(storage.element.width() as u64)).flatten()
}

/// Where a tensor of an open file lies.
pub(crate) fn place(tensor: &TensorRef, storages: &Storages) -> Option<TensorPlace> {
    let sizes = |sizes: &[u64]| sizes.iter().map(|size| *size as usize).collect::<Vec<_>>();
    let TensorRef { storage, offset, shape, strides } = tensor;
    let start = storages.find(&storage.key)?.start + offset * storage.element.width() as u64;
    let strides = (!shape.contains(&0) && !is_contiguous(shape, strides)).then(|| sizes(strides));
    Some(TensorPlace { element: storage.element, shape: sizes(shape), start, strides })
}

/// The tensor's bytes in row-major order.
pub(crate) fn read(tensor: &TensorRef, storages: &Storages) -> Result<Vec<u8>> {
    let TensorRef { storage, offset, shape, strides } = tensor;
    let width = storage.element.width();
    let count: u64 = shape.iter().product();
    if count == 0 {
        return Ok(vec![]);
    }
    let span = shape.iter().zip(strides).map(|(size, stride)| (size - 1) * stride).sum::<u64>() + 1;
    let raw = storages.read(&storage.key, offset * width as u64, span * width as u64)?;
    if is_contiguous(shape, strides) {
        return Ok(raw);
    }
    let mut bytes = Vec::with_capacity(count as usize * width);
    let mut index = vec![0_u64; shape.len()];
    for _ in 0..count {
        let at = index.iter().zip(strides).map(|(i, stride)| i * stride).sum::<u64>() as usize * width;
        // The span covers every index: `extent` checked it.
        bytes.extend_from_slice(raw.get(at..at + width).unwrap_or(&[0; 8][..width]));
        for (i, size) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < *size {
                break;
            }
            *i = 0;
        }
    }
    Ok(bytes)
}

fn is_contiguous(shape: &[u64], strides: &[u64]) -> bool {
    let mut expected = 1;
    shape.iter().zip(strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == expected;
        expected *= size;
        fits
    })
}
