//! An audit as it is stored: `audit.json` and the pictures beside it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    AcceptableCheckpoint, Alternative, Answer, Claim, Decision, Draw, Duplicates, NearPicture, SplitCheck, WordShare,
};
use crate::{
    error::{Error, Result},
    files,
    settings::Settings,
    stats::Interval,
};

/// The version of the format.
pub const FORMAT: u32 = 2;

/// An audit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// The version of this format.
    pub format: u32,
    /// Name and version of the program that made it, with its commit.
    pub software: String,
    /// When, in UTC.
    pub made: String,
    /// The command.
    pub command: String,
    /// The model that was asked about.
    pub model: AuditedModel,
    /// What it was made from, where that is known.
    pub base: Option<AuditedModel>,
    /// What was audited, such as the name of a file.
    pub subject: String,
    /// Whether training pictures were given.
    pub with_pictures: bool,
    /// Name of the statistic that decides.
    pub statistic: String,
    /// What it is, in one sentence.
    pub statistic_says: String,
    /// What the scores depend on.
    pub settings: Settings,
    /// How the evidence was drawn and looked at; empty where nothing was.
    pub drawing: Settings,
    /// What the scores were compared with; without it there are ranks only.
    pub calibration: Option<CalibrationRecord>,
    /// What the calibration sample can carry.
    pub claim: Option<Claim>,
    /// How calibrations keep their promise on prompts that were held out; empty where none were.
    pub splits: Vec<SplitCheck>,
    /// By what a draw counts as a copy, in one sentence; `None` where nothing was drawn.
    pub copy_rule: Option<String>,
    /// One row for each prompt, highest score first.
    pub rows: Vec<AuditRow>,
    /// The same for every checkpoint, in the order given; empty for a single one.
    pub checkpoints: Vec<CheckpointRow>,
    /// The checkpoint that may be used, where a limit was asked for.
    pub acceptable: Option<AcceptableCheckpoint>,
    /// The mitigation behind [`AuditRow::alternative`], where there is one.
    pub mitigation: Option<String>,
    /// Near duplicates among the training pictures; `None` where they were not looked for.
    pub duplicates: Option<Duplicates>,
    /// What a reader should know.
    pub warnings: Vec<String>,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditedModel {
    /// Where it comes from, with its LoRA files.
    pub source: String,
    /// SHA-256 of its weights, configurations and tokenizer.
    pub fingerprint: String,
    /// Number format and kind of device.
    pub arithmetic: String,
}

/// What scores were compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationRecord {
    /// The file, folder or list.
    pub source: String,
    /// How many prompts.
    pub prompts: usize,
    /// Whether they were given as held out of the training, in the same style.
    pub held_out: bool,
}

/// One prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRow {
    /// Its rank by score, from 1.
    pub rank: usize,
    /// The prompt.
    pub prompt: String,
    /// The name of its training picture, where one was given.
    pub picture: Option<String>,
    /// The statistic; higher means more memorized.
    pub score: f64,
    /// The second condition's, where the statistic has one.
    pub second_score: Option<f64>,
    /// The decision; `None` without calibration prompts.
    pub decision: Option<Decision>,
    /// Membership: does the model fit this prompt and picture better than chance?
    pub membership: Answer,
    /// Copying: does it draw the picture?
    pub copying: Answer,
    /// Did the base know it already? `yes` says the base, `no` the fine-tune.
    pub base_already: Answer,
    /// What the model draws for the prompt; empty where it was not asked to.
    pub draws: Vec<Draw>,
    /// Mean pixel RMS between two draws, 0..=1: small where all draws agree.
    pub diversity: Option<f64>,
    /// File with the training picture, below the audit's folder.
    pub training_file: Option<String>,
    /// The training pictures that the draws are most like, the most similar first; empty where nobody looked.
    pub nearest: Vec<NearPicture>,
    /// The words of the prompt with what each does; empty where nobody looked.
    pub words: Vec<WordShare>,
    /// What a mitigation draws instead, for flagged prompts.
    pub alternative: Option<Alternative>,
}

/// A share with its exact 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// How many.
    pub hits: usize,
    /// Of how many.
    pub of: usize,
    /// 95 % interval of Clopper and Pearson; `None` of nothing.
    pub interval: Option<Interval>,
}

impl Share {
    /// Counts with their interval.
    pub fn new(hits: usize, of: usize) -> Self {
        Self { hits, of, interval: crate::stats::proportion_interval(hits, of) }
    }
}

/// One checkpoint of a fine-tune, or one scale of a LoRA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointRow {
    /// Its name.
    pub name: String,
    /// Prompts that were flagged.
    pub members: Share,
    /// Prompts of those drawn of which at least half of the draws are copies.
    pub copies: Share,
    /// Mean score.
    pub mean_score: f64,
}

/// The folder of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditFolder(PathBuf);

impl AuditFolder {
    /// A folder, which need not be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The record.
    pub fn record(&self) -> PathBuf {
        self.0.join("audit.json")
    }

    /// The table.
    pub fn table(&self) -> PathBuf {
        self.0.join("audit.csv")
    }

    /// The page.
    pub fn page(&self) -> PathBuf {
        self.0.join("audit.html")
    }

    /// The figure of how calibrations keep their promise.
    pub fn splits(&self) -> PathBuf {
        self.0.join("splits.svg")
    }

    /// The folder of the pictures.
    pub fn pictures(&self) -> PathBuf {
        self.0.join("pictures")
    }

    /// Reads the record back.
    ///
    /// # Errors
    /// When it is not there, too large, damaged, or of another version.
    pub fn read(&self) -> Result<Audit> {
        const LIMIT: u64 = 256 << 20;
        let path = self.record();
        let audit: Audit = files::read_json(&path, LIMIT)?;
        match audit.format {
            FORMAT => Ok(audit),
            other => {
                Err(Error::Damaged { path, reason: format!("it has format {other}, this program reads {FORMAT}") })
            }
        }
    }

    /// Writes the record, in place of one that is there.
    ///
    /// # Errors
    /// When the folder does not take it.
    pub fn write(&self, audit: &Audit) -> Result<()> {
        files::write_json(&self.record(), audit)
    }

    /// The name of the small version of a picture, which the page shows; pictures that are small have none.
    pub fn small_name(name: &str) -> String {
        format!("small-{name}")
    }

    /// The bytes of a picture as the page shows it: of its small version where there is one.
    ///
    /// # Errors
    /// As [`Self::picture`].
    pub fn shown_picture(&self, name: &str) -> Result<Vec<u8>> {
        let small = Self::small_name(name);
        let is_there = files::is_plain_name(&small) && self.pictures().join(&small).is_file();
        self.picture(if is_there { &small } else { name })
    }

    /// The bytes of a picture that a record names; nothing outside the folder of pictures is read.
    ///
    /// # Errors
    /// When the name is no plain one or the file cannot be read.
    pub fn picture(&self, name: &str) -> Result<Vec<u8>> {
        const LIMIT: u64 = 64 << 20;
        if !files::is_plain_name(name) {
            return Err(Error::OutsideName { index: "audit.json".into(), name: name.to_owned() });
        }
        files::read_file(&self.pictures().join(name), LIMIT)
    }
}
