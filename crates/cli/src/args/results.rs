//! What is made of results, and of score files.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use memscope_results::export::Format;

use super::examples;

/// `memscope verify`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verify {
    /// Theorem 1: a lower bound on the cosine between score and guidance direction.
    #[command(after_help = examples::THEOREM1)]
    Theorem1(Theorem1),
}

/// `memscope verify theorem1`.
#[derive(Debug, Args)]
pub(crate) struct Theorem1 {
    /// Instances to sample.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true)]
    pub(crate) count: u32,
    /// Seed of the sampling.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Folder for results.
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(crate) results: PathBuf,
    /// Replace results with another count or seed; without it such a run is refused.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print the table as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `memscope report`.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// A results folder: of one experiment, or holding several.
    pub(crate) results: PathBuf,
    /// Another one, to be laid over the first: the experiments that both have, or the only one of each.
    pub(crate) second: Option<PathBuf>,
    /// Show criterion's medians from this folder, and link its pages, e.g. target/criterion after cargo bench.
    #[arg(long, value_name = "DIR", conflicts_with = "second")]
    pub(crate) criterion: Option<PathBuf>,
    /// The file to write; by default report.html in the results folder, report-of-two.html with two.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `memscope compare`.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// A results folder: of one experiment, or holding several.
    pub(crate) first: PathBuf,
    /// The other.
    pub(crate) second: PathBuf,
    /// Differences of detectors on the same prompts with their intervals, in place of cell by cell; without it where the
    /// two have no experiment of one name.
    #[arg(long)]
    pub(crate) paired: bool,
    /// How far two numbers may lie apart; for numbers above 1, relative to them.
    #[arg(long, default_value_t = 0.002, allow_negative_numbers = true)]
    pub(crate) tolerance: f64,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `memscope table`.
#[derive(Debug, Args)]
pub(crate) struct Table {
    /// The table: a .json file in the folder tables of an experiment.
    pub(crate) file: PathBuf,
    /// Only these columns, by their keys, in this order.
    #[arg(long, value_name = "KEY,...", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// Format: text, markdown, csv, json or latex.
    #[arg(long, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// `memscope evaluate`.
#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// A .csv, .parquet or .jsonl file with one row per prompt.
    pub(crate) file: PathBuf,
    /// Column with the class: 1/0, true/false or memorized/non_memorized.
    #[arg(long, value_name = "COL", default_value = "memorized")]
    pub(crate) label: String,
    /// Column with the score; higher means memorized.
    #[arg(long, value_name = "COL", default_value = "score")]
    pub(crate) score: String,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
