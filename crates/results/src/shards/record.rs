//! The files of shards as types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Hardware;
use crate::settings::Settings;

/// The format of all files of shards that this version writes and reads.
pub const SHARD_FORMAT: u32 = 1;

/// `PLAN.json`: what is to be done, and in how many parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanRecord {
    /// [`SHARD_FORMAT`].
    pub format: u32,
    /// SHA-256 over the program's version and the names of all records, in order: the same plan to the last record.
    pub hash: String,
    /// Version of memscope.
    pub version: String,
    /// Commit it was built from.
    pub commit: String,
    /// The command that runs all of it in one process, and writes the tables once the shards are merged.
    pub command: String,
    /// In how many parts.
    pub shards: usize,
    /// Units of work in all.
    pub units: usize,
    /// The experiments' settings by name and path, to say what differs.
    pub settings: Settings,
}

/// `DONE`: what a shard did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DoneRecord {
    /// [`SHARD_FORMAT`].
    pub format: u32,
    /// Hash of its plan.
    pub plan: String,
    /// Which part of it, as `3/8`.
    pub shard: String,
    /// Units of all shards before it.
    pub first_unit: usize,
    /// Number of its units.
    pub units: usize,
    /// Records in its stores.
    pub records: usize,
    /// Version of memscope.
    pub version: String,
    /// Commit it was built from.
    pub commit: String,
    /// Fingerprints of the models that it asked, by source.
    pub models: BTreeMap<String, String>,
    /// What it computed on: one entry, unless it went on on another machine.
    pub hardware: Vec<Hardware>,
    /// SHA-256 of its stores and pictures, by path below its folder.
    pub files: BTreeMap<String, String>,
    /// When it was done, in UTC.
    pub finished: String,
}

/// `STATE.json`: what a shard is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StateRecord {
    /// [`SHARD_FORMAT`].
    pub format: u32,
    /// Where it stands.
    pub stage: Stage,
    /// Why it failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Prompts and pictures that are there.
    pub done: usize,
    /// Those of them that were there when this attempt reached them.
    pub found: usize,
    /// Prompts and pictures in all.
    pub total: usize,
    /// When this attempt began, in seconds since 1970.
    pub started: u64,
    /// When this was written, in seconds since 1970.
    pub updated: u64,
    /// The machine.
    pub host: String,
    /// The process.
    pub process: u32,
    /// The batch system's name for it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub job: String,
    /// How often it was begun.
    pub attempts: usize,
    /// What all attempts computed on.
    pub hardware: Vec<Hardware>,
}

/// Where a shard stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// At work when it last wrote.
    #[default]
    Running,
    /// It was asked to stop; the same command goes on.
    Stopped,
    /// It ended with an error.
    Failed,
    /// It has written DONE.
    Done,
}

/// `MERGED.json`: what was merged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MergedRecord {
    /// [`SHARD_FORMAT`].
    pub format: u32,
    /// Hash of the plan.
    pub plan: String,
    /// The shards that were merged.
    pub shards: Vec<usize>,
    /// Those that were not there, with `--partial`.
    pub missing: Vec<usize>,
    /// What they computed on; several where `--allow-mixed` was given.
    pub hardware: Vec<Hardware>,
    /// Records of the shards.
    pub records: usize,
    /// Pictures of the shards.
    pub pictures: usize,
    /// When, in UTC.
    pub finished: String,
}

/// `JOBS.json`: what a batch system was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobsRecord {
    /// [`SHARD_FORMAT`].
    pub format: u32,
    /// The jobs, the earliest first.
    pub jobs: Vec<SubmittedJob>,
}

/// One job of a batch system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubmittedJob {
    /// Its number.
    pub id: String,
    /// What is added to a task's number to make the shard's; `None` of the job that merges.
    pub offset: Option<usize>,
}
