//! Stored times of detectors.

use serde::{Deserialize, Serialize};

use crate::{paper::PaperRow, plan::Task, run::MeasurementStore, tasks::Timing};

/// What scoring [`TIMED_PROMPTS`](crate::tasks::TIMED_PROMPTS) prompts took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectorTiming {
    /// How tables call the detector.
    pub label: String,
    /// Generations per prompt.
    pub generations: usize,
    /// Network calls (samples).
    pub calls: usize,
    /// Wall time from the first forward pass to the last score, in seconds.
    pub seconds: f64,
    /// The same over the released code's window, where it has one.
    pub reference: Option<Window>,
    /// The published row.
    pub paper: Option<PaperRow>,
}

/// A timed stretch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Network calls (samples).
    pub calls: usize,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// The times that are stored of a timing task.
pub(crate) fn read_timings(timing: &Timing, store: &MeasurementStore) -> Vec<DetectorTiming> {
    let read = |unit| {
        let (timed, generations) = timing.of(unit);
        let window = |values: &[f64]| Some(Window { calls: *values.first()? as usize, seconds: *values.get(1)? });
        let values = store.get(&timing.key(unit))?;
        let Window { calls, seconds } = window(values)?;
        let (label, paper) = (timed.entry.label(), timed.entry.paper_row());
        Some(DetectorTiming { label, generations, calls, seconds, reference: window(values.get(2..)?), paper })
    };
    (0..timing.units()).filter_map(read).collect()
}
