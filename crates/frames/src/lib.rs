//! Tables as people keep them: prompt lists and score files.
//!
//! [`read_table`] reads CSV (comma, semicolon or tab), JSON lines, JSON arrays, Parquet and plain lists, in the forms in
//! which spreadsheets, Python and R write them. [`prompt_column`] finds the prompts, [`Column::numbers`] and
//! [`Column::labels`] read scores and classes. [`FrameWriter`] writes tables piece by piece;
//! [`column_of`] takes a column of the input over into one.
//! Every error names the file, the row and the column, and says what was expected there.
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("scores.csv");
//! std::fs::write(&path, "prompt;memorized;score\nred apple;yes;0,75\nblack cat;no;0,25\n").unwrap();
//! let table = memscope_frames::read_table(&path, memscope_frames::Columns::All)?;
//! assert_eq!(table.column("score", "--score")?.numbers(&table)?, [0.75, 0.25]);
//! assert_eq!(table.column("memorized", "--label")?.labels(&table)?, [true, false]);
//! # Ok::<(), memscope_frames::Error>(())
//! ```

mod cells;
mod csv_text;
mod error;
mod format;
mod json;
mod parquet;
mod parquet_pages;
mod read;
mod table;
mod text;
mod values;
mod write;

pub use cells::{Cell, Cells};
pub use error::{Error, Result};
pub use format::Format;
pub use read::{MOST_BYTES, read_bytes, read_table};
pub use table::{Column, Columns, PROMPT_NAMES, Table, prompt_column};
pub use values::{DecimalComma, label, number};
pub use write::{FrameWriter, InputColumn, OutputFormat, column_of};

/// The data frames of polars, for callers that build their own columns.
pub use polars::prelude::Column as FrameColumn;
