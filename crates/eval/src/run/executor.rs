//! Executes the units of a task that a store lacks.

use memscope_model::LatentDiffusion;

use super::{MeasurementStore, Session, Watch};
use crate::{
    error::{Error, Result},
    plan::{CachePolicy, Calls, KnownRecords, PlannedRecords, RecordId, Task, open_units, records},
};

/// Executes what a store lacks of a task, and returns what that asked of the network. Stops between units when the user asks
/// for it; everything measured so far is kept.
///
/// # Errors
/// When the network fails, something cannot be written, a number is not finite, or the user asked to stop.
pub fn execute(
    task: &dyn Task,
    model: &LatentDiffusion,
    store: &mut MeasurementStore,
    policy: CachePolicy,
    watch: &mut dyn Watch,
) -> Result<Calls> {
    if policy == CachePolicy::Replace {
        remove_all(task, store)?;
    }
    let open = open_units(task, &KnownRecords::new(store, &mut PlannedRecords::default()));
    let total: usize = (0..task.units()).map(|unit| task.weight(unit)).sum();
    let done = total - open.iter().map(|open| task.weight(open.unit)).sum::<usize>();
    watch.progress(done, total);
    let mut calls = Calls::default();
    if open.is_empty() {
        return Ok(calls);
    }
    for unit in &open {
        let parts = task.parts(unit.unit);
        unit.parts.iter().try_for_each(|part| store.remove_misshapen(&parts[*part].records))?;
    }
    let session = Session::new(model, &task.prompt_batches(&open), watch, (done, total))?;
    let mut execution = task.begin(&session)?;
    for unit in &open {
        if session.stop_requested() {
            store.sync()?;
            return Err(Error::Stopped);
        }
        let measured = execution.execute(unit, &mut calls)?;
        store.append(measured.into_iter().filter(|(key, _)| store.get(key).is_none()).collect())?;
        session.finish(task.weight(unit.unit));
    }
    store.sync()?;
    Ok(calls)
}

/// Removes all records of a task, so that everything is measured and drawn again.
fn remove_all(task: &dyn Task, store: &mut MeasurementStore) -> Result<()> {
    let (mut keys, mut pictures) = (vec![], vec![]);
    for record in records(task) {
        match record {
            RecordId::Numbers { key, .. } => keys.push(key),
            RecordId::Picture(path) => pictures.push(path),
        }
    }
    store.remove(&keys)?;
    for path in pictures {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::write(path)(error)),
            _ => {}
        }
    }
    Ok(())
}
