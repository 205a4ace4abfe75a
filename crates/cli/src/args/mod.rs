//! The command line as the user writes it.
// These comments are the help texts, in which brackets are not links.
#![allow(rustdoc::broken_intra_doc_links)]

mod audit;
mod cache;
mod detect;
mod draw;
mod examples;
mod export;
mod model;
mod pictures;
mod results;
mod run;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use audit::{AUDIT_HELP, CALIBRATE_HELP};
pub(crate) use audit::{Acceptable, Audit, Calibrate, Counted, FailOn, ScoreArgs};
pub(crate) use cache::{Data, DataSet, FetchTarget, Models, ModelsAction};
pub(crate) use detect::{Detect, Tokens};
use draw::MITIGATE_HELP;
pub(crate) use draw::{Generate, Mitigate};
pub(crate) use export::{Noise, NoiseExport, Predictions, PredictionsExport};
pub(crate) use model::{CostArgs, FileArgs, ModelArgs, ScaledModel, SizeArgs};
use pictures::{DUPLICATES_HELP, JUDGE_HELP, SIMILARITY_HELP};
pub(crate) use pictures::{Duplicates, Judge, JudgeArgs, PictureOutput, Similarity};
pub(crate) use results::{Compare, Evaluate, Report, Table, Theorem1, Verify};
pub(crate) use run::{Engine, Merge, Reproduce, Run, RunOptions, ShardArgs, Status, Submit};
use run::{MERGE_HELP, SUBMIT_HELP};

/// Tell whether prompts make a text-to-image diffusion model reproduce its training images, without generating any.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100, after_help = "See also: memscope exit-codes")]
pub(crate) struct Cli {
    /// More messages on standard error (-v: what happens, -vv: details).
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Replay experiments of the paper: measure, compare, save.
    #[command(after_help = examples::REPRODUCE)]
    Reproduce(Reproduce),
    /// Run an experiment file.
    #[command(after_help = examples::RUN)]
    Run(Run),
    /// Check an experiment file without running it.
    #[command(after_help = examples::VALIDATE)]
    Validate {
        /// The experiment file.
        file: PathBuf,
    },
    /// Print the JSON Schema of experiment files, for editors.
    #[command(after_help = examples::SCHEMA)]
    Schema,
    /// Score prompts with a model.
    #[command(after_help = examples::DETECT)]
    Detect(Detect),
    /// Say whether a model copies its training pictures, which, and how sure that is.
    #[command(after_help = AUDIT_HELP)]
    Audit(Box<Audit>),
    /// Keep the scores of ordinary prompts, for audits of the same model with the same settings.
    #[command(after_help = CALIBRATE_HELP)]
    Calibrate(Calibrate),
    /// Show which tokens of a prompt drive it towards a memorized image (Wen et al.).
    #[command(after_help = examples::TOKENS)]
    Tokens(Tokens),
    /// Compare two results folders: the same run cell by cell, or two runs on the same prompts.
    #[command(after_help = examples::COMPARE)]
    Compare(Compare),
    /// Check the paper's mathematics on sampled instances.
    #[command(subcommand)]
    Verify(Verify),
    /// Make one self-contained HTML page of a results folder, or of two.
    #[command(after_help = examples::REPORT)]
    Report(Report),
    /// Print a table of a results folder in another format, or some of its columns.
    #[command(after_help = examples::TABLE)]
    Table(Table),
    /// Put the records of shards into the store that a plain run reads; the run then asks the network nothing.
    #[command(after_help = MERGE_HELP)]
    Merge(Merge),
    /// Run an experiment in shards: as a Slurm job array, or as processes on this machine.
    #[command(after_help = SUBMIT_HELP)]
    Submit(Submit),
    /// Say how far the shards below a results folder are.
    #[command(after_help = examples::STATUS)]
    Status(Status),
    /// Compute AUC and TPR from a file of scores.
    #[command(after_help = examples::EVALUATE)]
    Evaluate(Evaluate),
    /// Draw images for a prompt.
    #[command(after_help = examples::GENERATE)]
    Generate(Generate),
    /// Draw images for prompts without and with mitigation, and compare them.
    #[command(after_help = MITIGATE_HELP)]
    Mitigate(Mitigate),
    /// Find the nearest picture for each picture: is one a copy of the other?
    #[command(after_help = SIMILARITY_HELP)]
    Similarity(Similarity),
    /// Look at pictures: alignment with their prompts, quality, similarity to training pictures.
    #[command(after_help = JUDGE_HELP)]
    Judge(Judge),
    /// Find near duplicates in a folder of training pictures.
    #[command(after_help = DUPLICATES_HELP)]
    Duplicates(Duplicates),
    /// The initial noise x_T as a file, for detectors of other programs.
    #[command(subcommand)]
    Noise(Noise),
    /// The network's predictions as files, for detectors of other programs.
    #[command(subcommand)]
    Predictions(Predictions),
    /// List the models that can be named, download one, or check what is in the cache.
    #[command(after_help = examples::MODELS)]
    Models(Models),
    /// Prompt lists that are not part of the program: list or download them.
    #[command(subcommand, after_help = examples::DATA)]
    Data(Data),
    /// Print a completion script for a shell.
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages of memscope and its commands into a folder.
    #[command(after_help = examples::MAN)]
    Man {
        /// The folder; it is made if it does not exist.
        folder: PathBuf,
    },
    /// Explain the exit codes.
    #[command(name = "exit-codes", hide = true)]
    ExitCodes,
}
