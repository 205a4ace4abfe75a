//! Plans that several processes share: what each of them does, how it is run, and how the parts are put together.
//!
//! A [`ShardPlan`] lists the units of every task of some [`Work`] in one order and cuts that list where the costs say, so
//! that a shard is a stretch of it. [`run_shard`] executes one into a folder of its own; [`merge`] puts the records of all
//! shards into the store that a plain run reads.

mod experiments;
mod heartbeat;
mod merge;
mod plan;
mod run;
mod single;
mod slice;

pub use experiments::plan_experiments;
pub use merge::{MergeOptions, MergeReport, merge};
pub use plan::{ShardPlan, Work};
pub use run::{ShardOutcome, run_shard};
pub use single::SingleTask;
pub use slice::TaskSlice;
