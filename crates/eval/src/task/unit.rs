//! Units of work, and those of them that are still to be done.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use super::{Calls, Price, Session, SharedPredictions};
use crate::{
    error::Result,
    picture_file::is_whole_picture,
    store::{Key, MeasurementStore, RecordId},
    tensor_file::is_whole_tensor_file,
};

/// Work on one model that can be planned without its weights.
pub trait Task {
    /// The units of the full plan, named by their positions 0.. in it, whatever a store lacks.
    fn units(&self) -> usize;

    /// The parts of a unit, in order. A part is executed whole or not at all.
    fn parts(&self, unit: usize) -> Vec<Part>;

    /// What a unit counts in the display of progress.
    fn weight(&self, unit: usize) -> usize;

    /// The prompts that these units need, in the batches in which they are encoded; the empty prompt of unconditional
    /// predictions is encoded besides, wherever there is a batch. The batches are cut alike in every run, so that a
    /// resumed run gives the same bits.
    fn prompt_batches(&self, open: &[OpenUnit]) -> Vec<Vec<String>>;

    /// How many prompts are in these batches.
    fn prompts(&self, open: &[OpenUnit]) -> usize {
        self.prompt_batches(open).iter().map(Vec::len).sum()
    }

    /// What executing some parts of a unit asks of the networks, beyond the predictions that units before it have asked
    /// for already.
    fn price(&self, open: &OpenUnit, shared: &mut SharedPredictions) -> Price;

    /// Whether its units may be executed on different machines.
    fn is_divisible(&self) -> bool {
        true
    }

    /// Whether a unit needs the pictures that the unit at its position of the task before has drawn, so that both are
    /// executed on one machine.
    fn follows(&self) -> bool {
        false
    }

    /// Makes ready to execute units, in ascending order.
    ///
    /// # Errors
    /// When something that all units need cannot be had, such as a folder.
    fn begin<'s>(&'s self, session: &'s Session<'s>) -> Result<Box<dyn Execute + 's>>;
}

/// Executes the units of a [`Task`].
pub trait Execute {
    /// Executes some parts of a unit, adds what that cost to `calls`, and returns the numbers to be stored. Files are
    /// on the disk when it returns.
    ///
    /// # Errors
    /// When the network fails, a number is not finite, or the user asks to stop.
    fn execute(&mut self, open: &OpenUnit, calls: &mut Calls) -> Result<Vec<(Key, Vec<f64>)>>;
}

/// A part of a unit: the records it makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its records.
    pub records: Vec<RecordId>,
}

/// A unit with the parts of it that lack a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenUnit {
    /// Position in the full plan.
    pub unit: usize,
    /// Positions of the parts.
    pub parts: Vec<usize>,
}

/// Whether stored records count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePolicy {
    /// Measure only what is not stored.
    Reuse,
    /// Measure everything again.
    Replace,
}

/// The records that are there or will be there when a unit's turn comes.
pub struct KnownRecords<'s> {
    store: &'s MeasurementStore,
    planned: &'s mut PlannedRecords,
}

/// What plans made so far add to a store and remove from it. The store itself stays as it is.
#[derive(Debug, Default)]
pub struct PlannedRecords {
    numbers: HashSet<Key>,
    files: HashSet<PathBuf>,
    removed: HashSet<Key>,
    removed_files: HashSet<PathBuf>,
}

impl<'s> KnownRecords<'s> {
    /// The records of a store and of the plans made so far.
    pub fn new(store: &'s MeasurementStore, planned: &'s mut PlannedRecords) -> Self {
        Self { store, planned }
    }

    /// Whether a record is there.
    pub fn holds(&self, record: &RecordId) -> bool {
        match record {
            RecordId::Numbers { key, count } => {
                self.planned.numbers.contains(key)
                    || (!self.planned.removed.contains(key) && self.store.holds(key, *count))
            }
            RecordId::Picture(path) => self.holds_file(path, is_whole_picture),
            RecordId::Tensors(path) => self.holds_file(path, is_whole_tensor_file),
        }
    }

    fn holds_file(&self, path: &Path, is_whole: fn(&Path) -> bool) -> bool {
        let planned = &self.planned;
        planned.files.contains(path) || (!planned.removed_files.contains(path) && is_whole(path))
    }

    fn add(&mut self, record: RecordId) {
        match record {
            RecordId::Numbers { key, .. } => self.planned.numbers.insert(key),
            RecordId::Picture(path) | RecordId::Tensors(path) => self.planned.files.insert(path),
        };
    }

    /// Plans to make all records of a task again.
    pub fn remove_all(&mut self, task: &dyn Task) {
        for record in records(task) {
            match record {
                RecordId::Numbers { key, .. } => {
                    self.planned.numbers.remove(&key);
                    self.planned.removed.insert(key);
                }
                RecordId::Picture(path) | RecordId::Tensors(path) => {
                    self.planned.files.remove(&path);
                    self.planned.removed_files.insert(path);
                }
            }
        }
    }
}

/// All records of a task.
pub(crate) fn records(task: &dyn Task) -> impl Iterator<Item = RecordId> {
    (0..task.units()).flat_map(|unit| task.parts(unit)).flat_map(|part| part.records)
}

/// The units that lack a record, with the parts that do.
pub fn open_units(task: &dyn Task, known: &KnownRecords) -> Vec<OpenUnit> {
    let open = |unit| {
        let lacks = |part: &Part| part.records.iter().any(|record| !known.holds(record));
        let parts: Vec<usize> =
            task.parts(unit).iter().enumerate().filter(|(_, part)| lacks(part)).map(|(i, _)| i).collect();
        (!parts.is_empty()).then_some(OpenUnit { unit, parts })
    };
    (0..task.units()).filter_map(open).collect()
}

/// Weight of the units whose prompts are encoded together, so that what is held of prompts does not grow with their number:
/// 0.12 GB of Stable Diffusion 1.4. Lists of more prompts are encoded again for every noise, which costs a hundredth of their
/// predictions.
const SLAB: usize = 512;

/// Cuts open units into slabs, in order. All of them are one where they need no more prompts than a slab has. A prompt is
/// encoded in the same batch, and so to the same bits, in whichever slab it is needed.
pub(crate) fn slabs<'o>(task: &dyn Task, open: &'o [OpenUnit]) -> Vec<&'o [OpenUnit]> {
    if task.prompts(open) <= SLAB {
        return vec![open];
    }
    let mut slabs = vec![];
    let (mut start, mut weight) = (0, 0);
    for (at, unit) in open.iter().enumerate() {
        let own = task.weight(unit.unit);
        if at > start && weight + own > SLAB {
            slabs.push(&open[start..at]);
            (start, weight) = (at, 0);
        }
        weight += own;
    }
    slabs.push(&open[start..]);
    slabs
}

/// Every unit with all its parts.
pub(crate) fn all_units(task: &dyn Task) -> Vec<OpenUnit> {
    let whole = |unit| OpenUnit { unit, parts: (0..task.parts(unit).len()).collect() };
    (0..task.units()).map(whole).filter(|open| !open.parts.is_empty()).collect()
}

/// What a run of a task would cost; its records count as known afterwards.
pub fn price(task: &dyn Task, known: &mut KnownRecords, policy: CachePolicy) -> Price {
    if policy == CachePolicy::Replace {
        known.remove_all(task);
    }
    let open = open_units(task, known);
    let mut price = Price::default();
    let mut shared = SharedPredictions::default();
    for unit in &open {
        price.add(task.price(unit, &mut shared));
        let mut parts = task.parts(unit.unit);
        for part in &unit.parts {
            std::mem::take(&mut parts[*part]).records.into_iter().for_each(|record| known.add(record));
        }
    }
    price.work.prompts = encoded_prompts(task, &open);
    price
}

/// The prompts that executing these units encodes, with the empty one of unconditional predictions.
fn encoded_prompts(task: &dyn Task, open: &[OpenUnit]) -> usize {
    match slabs(task, open).into_iter().map(|slab| task.prompts(slab)).sum() {
        0 => 0,
        prompts => prompts + 1,
    }
}
