//! How far the shards of a plan are.

use memscope_text::long_excerpt;
use serde::Serialize;

use super::{Hardware, Shard, Shards, Stage};
use crate::error::Result;

/// A shard that says nothing for so long is taken for dead, in seconds; a living one writes every half minute.
const SILENCE: u64 = 300;

/// How far the shards of a plan are.
#[derive(Clone, Debug, Serialize)]
pub struct PlanStatus {
    /// The plan's name.
    pub plan: String,
    /// The command that runs all of it.
    pub command: String,
    /// Whether all shards were merged.
    pub merged: bool,
    /// Prompts and pictures that are there, as far as the shards that were begun say.
    pub done: usize,
    /// Those of the shards that were begun.
    pub total: usize,
    /// Prompts and pictures a second, of all that are running.
    pub rate: f64,
    /// Seconds until the last of the running shards is done.
    pub seconds_left: Option<f64>,
    /// What the shards computed on.
    pub hardware: Vec<Hardware>,
    /// Every shard, in order.
    pub shards: Vec<ShardStatus>,
}

/// How far one shard is.
#[derive(Clone, Debug, Serialize)]
pub struct ShardStatus {
    /// Its number, from 1.
    pub shard: usize,
    /// Where it stands.
    pub state: ShardState,
    /// Prompts and pictures that are there.
    pub done: usize,
    /// Prompts and pictures in all; 0 where it was never begun.
    pub total: usize,
    /// Prompts and pictures a second.
    pub rate: f64,
    /// Seconds until it is done, while it is running.
    pub seconds_left: Option<f64>,
    /// Seconds since it last wrote.
    pub silent: Option<u64>,
    /// How often it was begun.
    pub attempts: usize,
    /// The machine.
    pub host: String,
    /// The batch system's name for it.
    pub job: String,
    /// What is wrong.
    pub message: String,
}

/// Where a shard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardState {
    /// It has written DONE.
    Done,
    /// It wrote within the last minutes.
    Running,
    /// It was asked to stop; the same command goes on.
    Stopped,
    /// It ended with an error, or says nothing any more.
    Failed,
    /// It was never begun.
    Missing,
}

impl ShardState {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 5] = [Self::Done, Self::Running, Self::Stopped, Self::Failed, Self::Missing];

    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Missing => "missing",
        }
    }
}

impl Shards {
    /// How far they are; `now` in seconds since 1970. Files of a shard that cannot be read make it a failed one.
    ///
    /// # Errors
    /// When the plan cannot be read.
    pub fn status(&self, now: u64) -> Result<PlanStatus> {
        let plan = self.plan()?;
        let mut hardware: Vec<Hardware> = vec![];
        let mut shards = vec![];
        for shard in Shard::all(plan.shards) {
            let (status, own) = self.shard_status(shard, &plan.hash, now);
            hardware.extend(own);
            shards.push(status);
        }
        hardware.sort();
        hardware.dedup();
        let running = || shards.iter().filter(|shard| shard.state == ShardState::Running);
        Ok(PlanStatus {
            plan: self.name(),
            command: plan.command,
            merged: self.merged()?.is_some_and(|merged| merged.plan == plan.hash && merged.missing.is_empty()),
            done: shards.iter().map(|shard| shard.done).sum(),
            total: shards.iter().map(|shard| shard.total).sum(),
            rate: running().fold(0.0, |sum, shard| sum + shard.rate),
            seconds_left: running().filter_map(|shard| shard.seconds_left).reduce(f64::max),
            hardware,
            shards,
        })
    }

    fn shard_status(&self, shard: Shard, plan: &str, now: u64) -> (ShardStatus, Vec<Hardware>) {
        let folder = self.folder(shard);
        let mut status = ShardStatus {
            shard: shard.index(),
            state: ShardState::Missing,
            done: 0,
            total: 0,
            rate: 0.0,
            seconds_left: None,
            silent: None,
            attempts: 0,
            host: String::new(),
            job: String::new(),
            message: String::new(),
        };
        let mut hardware = vec![];
        match folder.state() {
            Ok(None) => {}
            Ok(Some(state)) => {
                let silent = now.saturating_sub(state.updated);
                status.state = match state.stage {
                    // Without its mark it is not done.
                    Stage::Running | Stage::Done if silent <= SILENCE => ShardState::Running,
                    Stage::Running | Stage::Done => ShardState::Failed,
                    Stage::Stopped => ShardState::Stopped,
                    Stage::Failed => ShardState::Failed,
                };
                let made = state.done.saturating_sub(state.found) as f64;
                let seconds = state.updated.saturating_sub(state.started).max(1) as f64;
                (status.done, status.total, status.rate) = (state.done, state.total, made / seconds);
                if status.state == ShardState::Running && made > 0.0 {
                    let left = state.total.saturating_sub(state.done) as f64 / status.rate;
                    status.seconds_left = Some((left - silent as f64).max(0.0));
                }
                status.message = state.message;
                if status.state == ShardState::Failed && status.message.is_empty() {
                    status.message = "it says nothing any more; was it killed?".into();
                }
                status.silent = Some(silent);
                (status.attempts, status.host, status.job) = (state.attempts, state.host, state.job);
                hardware = state.hardware;
            }
            Err(error) => (status.state, status.message) = (ShardState::Failed, error.to_string()),
        }
        match folder.done() {
            Ok(None) => {}
            Ok(Some(done)) if done.plan == plan && done.shard == shard.to_string() => {
                (status.state, status.seconds_left) = (ShardState::Done, None);
                status.message.clear();
                status.done = status.total;
                hardware = done.hardware;
            }
            Ok(Some(done)) => {
                status.state = ShardState::Failed;
                status.message = format!("its DONE is that of shard {} of another plan", long_excerpt(&done.shard));
            }
            Err(error) => (status.state, status.message) = (ShardState::Failed, error.to_string()),
        }
        (status, hardware)
    }
}
