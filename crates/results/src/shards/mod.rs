//! Shards: the parts of one plan that several processes work on, each in a folder of its own.
//!
//! ```text
//! results/shards/PLAN/           Shards
//! ├── PLAN.json                  what is to be done, and in how many parts; whoever comes first writes it
//! ├── 003-of-008/                ShardFolder
//! │   ├── answers/               the numbers that it measured
//! │   ├── NAME/gallery/          the pictures that it drew, as below the results folder
//! │   ├── log.txt                what it said
//! │   ├── times.csv              how long its prompts and pictures took
//! │   ├── STATE.json             what it is doing, renewed while it runs
//! │   └── DONE                   written last: what it did, with the SHA-256 of every file
//! ├── JOBS.json                  what a batch system was asked for
//! └── MERGED.json                what was merged, and from what
//! ```
//!
//! A shard writes below its own folder only, and holds no lock but its own.

mod folder;
mod hardware;
mod number;
mod record;
mod status;

pub use folder::{ShardFolder, Shards};
pub use hardware::{Hardware, machine};
pub use number::{Shard, ShardChoice, ShardVariables};
pub use record::{DoneRecord, JobsRecord, MergedRecord, PlanRecord, SHARD_FORMAT, Stage, StateRecord, SubmittedJob};
pub use status::{PlanStatus, ShardState, ShardStatus};
