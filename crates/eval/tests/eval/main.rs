//! Experiments: their files, their tasks, their tables.

mod encoding;
mod experiment_files;
mod graded;
mod held;
mod schema;
mod tables;
mod tasks;
