//! The records of a store in memory: 24 bytes and the numbers for each, as a store may have millions.

use std::collections::HashMap;

use crate::{
    error::{Error, Result},
    plan::Key,
};

/// Numbers by key.
#[derive(Default)]
pub(super) struct Records {
    places: HashMap<Key, Place>,
    /// The numbers of all records one after the other; those of removed ones stay.
    values: Vec<f64>,
}

#[derive(Clone, Copy)]
struct Place {
    start: u32,
    count: u32,
}

impl Records {
    pub(super) fn get(&self, key: &Key) -> Option<&[f64]> {
        let place = self.places.get(key)?;
        let start = place.start as usize;
        self.values.get(start..start + place.count as usize)
    }

    /// Adds a record, in the place of one of the same key.
    ///
    /// # Errors
    /// When there are more numbers than 2³², 34 GB.
    pub(super) fn insert(&mut self, key: Key, values: &[f64]) -> Result<()> {
        let full = |_| Error::internal("a store has more than 4,294,967,295 numbers");
        let start = u32::try_from(self.values.len()).map_err(full)?;
        let count = u32::try_from(values.len()).map_err(full)?;
        self.values.extend_from_slice(values);
        self.places.insert(key, Place { start, count });
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.places.remove(key);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &[f64])> {
        self.places.keys().filter_map(|key| Some((*key, self.get(key)?)))
    }
}
