//! Executes the units of a task that a store lacks.

use memscope_model::LatentDiffusion;

use crate::{
    error::{Error, Result},
    store::{MeasurementStore, RecordId},
    task::{
        CachePolicy, Calls, KnownRecords, PlannedRecords, Session, Task, Watch, all_units, open_units, records, slabs,
    },
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
    let open = match policy {
        CachePolicy::Replace => {
            remove_numbers(task, store)?;
            all_units(task)
        }
        CachePolicy::Reuse => open_units(task, &KnownRecords::new(store, &mut PlannedRecords::default())),
    };
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
    let session = Session::new(model, watch, (done, total));
    let mut execution = None;
    for slab in slabs(task, &open) {
        session.encode(&task.prompt_batches(slab))?;
        let execution = match &mut execution {
            Some(begun) => begun,
            None => execution.insert(task.begin(&session)?),
        };
        for unit in slab {
            if session.stop_requested() {
                store.sync()?;
                return Err(Error::Stopped);
            }
            let measured = execution.execute(unit, &mut calls)?;
            store.append(measured.into_iter().filter(|(key, _)| !store.contains(key)).collect())?;
            session.finish(task.weight(unit.unit));
        }
    }
    store.sync()?;
    Ok(calls)
}

/// Removes the numbers of a task, so that they are measured again. Pictures stay until others take their places.
fn remove_numbers(task: &dyn Task, store: &mut MeasurementStore) -> Result<()> {
    let numbers = records(task).filter_map(|record| match record {
        RecordId::Numbers { key, .. } => Some(key),
        RecordId::Picture(_) | RecordId::Tensors(_) => None,
    });
    store.remove(&numbers.collect::<Vec<_>>())
}
