//! What the program's exit status means. Scripts may rely on it.

use memscope_eval::Error as EvalError;
use memscope_frames::Error as FrameError;
use memscope_hub::Error as HubError;
use memscope_judges::Error as JudgeError;
use memscope_model::Error as ModelError;
use memscope_plots::Error as PlotsError;
use memscope_results::{Error as ResultsError, export::ExportError};

use crate::output::OutputError;

/// Exit statuses of errors; clap itself ends with 2 on arguments it cannot understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// A defect of this program or its environment.
    Internal = 1,
    /// An experiment, prompt list or score file that cannot be used.
    Input = 3,
    /// A model that cannot be found, read or run.
    Model = 4,
    /// Results that cannot be written or read back.
    Output = 5,
    /// NaN or infinity where a number was needed.
    Numeric = 6,
    /// Two results folders that were compared are not the same.
    Differs = 7,
    /// Less memory than a model needs.
    Memory = 8,
    /// An audit found what --fail-on names.
    Found = 9,
    /// Shards that are missing, or do not belong together.
    Shards = 10,
    /// Stopped by the user; the same command goes on.
    Interrupted = 130,
}

/// The table shown by `memscope exit-codes`.
pub(crate) const HELP: &str = "\
Exit codes:
    0  success
    1  internal error: a defect of memscope or its environment
    2  arguments that cannot be understood
    3  an experiment file, prompt list or score file that cannot be used
    4  a model that cannot be found, downloaded, read or run
    5  results or downloads that cannot be written, results that cannot be read back (folder, disk, lock)
    6  NaN or infinity in weights, predictions or scores
    7  compare: the two results folders differ beyond the tolerance
    8  too little memory for a model; nothing was loaded
    9  audit: what --fail-on names was found
   10  merge, --shard: shards are missing, or were not made alike
  130  stopped by Ctrl-C, or by a signal of a batch system; the same command goes on where it was
";

impl ExitCode {
    /// The status for an error.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if let Some(code) = error.chain().find_map(|cause| cause.downcast_ref::<UserError>()).map(|e| e.code) {
            return code;
        }
        error
            .chain()
            .find_map(|cause| {
                let eval = cause.downcast_ref::<EvalError>().map(Self::of_eval);
                let hub = || cause.downcast_ref::<HubError>().map(|error| Self::of_hub(error, Self::Model));
                let results = || cause.downcast_ref::<ResultsError>().map(Self::of_results);
                let plots = || cause.downcast_ref::<PlotsError>().map(Self::of_plots);
                let output = || cause.downcast_ref::<OutputError>().map(|_| Self::Output);
                let eval = eval.or_else(results).or_else(plots).or_else(output);
                let judge = || cause.downcast_ref::<JudgeError>().map(Self::of_judge);
                let eval = eval.or_else(judge);
                let frame = || cause.downcast_ref::<FrameError>().map(|_| Self::Input);
                eval.or_else(frame).or_else(|| cause.downcast_ref::<ModelError>().map(Self::of_model)).or_else(hub)
            })
            .unwrap_or(Self::Internal)
    }

    fn of_eval(error: &EvalError) -> Self {
        match error {
            EvalError::Experiment { .. }
            | EvalError::Mitigation(_)
            | EvalError::Override { .. }
            | EvalError::Prompts { .. }
            | EvalError::Scores { .. }
            | EvalError::Protocol(_)
            | EvalError::Stats(_)
            | EvalError::Frame(_)
            | EvalError::Read { .. } => Self::Input,
            EvalError::Write { .. }
            | EvalError::DamagedStore { .. }
            | EvalError::ConflictingRecords { .. }
            | EvalError::StoreInUse { .. } => Self::Output,
            EvalError::Results(results) => Self::of_results(results),
            EvalError::Export(ExportError::BadName { .. }) => Self::Internal,
            EvalError::Export(_) => Self::Output,
            EvalError::NonFinite { .. } => Self::Numeric,
            EvalError::Stopped => Self::Interrupted,
            EvalError::Judge(judge) => Self::of_judge(judge),
            EvalError::Model(model) => Self::of_model(model),
            EvalError::Hub(hub) => Self::of_hub(hub, Self::Input),
            _ => Self::Internal,
        }
    }

    fn of_results(error: &ResultsError) -> Self {
        match error {
            ResultsError::Write { .. }
            | ResultsError::InUse { .. }
            | ResultsError::OtherSettings { .. }
            | ResultsError::Export(_) => Self::Output,
            ResultsError::Shards { .. } | ResultsError::OtherPlan { .. } => Self::Shards,
            ResultsError::Table(_) => Self::Internal,
            _ => Self::Input,
        }
    }

    fn of_judge(error: &JudgeError) -> Self {
        match error {
            JudgeError::Picture { .. }
            | JudgeError::PictureSize { .. }
            | JudgeError::NoPictures { .. }
            | JudgeError::Folder { .. }
            | JudgeError::TooManyPictures { .. }
            | JudgeError::UnknownJudge { .. }
            | JudgeError::TwoJudges { .. } => Self::Input,
            JudgeError::NonFinite { .. } | JudgeError::NoDirection { .. } => Self::Numeric,
            JudgeError::NoCache { .. } => Self::Output,
            JudgeError::Hub(hub) => Self::of_hub(hub, Self::Model),
            _ => Self::Model,
        }
    }

    fn of_plots(error: &PlotsError) -> Self {
        match error {
            PlotsError::Results(results) => Self::of_results(results),
            _ => Self::Internal,
        }
    }

    fn of_model(error: &ModelError) -> Self {
        match error {
            ModelError::NonFiniteWeights { .. }
            | ModelError::NonFiniteOutput { .. }
            | ModelError::BeyondHalfPrecision { .. } => Self::Numeric,
            ModelError::Argument(_) => Self::Input,
            ModelError::TooLittleMemory { .. } => Self::Memory,
            ModelError::Hub(hub) => Self::of_hub(hub, Self::Model),
            _ => Self::Model,
        }
    }

    /// `what` is the status for something that cannot be had.
    fn of_hub(error: &HubError, what: Self) -> Self {
        match error {
            HubError::Stopped => Self::Interrupted,
            HubError::BadId { .. } | HubError::BadVariant { .. } => Self::Input,
            HubError::Write { .. }
            | HubError::InUse { .. }
            | HubError::NoSpace { .. }
            | HubError::NoFolder { .. }
            | HubError::Record { .. } => Self::Output,
            _ => what,
        }
    }
}

/// A mistake of the user that a command itself noticed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct UserError {
    code: ExitCode,
    message: String,
}

impl UserError {
    /// Bad input.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self { code: ExitCode::Input, message: message.into() }
    }

    /// A model that cannot be used.
    pub(crate) fn model(message: impl Into<String>) -> Self {
        Self { code: ExitCode::Model, message: message.into() }
    }

    /// Something that cannot be written, or must not be.
    pub(crate) fn output(message: impl Into<String>) -> Self {
        Self { code: ExitCode::Output, message: message.into() }
    }

    /// Stopped by the user.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self { code: ExitCode::Interrupted, message: message.into() }
    }

    /// What a user wants to fail on.
    pub(crate) fn found(message: impl Into<String>) -> Self {
        Self { code: ExitCode::Found, message: message.into() }
    }

    /// Results that are not the same.
    pub(crate) fn differs(message: impl Into<String>) -> Self {
        Self { code: ExitCode::Differs, message: message.into() }
    }
}
