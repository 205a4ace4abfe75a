//! Stored times of detectors.

use memscope_results::timing::{DetectorTiming, Window};

use crate::{store::MeasurementStore, task::Task, tasks::Timing};

/// The times that are stored of a timing task.
pub(crate) fn read_timings(timing: &Timing, store: &MeasurementStore) -> Vec<DetectorTiming> {
    let read = |unit| {
        let (timed, generations) = timing.of(unit);
        let window = |values: &[f64]| Some(Window { calls: *values.first()? as usize, seconds: *values.get(1)? });
        let values = store.get(&timing.key(unit))?;
        let Window { calls, seconds } = window(&values)?;
        let (label, paper) = (timed.entry.label(), timed.entry.paper_row());
        Some(DetectorTiming { label, generations, calls, seconds, reference: window(values.get(2..)?), paper })
    };
    (0..timing.units()).filter_map(read).collect()
}
