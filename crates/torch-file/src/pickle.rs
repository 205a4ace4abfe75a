//! A pickle machine that can build plain values only.
//!
//! It knows the instructions that torch.save (pickle protocol 2) and TorchScript write, and the names of [`Global`]; it
//! calls nothing. Values lie in one vector and refer to each other by index, so that deep nesting cannot exhaust the
//! stack and a value that is referred to many times exists once.

use std::collections::HashMap;

use memscope_text::excerpt;

use crate::{
    error::{Result, TorchFileError},
    globals::{ElementType, Global},
};

/// Most values of a pickle; bounds its memory.
const MAX_VALUES: usize = 1_000_000;

/// Index of a value.
pub(crate) type Id = usize;

/// What a pickle describes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// A TorchScript module with its attributes, once they are there.
    Object(Option<Id>),
    /// Something that says nothing about tensors.
    Ignored,
    Storage(StorageRef),
    Tensor(TensorRef),
}

/// A storage: elements in a file of the archive.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StorageRef {
    pub(crate) key: String,
    pub(crate) element: ElementType,
    pub(crate) elements: u64,
}

/// A tensor: a view of a storage. Sizes in elements.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TensorRef {
    pub(crate) storage: StorageRef,
    pub(crate) offset: u64,
    pub(crate) shape: Vec<u64>,
    pub(crate) strides: Vec<u64>,
}

/// All values of a pickle, and which of them is the outermost.
pub(crate) struct Values {
    values: Vec<Value>,
    pub(crate) root: Id,
}

impl Values {
    pub(crate) fn get(&self, id: Id) -> &Value {
        // Ids are only made by `Machine::add`.
        self.values.get(id).unwrap_or(&Value::None)
    }

    /// All storages that are named.
    pub(crate) fn storages(&self) -> impl Iterator<Item = &StorageRef> {
        self.values.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some(storage),
            _ => None,
        })
    }
}

/// Reads a pickle to its end.
///
/// # Errors
/// On instructions, names or values that PyTorch does not write for tensors, and on damaged pickles.
pub(crate) fn read(pickle: &[u8]) -> Result<Values> {
    Machine::new(pickle).run()
}

/// What follows the instructions of one pickle.
pub(crate) struct Machine<'a> {
    pickle: &'a [u8],
    position: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(pickle: &'a [u8]) -> Self {
        Self { pickle, position: 0, values: vec![], stack: vec![], marks: vec![], memo: HashMap::new() }
    }
}

impl Machine<'_> {
    /// Bytes that have been read.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Reads to the end of the pickle; bytes behind it stay unread.
    ///
    /// # Errors
    /// As [`read`].
    pub(crate) fn run(&mut self) -> Result<Values> {
        let root = self.root()?;
        Ok(Values { values: std::mem::take(&mut self.values), root })
    }

    fn root(&mut self) -> Result<Id> {
        loop {
            let offset = self.position;
            let [opcode] = self.bytes()?;
            match opcode {
                b'.' => return self.pop(),
                0x80 => self.protocol()?,
                b'(' => self.marks.push(self.stack.len()),
                b'q' | b'r' | b'h' | b'j' => self.memo(opcode)?,
                b'N' | 0x88 | 0x89 | b'K' | b'M' | b'J' | 0x8a | b'G' | b'X' => self.scalar(opcode)?,
                b')' => self.push(Value::Tuple(vec![]))?,
                b']' => self.push(Value::List(vec![]))?,
                b'}' => self.push(Value::Dict(vec![]))?,
                0x85..=0x87 => self.short_tuple(usize::from(opcode - 0x84))?,
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.push(Value::Tuple(items))?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.append(items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set_items(&[key, value])?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.set_items(&items)?;
                }
                b'c' => self.global()?,
                b'R' => self.reduce()?,
                0x81 => self.new_object()?,
                b'b' => self.build()?,
                b'Q' => self.persistent()?,
                _ => return Err(TorchFileError::Opcode { opcode, offset }),
            }
        }
    }

    fn damaged(&self, reason: &'static str) -> TorchFileError {
        TorchFileError::Pickle { offset: self.position, reason }
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.pickle.get(self.position..).and_then(|rest| rest.first_chunk::<N>());
        let bytes = *bytes.ok_or_else(|| self.damaged("it ends too early"))?;
        self.position += N;
        Ok(bytes)
    }

    fn text(&mut self, length: usize) -> Result<String> {
        let end = self.position.checked_add(length);
        let bytes = end.and_then(|end| self.pickle.get(self.position..end));
        let bytes = bytes.ok_or_else(|| self.damaged("a text ends too early"))?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.damaged("a text is not UTF-8"))?;
        self.position += length;
        Ok(text.to_owned())
    }

    fn line(&mut self) -> Result<String> {
        let rest = self.pickle.get(self.position..).unwrap_or_default();
        let length = rest.iter().position(|b| *b == b'\n').ok_or_else(|| self.damaged("a name does not end"))?;
        let line = self.text(length)?;
        self.position += 1;
        Ok(line)
    }

    fn push(&mut self, value: Value) -> Result<()> {
        if self.values.len() >= MAX_VALUES {
            let (size, limit) = (self.values.len() as u64 + 1, MAX_VALUES as u64);
            return Err(TorchFileError::TooLarge { what: "the number of values in its pickle", size, limit });
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.damaged("an instruction lacks its operand"));
        }
        self.stack.pop().ok_or_else(|| self.damaged("an instruction lacks its operand"))
    }

    fn top(&self) -> Result<Id> {
        self.stack.last().copied().ok_or_else(|| self.damaged("an instruction lacks its operand"))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let height = self.marks.pop().ok_or_else(|| self.damaged("a mark is missing"))?;
        if height > self.stack.len() {
            return Err(self.damaged("a mark is out of place"));
        }
        Ok(self.stack.split_off(height))
    }

    fn value(&self, id: Id) -> &Value {
        self.values.get(id).unwrap_or(&Value::None)
    }

    fn protocol(&mut self) -> Result<()> {
        let [version] = self.bytes()?;
        if (2..=3).contains(&version) { Ok(()) } else { Err(self.damaged("only pickle protocols 2 and 3 are read")) }
    }

    fn memo(&mut self, opcode: u8) -> Result<()> {
        let key = match opcode {
            b'q' | b'h' => u32::from(self.bytes::<1>()?[0]),
            _ => u32::from_le_bytes(self.bytes()?),
        };
        if matches!(opcode, b'q' | b'r') {
            let top = self.top()?;
            self.memo.insert(key, top);
        } else {
            let id = self.memo.get(&key).copied().ok_or_else(|| self.damaged("it refers to nothing"))?;
            self.stack.push(id);
        }
        Ok(())
    }

    fn scalar(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(i64::from(self.bytes::<1>()?[0])),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.bytes()?))),
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.bytes()?))),
            0x8a => self.long()?,
            b'G' => Value::Float(f64::from_be_bytes(self.bytes()?)),
            _ => {
                let length = u32::from_le_bytes(self.bytes()?);
                Value::Text(self.text(length as usize)?)
            }
        };
        self.push(value)
    }

    /// A signed integer. One of more than eight bytes (the state of a random generator, the magic number) is no size.
    fn long(&mut self) -> Result<Value> {
        let [count] = self.bytes()?;
        let mut bytes = [0; 8];
        let count = usize::from(count);
        if count > bytes.len() {
            let end = self.position + count;
            if end > self.pickle.len() {
                return Err(self.damaged("it ends too early"));
            }
            self.position = end;
            return Ok(Value::Ignored);
        }
        for byte in bytes.iter_mut().take(count) {
            [*byte] = self.bytes()?;
        }
        let unused = 64 - 8 * count as u32;
        Ok(Value::Int(if count == 0 { 0 } else { (i64::from_le_bytes(bytes) << unused) >> unused }))
    }

    fn short_tuple(&mut self, count: usize) -> Result<()> {
        let mut items = vec![];
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Value::Tuple(items))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let top = self.top()?;
        match self.values.get_mut(top) {
            Some(Value::List(list)) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(self.damaged("items are appended to what is no list")),
        }
    }

    fn set_items(&mut self, items: &[Id]) -> Result<()> {
        let (pairs, rest) = items.as_chunks::<2>();
        let top = self.top()?;
        match self.values.get_mut(top) {
            Some(Value::Dict(dict)) if rest.is_empty() => {
                dict.extend(pairs.iter().map(|[key, value]| (*key, *value)));
                Ok(())
            }
            _ => Err(self.damaged("items are set in what is no dictionary")),
        }
    }

    fn global(&mut self) -> Result<()> {
        let (module, name) = (self.line()?, self.line()?);
        self.push(Value::Global(Global::find(&module, &name)?))
    }

    /// A call: only those of [`Global`] have a meaning.
    fn reduce(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Tuple(arguments) = self.value(arguments) else {
            return Err(self.damaged("a call has no arguments"));
        };
        let Value::Global(function) = self.value(function) else {
            return Err(self.damaged("something else than a function is called"));
        };
        // The first few only: a long tuple could be passed a million times.
        let (function, arguments) = (function.clone(), arguments.iter().take(4).copied().collect::<Vec<_>>());
        match (function, arguments.as_slice()) {
            (Global::Ignored, _) => self.push(Value::Ignored),
            (Global::OrderedDict, []) => self.push(Value::Dict(vec![])),
            (Global::RebuildTensor, [storage, offset, shape, strides, ..]) => {
                let tensor = self.tensor(*storage, *offset, *shape, *strides)?;
                self.push(Value::Tensor(tensor))
            }
            (Global::RebuildParameter | Global::Typed | Global::Size, [first, ..]) => {
                self.stack.push(*first);
                Ok(())
            }
            _ => Err(self.damaged("a call has other arguments than PyTorch gives it")),
        }
    }

    fn new_object(&mut self) -> Result<()> {
        let (_, class) = (self.pop()?, self.pop()?);
        match self.value(class) {
            Value::Global(Global::Class) => self.push(Value::Object(None)),
            Value::Global(Global::Ignored) => self.push(Value::Ignored),
            _ => Err(self.damaged("an object of an unexpected class is made")),
        }
    }

    /// Attributes. Those of dictionaries (`_metadata` of a state dict) are not needed.
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let top = self.top()?;
        match self.values.get_mut(top) {
            Some(Value::Object(attributes)) => *attributes = Some(state),
            Some(Value::Dict(_) | Value::Ignored) => {}
            _ => return Err(self.damaged("attributes are set on what has none")),
        }
        Ok(())
    }

    /// `('storage', type, key, device, elements)`, in the old layout with a view of another storage, which is not read.
    fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        let Value::Tuple(parts) = self.value(id) else { return Err(self.damaged("a storage has no description")) };
        let [kind, class, key, _, count, view @ ..] = parts.as_slice() else {
            return Err(self.damaged("a storage's description is too short"));
        };
        if view.iter().any(|part| *self.value(*part) != Value::None) {
            return Err(self.damaged("a storage is a view of another one, as torch has not written since 0.4"));
        }
        let (Value::Text(kind), Value::Global(Global::Storage(element)), Value::Text(key), Value::Int(count)) =
            (self.value(*kind), self.value(*class), self.value(*key), self.value(*count))
        else {
            return Err(self.damaged("a storage's description has parts of other types"));
        };
        let is_number = (1..=20).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_digit());
        if !is_number {
            return Err(TorchFileError::EntryName { entry: excerpt(key) });
        }
        let elements = u64::try_from(*count).ok().filter(|_| kind == "storage");
        let elements = elements.ok_or_else(|| self.damaged("a storage has a negative size or another kind"))?;
        let storage = StorageRef { key: key.clone(), element: *element, elements };
        self.push(Value::Storage(storage))
    }

    fn tensor(&self, storage: Id, offset: Id, shape: Id, strides: Id) -> Result<TensorRef> {
        let (Value::Storage(storage), Value::Int(offset)) = (self.value(storage), self.value(offset)) else {
            return Err(self.damaged("a tensor has no storage"));
        };
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        let offset = u64::try_from(*offset).map_err(|_| self.damaged("a tensor begins before its storage"))?;
        if shape.len() != strides.len() {
            return Err(self.damaged("a tensor has more sizes than strides, or fewer"));
        }
        Ok(TensorRef { storage: storage.clone(), offset, shape, strides })
    }

    fn sizes(&self, id: Id) -> Result<Vec<u64>> {
        /// Most dimensions of a tensor.
        const MAX_RANK: usize = 16;
        let (Value::Tuple(items) | Value::List(items)) = self.value(id) else {
            return Err(self.damaged("a tensor has no sizes"));
        };
        if items.len() > MAX_RANK {
            return Err(self.damaged("a tensor has more than 16 dimensions"));
        }
        let size = |id: &Id| match self.value(*id) {
            Value::Int(size) => u64::try_from(*size).map_err(|_| self.damaged("a size or stride is negative")),
            _ => Err(self.damaged("a size is no integer")),
        };
        items.iter().map(size).collect()
    }
}
