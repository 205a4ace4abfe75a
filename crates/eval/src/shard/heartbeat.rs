//! Says every half minute what a shard is doing.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use memscope_model::ModelSource;
use memscope_results::shards::{Hardware, SHARD_FORMAT, ShardFolder, Stage, StateRecord};

use crate::{error::Result, manifest::seconds_now, run::Observer, task::Watch};

/// How often a shard says that it is at work.
const EVERY: Duration = Duration::from_secs(30);

/// The state of a shard at work, written by a thread of its own, as a unit may take long.
pub(super) struct Heartbeat {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    folder: ShardFolder,
    state: Mutex<Current>,
    ended: Condvar,
}

struct Current {
    record: StateRecord,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Current> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heartbeat {
    /// Begins an attempt at a shard; `total` prompts and pictures are to be there in the end.
    pub(super) fn begin(folder: &ShardFolder, total: usize) -> Result<Self> {
        // A state that cannot be read is no reason not to work.
        let before = folder.state().ok().flatten().unwrap_or_default();
        let now = seconds_now();
        let record = StateRecord {
            format: SHARD_FORMAT,
            stage: Stage::Running,
            total,
            started: now,
            updated: now,
            host: host(),
            process: std::process::id(),
            job: job(),
            attempts: before.attempts + 1,
            // What an earlier attempt has left counts as long as there is something left of it.
            hardware: if holds_records(folder) { before.hardware } else { vec![] },
            ..StateRecord::default()
        };
        folder.write_state(&record)?;
        let state = Mutex::new(Current { record, ended: false });
        let shared = Arc::new(Shared { folder: folder.clone(), state, ended: Condvar::new() });
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || beat(&shared)
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// So much is there, of which so much was found.
    pub(super) fn advance(&self, done: usize, found: usize) {
        let state = &mut self.shared.lock().record;
        (state.done, state.found) = (done, found);
    }

    /// It computes on this, too.
    pub(super) fn computes_on(&self, hardware: Hardware) -> Result<()> {
        let mut state = self.shared.lock();
        if !state.record.hardware.contains(&hardware) {
            state.record.hardware.push(hardware);
        }
        state.record.updated = seconds_now();
        Ok(self.shared.folder.write_state(&state.record)?)
    }

    /// What all attempts computed on.
    pub(super) fn hardware(&self) -> Vec<Hardware> {
        self.shared.lock().record.hardware.clone()
    }

    /// The attempt has ended.
    pub(super) fn end(mut self, stage: Stage, message: String) -> Result<()> {
        self.stop();
        let state = &mut self.shared.lock().record;
        (state.stage, state.message, state.updated) = (stage, message, seconds_now());
        Ok(self.shared.folder.write_state(state)?)
    }

    fn stop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.ended.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has stopped, too.
            let _ = thread.join();
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop();
    }
}

fn beat(shared: &Shared) {
    let mut state = shared.lock();
    while !state.ended {
        let (guard, timeout) = shared.ended.wait_timeout(state, EVERY).unwrap_or_else(PoisonError::into_inner);
        state = guard;
        if timeout.timed_out() && !state.ended {
            state.record.updated = seconds_now();
            // A full disk is told by what writes the results.
            let _ = shared.folder.write_state(&state.record);
        }
    }
}

fn holds_records(folder: &ShardFolder) -> bool {
    let entries = fs::read_dir(folder.results().answers()).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.metadata().is_ok_and(|metadata| metadata.len() > 0))
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.unwrap_or_default().trim().chars().take(100).collect()
}

/// What the batch system calls this process.
fn job() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let array = || Some(format!("{}_{}", variable("SLURM_ARRAY_JOB_ID")?, variable("SLURM_ARRAY_TASK_ID")?));
    let job = array().or_else(|| variable("SLURM_JOB_ID")).or_else(|| variable("HQ_JOB_ID"));
    job.unwrap_or_default().chars().take(100).collect()
}

/// Shows the progress of the tasks of a shard as that of the whole shard.
pub(super) struct ShardWatch<'w> {
    observer: &'w mut dyn Observer,
    heartbeat: &'w Heartbeat,
    total: usize,
    /// What the tasks before the one at hand count.
    before: usize,
    /// What was there already.
    found: usize,
    /// Whether the task at hand has not said yet what it found.
    is_new: bool,
    /// When the last prompts or pictures were there, how many, and the file of such times.
    times: (Instant, usize, Option<File>),
}

impl<'w> ShardWatch<'w> {
    pub(super) fn new(observer: &'w mut dyn Observer, heartbeat: &'w Heartbeat, total: usize) -> Self {
        let times = OpenOptions::new().append(true).create(true).open(heartbeat.shared.folder.times());
        let times = (Instant::now(), 0, times.ok());
        Self { observer, heartbeat, total, before: 0, found: 0, is_new: true, times }
    }

    /// Notes how long the last prompts and pictures took; what a task found took no time, but what came before it, such as
    /// loading the model, did.
    fn note_time(&mut self, done: usize) {
        let (since, known, file) = &mut self.times;
        let made = if self.is_new { 0 } else { done.saturating_sub(*known) };
        if made == 0 && !self.is_new {
            return;
        }
        let seconds = since.elapsed().as_secs_f64();
        (*since, *known) = (Instant::now(), done);
        if let Some(file) = file {
            // Times are for planning the next run; a full disk is told by what writes the results.
            let _ = writeln!(file, "{made},{seconds:.4}");
        }
    }

    pub(super) fn model(&mut self, source: &ModelSource) {
        self.observer.model(source);
    }

    pub(super) fn computes_on(&self, hardware: Hardware) -> Result<()> {
        self.heartbeat.computes_on(hardware)
    }

    /// The task at hand, which counts `weight`, is done.
    pub(super) fn next_task(&mut self, weight: usize) {
        self.before += weight;
        self.is_new = true;
    }
}

impl Watch for ShardWatch<'_> {
    fn progress(&mut self, done: usize, _: usize) {
        self.note_time(self.before + done);
        if std::mem::take(&mut self.is_new) {
            self.found += done;
        }
        self.heartbeat.advance(self.before + done, self.found);
        self.observer.progress(self.before + done, self.total);
    }

    fn stop_requested(&self) -> bool {
        self.observer.stop_requested()
    }
}
