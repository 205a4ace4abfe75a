//! The folders of a plan and of its shards: every path below them, and the ways to read and write.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use memscope_text::long_excerpt;
use serde::{Serialize, de::DeserializeOwned};

use super::{DoneRecord, JobsRecord, MergedRecord, PlanRecord, SHARD_FORMAT, Shard, StateRecord};
use crate::{
    error::{Error, Result},
    files,
    folder::Results,
    lock::Lock,
};

/// Bytes of a record at most: a shard that drew 10⁵ pictures names each.
const MOST_BYTES: u64 = 64 << 20;

/// The shards of one plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shards {
    root: PathBuf,
}

impl Results {
    /// The shards of the plan `name`.
    pub fn shards(&self, name: &str) -> Shards {
        Shards { root: self.all_shards().join(name) }
    }

    fn all_shards(&self) -> PathBuf {
        self.path().join("shards")
    }

    /// Every plan that shards were begun of, by name.
    ///
    /// # Errors
    /// [`Error::Read`] where the folder cannot be listed.
    pub fn sharded_plans(&self) -> Result<Vec<Shards>> {
        let folder = self.all_shards();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(Error::read(folder)(error)),
        };
        let below = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut plans: Vec<Shards> = below.map(|entry| Shards { root: entry.path() }).collect();
        plans.retain(|shards| shards.plan_path().exists());
        plans.sort_by(|a, b| a.root.cmp(&b.root));
        Ok(plans)
    }
}

impl Shards {
    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The plan's name.
    pub fn name(&self) -> String {
        self.root.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn plan_path(&self) -> PathBuf {
        self.root.join("PLAN.json")
    }

    /// The script that a batch system was given; `part` is `shards`, or `merge`.
    pub fn script(&self, part: &str) -> PathBuf {
        self.root.join(format!("{part}.sh"))
    }

    /// The folder of a shard.
    pub fn folder(&self, shard: Shard) -> ShardFolder {
        ShardFolder { root: self.root.join(format!("{:03}-of-{:03}", shard.index(), shard.count())) }
    }

    /// What is to be done.
    ///
    /// # Errors
    /// As [`files::read_json`]; [`Error::NewerFormat`].
    pub fn plan(&self) -> Result<PlanRecord> {
        read(&self.plan_path(), |record: &PlanRecord| record.format)
    }

    /// Makes sure that these are the shards of this plan: whoever comes first says so.
    ///
    /// # Errors
    /// [`Error::OtherPlan`] where they are those of another one; [`Error::Write`].
    pub fn claim(&self, plan: &PlanRecord) -> Result<()> {
        let path = self.plan_path();
        fs::create_dir_all(&self.root).map_err(Error::write(&self.root))?;
        if !path.exists() {
            files::write_new(&path, &files::json(&path, plan)?)?;
        }
        self.check(plan)
    }

    /// Whether any shard was asked for here.
    pub fn is_begun(&self) -> bool {
        self.plan_path().exists()
    }

    /// Refuses another plan than the one that stands here, if one does.
    ///
    /// # Errors
    /// [`Error::OtherPlan`].
    pub fn check(&self, plan: &PlanRecord) -> Result<()> {
        if !self.is_begun() {
            return Ok(());
        }
        let there = self.plan()?;
        match differences(&there, plan) {
            None => Ok(()),
            Some(differences) => Err(Error::OtherPlan { folder: self.root.clone(), differences }),
        }
    }

    /// What was merged; `None` where nothing was.
    ///
    /// # Errors
    /// As [`files::read_json`]; [`Error::NewerFormat`].
    pub fn merged(&self) -> Result<Option<MergedRecord>> {
        optional(&self.root.join("MERGED.json"), |record: &MergedRecord| record.format)
    }

    /// Writes down what was merged.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_merged(&self, merged: &MergedRecord) -> Result<()> {
        files::write_json(&self.root.join("MERGED.json"), merged)
    }

    /// What a batch system was asked for.
    ///
    /// # Errors
    /// As [`files::read_json`]; [`Error::NewerFormat`].
    pub fn jobs(&self) -> Result<JobsRecord> {
        Ok(optional(&self.root.join("JOBS.json"), |record: &JobsRecord| record.format)?.unwrap_or_default())
    }

    /// Writes down what a batch system was asked for.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_jobs(&self, jobs: &JobsRecord) -> Result<()> {
        files::write_json(&self.root.join("JOBS.json"), jobs)
    }
}

/// What makes two plans different; `None` where nothing does.
fn differences(there: &PlanRecord, here: &PlanRecord) -> Option<String> {
    if there.hash == here.hash && there.shards == here.shards {
        return None;
    }
    if there.hash == here.hash {
        return Some(format!("{} shards there and {} here", there.shards, here.shards));
    }
    let program = |plan: &PlanRecord| format!("{} ({})", plan.version, plan.commit);
    if program(there) != program(here) {
        return Some(format!("memscope {} there and {} here", program(there), program(here)));
    }
    let keys = there.settings.keys().chain(here.settings.keys());
    let differs = keys.into_iter().find(|key| there.settings.get(*key) != here.settings.get(*key));
    let value = |plan: &PlanRecord, key: &str| plan.settings.get(key).map_or("unset".into(), |v| long_excerpt(v));
    Some(match differs {
        Some(key) => format!("{key} is {} there and {} here", value(there, key), value(here, key)),
        None => "other prompts, or a model with other configurations".into(),
    })
}

/// The folder of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardFolder {
    root: PathBuf,
}

impl ShardFolder {
    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The same paths as below the results folder, for what it makes.
    pub fn results(&self) -> Results {
        Results::new(&self.root)
    }

    /// What it said.
    pub fn log(&self) -> PathBuf {
        self.root.join("log.txt")
    }

    /// How long its prompts and pictures took, in the order in which it made them: `count,seconds` a line.
    pub fn times(&self) -> PathBuf {
        self.root.join("times.csv")
    }

    /// The mark of a shard that did everything.
    pub fn done_mark(&self) -> PathBuf {
        self.root.join("DONE")
    }

    fn state_path(&self) -> PathBuf {
        self.root.join("STATE.json")
    }

    /// Makes the folder and takes its lock.
    ///
    /// # Errors
    /// [`Error::InUse`] while another process works on the shard; [`Error::Write`].
    pub fn lock(&self) -> Result<Lock> {
        fs::create_dir_all(&self.root).map_err(Error::write(&self.root))?;
        let lock = Lock::take(&self.root.join(".lock"))?;
        lock.ok_or_else(|| Error::InUse { folder: self.root.clone() })
    }

    /// What it did; `None` while it is not done.
    ///
    /// # Errors
    /// As [`files::read_json`]; [`Error::NewerFormat`].
    pub fn done(&self) -> Result<Option<DoneRecord>> {
        optional(&self.done_mark(), |record: &DoneRecord| record.format)
    }

    /// Says that it did everything.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_done(&self, done: &DoneRecord) -> Result<()> {
        files::write_json(&self.done_mark(), done)
    }

    /// Takes the mark away, before something changes.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn remove_done(&self) -> Result<()> {
        match fs::remove_file(self.done_mark()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::write(self.done_mark())(error)),
            _ => Ok(()),
        }
    }

    /// What it is doing; `None` where it was never begun.
    ///
    /// # Errors
    /// As [`files::read_json`]; [`Error::NewerFormat`].
    pub fn state(&self) -> Result<Option<StateRecord>> {
        optional(&self.state_path(), |record: &StateRecord| record.format)
    }

    /// Says what it is doing.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_state(&self, state: &StateRecord) -> Result<()> {
        files::write_json(&self.state_path(), state)
    }

    /// A file that a record names, by its path below the folder; `None` for a name that leads elsewhere, or through a
    /// link.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        let mut path = self.root.clone();
        for part in name.split('/') {
            if !files::is_plain_name(part) {
                return None;
            }
            path.push(part);
            if fs::symlink_metadata(&path).is_ok_and(|kind| kind.is_symlink()) {
                return None;
            }
        }
        Some(path)
    }
}

fn read<T: DeserializeOwned + Serialize>(path: &Path, format: impl Fn(&T) -> u32) -> Result<T> {
    let record: T = files::read_json(path, MOST_BYTES)?;
    match format(&record) {
        SHARD_FORMAT => Ok(record),
        found if found > SHARD_FORMAT => Err(Error::NewerFormat { path: path.to_owned(), found, known: SHARD_FORMAT }),
        _ => Err(Error::Damaged { path: path.to_owned(), reason: "it has no format".into() }),
    }
}

fn optional<T: DeserializeOwned + Serialize>(path: &Path, format: impl Fn(&T) -> u32) -> Result<Option<T>> {
    match read(path, format) {
        Ok(record) => Ok(Some(record)),
        Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
