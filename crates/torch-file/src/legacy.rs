//! The layout before torch 1.6 (`_use_new_zipfile_serialization=False`): five pickles, then the storages.
//!
//! The pickles are a magic number, the version of the protocol, facts about the machine, the saved object, and the keys
//! of the storages in their order. Each storage is its number of elements (eight bytes) and the elements.

use std::collections::HashMap;

use crate::{
    archive::MAX_PICKLE,
    error::{Result, TorchFileError},
    pickle::{self, Machine, Value, Values},
    source::Source,
    storages::{Storages, Stretch},
};

/// The pickle of the magic number 0x1950a86a20f9469cfc6c.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// Bytes by which the layout is told from others.
pub(crate) const HEAD: u64 = 8;
/// The protocol that torch has written since 0.1.10.
const PROTOCOL: i64 = 1001;

/// Whether the first bytes of a file are those of this layout.
pub(crate) fn begins(head: &[u8]) -> bool {
    let length = head.len().min(HEAD as usize);
    length == HEAD as usize && head[..length] == MAGIC[..length]
}

/// The saved object and where its storages lie.
pub(crate) fn open(source: Source) -> Result<(Values, Storages)> {
    let pickles = source.read(0, source.length().min(MAX_PICKLE))?;
    let mut position = 0;
    let mut next = || {
        let rest = pickles.get(position..).unwrap_or_default();
        let mut machine = Machine::new(rest);
        let values = machine.run().map_err(|error| moved(error, position))?;
        position += machine.position();
        Ok::<_, TorchFileError>(values)
    };
    let [_, version, machine] = [next()?, next()?, next()?];
    if *version.get(version.root) != Value::Int(PROTOCOL) {
        return Err(damaged("its protocol is not 1001"));
    }
    if flag(&machine, "little_endian") == Some(false) {
        return Err(TorchFileError::BigEndian);
    }
    let (object, keys) = (next()?, next()?);
    let places = places(&source, position as u64, &object, &texts(&keys)?)?;
    Ok((object, Storages::new(source, places)))
}

fn damaged(reason: &str) -> TorchFileError {
    TorchFileError::NotAnArchive { reason: reason.to_owned() }
}

/// Places in messages are counted from the beginning of the file.
fn moved(error: TorchFileError, by: usize) -> TorchFileError {
    match error {
        TorchFileError::Opcode { opcode, offset } => TorchFileError::Opcode { opcode, offset: offset + by },
        TorchFileError::Pickle { offset, reason } => TorchFileError::Pickle { offset: offset + by, reason },
        other => other,
    }
}

/// A truth value of the outermost dictionary.
fn flag(values: &Values, name: &str) -> Option<bool> {
    let Value::Dict(items) = values.get(values.root) else { return None };
    items.iter().find_map(|(key, value)| match (values.get(*key), values.get(*value)) {
        (Value::Text(key), Value::Bool(value)) if key == name => Some(*value),
        _ => None,
    })
}

/// The outermost list, of texts.
fn texts(values: &Values) -> Result<Vec<String>> {
    let Value::List(items) = values.get(values.root) else { return Err(damaged("it has no list of storages")) };
    let text = |id: &pickle::Id| match values.get(*id) {
        Value::Text(text) => Ok(text.clone()),
        _ => Err(damaged("a storage's name is no text")),
    };
    items.iter().map(text).collect()
}

/// The storages lie one behind the other, in the order of `keys`.
fn places(source: &Source, first: u64, object: &Values, keys: &[String]) -> Result<HashMap<String, Stretch>> {
    let widths: HashMap<&str, usize> =
        object.storages().map(|storage| (storage.key.as_str(), storage.element.width())).collect();
    let mut places = HashMap::with_capacity(keys.len());
    let mut at = first;
    for key in keys {
        let width = *widths.get(key.as_str()).ok_or_else(|| damaged("it holds a storage that no tensor names"))?;
        let too_short = |_| damaged("its storages end too early (truncated?)");
        let count = source.read(at, 8).map_err(too_short)?;
        let count = count.first_chunk().map_or(0, |count| i64::from_le_bytes(*count));
        let length = u64::try_from(count).ok().and_then(|count| count.checked_mul(width as u64));
        let start = at + 8;
        let end = length.and_then(|length| start.checked_add(length)).filter(|end| *end <= source.length());
        let (Some(length), Some(end)) = (length, end) else {
            return Err(damaged("its storages end too early (truncated?)"));
        };
        if places.insert(key.clone(), Stretch { start, length }).is_some() {
            return Err(damaged("it holds a storage twice"));
        }
        at = end;
    }
    Ok(places)
}
