//! Sweeps: an experiment once for every combination of some fields' values.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Experiment, TableKind};
use crate::error::{Error, Result};

/// A field of an experiment and the values it takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepAxis {
    /// Dotted path of the field, as for `--set`, e.g. `protocol.t_cos` or `detectors.0.gammas.cosine`.
    pub field: String,
    /// Its values.
    pub values: Vec<serde_json::Value>,
}

impl SweepAxis {
    /// Name of its column: the field with anything but letters and digits as `_`.
    pub(crate) fn key(&self) -> String {
        self.field.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
    }
}

/// One combination.
#[derive(Clone, Debug)]
pub struct SweepPoint {
    /// The value of each axis, as tables show it.
    pub values: Vec<String>,
    /// The experiment without the sweep.
    pub experiment: Experiment,
}

/// The combinations, the last axis changing fastest; every one is checked before any is run.
///
/// # Errors
/// When a value does not fit its field, or a combination makes no valid experiment.
pub fn points(experiment: &Experiment) -> Result<Vec<SweepPoint>> {
    let file = experiment.file();
    let fail = |reason: String| Error::Experiment { file: file.name.clone(), reason: format!("sweep: {reason}") };
    let mut base = file.clone();
    let axes = std::mem::take(&mut base.sweep);
    if !base.tables.contains(&TableKind::Detection) {
        return Err(fail("tables must contain detection".into()));
    }
    let mut partial = vec![(vec![], base)];
    for axis in &axes {
        let mut next = vec![];
        for (values, file) in &partial {
            for value in &axis.values {
                let changed = file
                    .with_field(&axis.field, value.clone())
                    .map_err(|reason| fail(format!("{} = {value}: {reason}", axis.field)))?;
                next.push(([values.clone(), vec![shown(value)]].concat(), changed));
            }
        }
        partial = next;
    }
    let checked = partial.into_iter().map(|(values, file)| {
        let named = format!("{}, {}", file.name, values.join(", "));
        Ok(SweepPoint { values, experiment: file.check(&named)? })
    });
    checked.collect()
}

fn shown(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
