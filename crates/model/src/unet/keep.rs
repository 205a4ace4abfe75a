//! What a trace keeps for the way back, and the memory that all traces share for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which steps of a trace keep what their way back needs; the others are run again.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    steps: Steps,
    /// Held as long as what is kept.
    _lease: Option<Arc<Lease>>,
}

#[derive(Clone, Debug, Default)]
enum Steps {
    #[default]
    None,
    All,
    Some(Vec<bool>),
}

impl Keep {
    /// No step: the least memory.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every step: the least time.
    pub fn all() -> Self {
        Self { steps: Steps::All, _lease: None }
    }

    /// These steps, in memory that is handed back with the last clone of the result.
    pub(crate) fn some(steps: Vec<bool>, lease: Lease) -> Self {
        Self { steps: Steps::Some(steps), _lease: Some(Arc::new(lease)) }
    }

    /// Whether step `index` is kept.
    pub(super) fn contains(&self, index: usize) -> bool {
        match &self.steps {
            Steps::None => false,
            Steps::All => true,
            Steps::Some(steps) => steps.get(index).is_some_and(|kept| *kept),
        }
    }
}

/// Bytes that the traces of one model may keep together. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct TraceMemory {
    left: Arc<Mutex<u64>>,
}

impl TraceMemory {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { left: Arc::new(Mutex::new(bytes)) }
    }

    fn left(&self) -> MutexGuard<'_, u64> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends what `choose` takes of the bytes that are left.
    pub(crate) fn lend<T>(&self, choose: impl FnOnce(u64) -> (T, u64)) -> (T, Lease) {
        let mut left = self.left();
        let (chosen, bytes) = choose(*left);
        let bytes = bytes.min(*left);
        *left -= bytes;
        (chosen, Lease { memory: self.clone(), bytes })
    }
}

/// Bytes that are handed back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    memory: TraceMemory,
    bytes: u64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self.memory.left() += self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_comes_back_with_the_last_holder() {
        let memory = TraceMemory::new(100);
        let (chosen, lease) = memory.lend(|left| (left, 70));
        assert_eq!((chosen, *memory.left()), (100, 30));
        let keep = Keep::some(vec![true, false], lease);
        assert_eq!([0, 1, 2].map(|index| keep.contains(index)), [true, false, false]);
        let clone = keep.clone();
        drop(keep);
        assert_eq!(memory.lend(|left| (left, 1000)).0, 30);
        drop(clone);
        assert_eq!(*memory.left(), 100);
    }
}
