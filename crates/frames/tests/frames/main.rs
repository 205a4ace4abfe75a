//! Tables from files, good and bad.

mod hostile;
mod parquet;
mod writing;
