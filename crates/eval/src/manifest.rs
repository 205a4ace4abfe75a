//! Where a results folder comes from: the records of a run, made from the types of the model and the metric.

use std::{fs, path::Path};

use memscope_metric::{Gammas, ResolvedProtocol};
use memscope_model::WeightsOrigin;
use serde::Serialize;

pub use memscope_results::manifest::{
    DetectorRecord, GammasRecord, Manifest, ModelRecord, PromptCounts, ProtocolRecord, Weights,
};

use crate::error::{Error, Result};

/// What a model's folder says about its weights, as a record.
pub(crate) fn weights_record(origin: WeightsOrigin) -> Weights {
    match origin {
        WeightsOrigin::Unmarked => Weights::Unmarked,
        WeightsOrigin::Random => Weights::Random,
    }
}

/// Weights of the metric as a record.
pub(crate) fn gammas_record(gammas: Gammas) -> GammasRecord {
    GammasRecord { cosine: gammas.cosine, norm: gammas.norm }
}

/// The options in force as a record.
pub(crate) fn protocol_record(protocol: &ResolvedProtocol) -> ProtocolRecord {
    ProtocolRecord {
        t_norm: protocol.t_norm,
        t_cos: protocol.t_cos,
        input: protocol.input.to_string(),
        cos_mode: protocol.cos_mode.to_string(),
        cos_reduction: protocol.cos_reduction.to_string(),
        cos_space: protocol.cos_space.to_string(),
        norm_space: protocol.norm_space.to_string(),
        normalization: protocol.normalization.to_string(),
        normalization_targets: protocol.normalization_targets.to_string(),
        numerics: protocol.numerics.to_string(),
        score_storage: protocol.score_storage.to_string(),
    }
}

/// The commit this program was built from.
pub const COMMIT: &str = env!("MEMSCOPE_COMMIT");

/// Writes JSON through a temporary file, so that no reader sees half of it.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let json =
        serde_json::to_vec_pretty(value).map_err(|e| Error::Write { path: path.to_owned(), source: e.into() })?;
    write_atomically(path, &json)
}

pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes).map_err(Error::write(&partial))?;
    fs::rename(&partial, path).map_err(Error::write(path))
}
