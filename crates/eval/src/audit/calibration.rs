//! Scores of ordinary prompts, kept for audits of the same model with the same settings.

use std::path::Path;

use memscope_results::{
    Settings,
    audit::AuditedModel,
    files::{Existing, read_json, sha256, write_over},
};
use memscope_text::excerpt;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The version of the format.
pub const CALIBRATION_FORMAT: u32 = 2;

/// Scores of calibration prompts, bound to what they depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationFile {
    /// The version of this format.
    pub format: u32,
    /// The program that made it.
    pub software: String,
    /// The model.
    pub model: AuditedModel,
    /// What it was made from, where the statistic asks it.
    pub base: Option<AuditedModel>,
    /// Name of the statistic.
    pub statistic: String,
    /// What the scores depend on beside the models.
    pub settings: Settings,
    /// Where the prompts came from.
    pub source: String,
    /// One score for each prompt.
    pub scores: Vec<CalibrationScore>,
    /// SHA-256 of the same with an empty checksum, as [`CalibrationFile::signed`] gives it; absent in format 1.
    #[serde(default)]
    pub checksum: String,
}

/// A calibration prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationScore {
    /// The prompt.
    pub prompt: String,
    /// Its score under each condition of the statistic.
    pub conditions: Vec<f64>,
    /// −mean log L of the base, where it was asked.
    pub base: Option<f64>,
}

/// Most bytes of a file.
const LIMIT: u64 = 256 << 20;

impl CalibrationFile {
    /// The same with its checksum.
    #[must_use]
    pub fn signed(mut self) -> Self {
        self.checksum.clear();
        let bytes = serde_json::to_vec(&self).unwrap_or_default();
        self.checksum = sha256(&bytes);
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is not there, damaged, of another version, or holds no scores that can be used.
    pub fn read(path: &Path) -> Result<Self> {
        let file: Self = read_json(path, LIMIT)?;
        let refuse = |reason: String| Err(Error::Scores { file: path.display().to_string(), reason });
        if file.format != CALIBRATION_FORMAT {
            let reason =
                format!("has format {}, this program reads {CALIBRATION_FORMAT}; calibrate again", file.format);
            return refuse(reason);
        }
        let conditions = file.scores.first().map_or(0, |score| score.conditions.len());
        let is_whole = |score: &CalibrationScore| {
            score.conditions.len() == conditions
                && score.conditions.iter().chain(&score.base).all(|value| value.is_finite())
        };
        if conditions == 0 || !file.scores.iter().all(is_whole) {
            return refuse("holds no scores, or some that are not whole; calibrate again".into());
        }
        if file.clone().signed().checksum != file.checksum {
            return refuse("is damaged or was edited: its checksum is another one; calibrate again".into());
        }
        Ok(file)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// When the folder does not take it, or something is there that must not be replaced.
    pub fn write(&self, path: &Path, existing: Existing) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|e| Error::write(path)(e.into()))?;
        Ok(write_over(path, &bytes, existing)?)
    }

    /// Refuses scores of another statistic or of other settings than an audit's.
    ///
    /// # Errors
    /// The first difference.
    pub fn check_settings(&self, file: &Path, statistic: &str, settings: &Settings) -> Result<()> {
        if statistic != self.statistic {
            return Err(refused(file, &format!("holds the statistic {}, not {statistic}", excerpt(&self.statistic))));
        }
        if *settings == self.settings {
            return Ok(());
        }
        let differs = settings.iter().find(|(key, value)| self.settings.get(*key) != Some(value));
        let (key, value) = differs.map_or(("a setting", ""), |(key, value)| (key.as_str(), value.as_str()));
        let theirs = self.settings.get(key).map_or_else(|| "nothing".to_owned(), |theirs| excerpt(theirs));
        Err(refused(file, &format!("was made with {key} = {theirs}, not {}", excerpt(value))))
    }

    /// Refuses scores of another model than an audit's, or with another base.
    ///
    /// # Errors
    /// The first difference.
    pub fn check_models(&self, file: &Path, model: &AuditedModel, base: Option<&AuditedModel>) -> Result<()> {
        let is_other = |ours: &AuditedModel, theirs: &AuditedModel| {
            ours.fingerprint != theirs.fingerprint || ours.arithmetic != theirs.arithmetic
        };
        if is_other(model, &self.model) {
            let (theirs, ours) = (says(Some(&self.model)), says(Some(model)));
            return Err(refused(file, &format!("was made for the model {theirs}, not for {ours}")));
        }
        let base_differs = match (base, &self.base) {
            (None, None) => false,
            (Some(ours), Some(theirs)) => is_other(ours, theirs),
            _ => true,
        };
        match base_differs {
            true => {
                let (theirs, ours) = (says(self.base.as_ref()), says(base));
                Err(refused(file, &format!("was made with the base {theirs}, not with {ours}")))
            }
            false => Ok(()),
        }
    }
}

fn refused(file: &Path, reason: &str) -> Error {
    Error::Scores { file: file.display().to_string(), reason: format!("{reason}; calibrate again") }
}

fn says(model: Option<&AuditedModel>) -> String {
    model.map_or_else(
        || "none".to_owned(),
        |AuditedModel { source, fingerprint, arithmetic }| {
            let fingerprint = fingerprint.get(..12).unwrap_or(fingerprint);
            format!("{} ({}, {})", excerpt(source), excerpt(fingerprint), excerpt(arithmetic))
        },
    )
}
