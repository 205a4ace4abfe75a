//! One module per command.

pub(crate) mod audit;
pub(crate) mod compare;
pub(crate) mod data;
pub(crate) mod detect;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod mitigate;
pub(crate) mod models;
pub(crate) mod pictures;
pub(crate) mod report;
pub(crate) mod reproduce;
pub(crate) mod run;
pub(crate) mod shard;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod table;
pub(crate) mod theorem1;
pub(crate) mod tokens;
