//! The `memscope` program: arguments, progress, exit codes.

mod allocator;
mod args;
mod cached;
mod commands;
mod costs;
mod downloads;
mod exit_code;
mod input;
mod loading;
mod messages;
mod output;
mod progress;
mod targets;

use std::process::ExitCode as ProcessExit;

use clap::{CommandFactory, Parser};

use args::{Cli, Command, Noise, Predictions, Verify};
use exit_code::ExitCode;

fn main() -> ProcessExit {
    allocator::configure();
    let done = match Cli::try_parse() {
        Ok(cli) => {
            messages::log(cli.verbose);
            run(cli.command)
        }
        Err(wrong) if wrong.use_stderr() => wrong.exit(),
        Err(help) => output::print_help(&help),
    };
    match done {
        Ok(()) => ProcessExit::SUCCESS,
        Err(error) if output::is_closed_pipe(&error) => ProcessExit::SUCCESS,
        Err(error) => {
            messages::note(&format!("error: {}", output::chain(&error)));
            ProcessExit::from(ExitCode::of(&error) as u8)
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Reproduce(args) => commands::reproduce::run(&args),
        Command::Run(args) => commands::run::run(&args),
        Command::Validate { file } => commands::run::validate(&file),
        Command::Schema => commands::run::schema(),
        Command::Detect(args) => commands::detect::run(&args),
        Command::Audit(args) => commands::audit::run(&args),
        Command::Calibrate(args) => commands::audit::calibrate(&args),
        Command::Tokens(args) => commands::tokens::run(&args),
        Command::Compare(args) => commands::compare::run(&args),
        Command::Table(args) => commands::table::run(&args),
        Command::Verify(Verify::Theorem1(args)) => commands::theorem1::run(&args),
        Command::Report(args) => commands::report::run(&args),
        Command::Merge(args) => commands::merge::run(&args),
        Command::Submit(args) => commands::submit::run(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::Evaluate(args) => commands::evaluate::run(&args),
        Command::Generate(args) => commands::generate::run(&args),
        Command::Mitigate(args) => commands::mitigate::run(&args),
        Command::Similarity(args) => commands::pictures::similarity(&args),
        Command::Judge(args) => commands::pictures::judge(&args),
        Command::Duplicates(args) => commands::pictures::duplicates(&args),
        Command::Noise(Noise::Export(args)) => commands::export::noise(&args),
        Command::Predictions(Predictions::Export(args)) => commands::export::predictions(&args),
        Command::Models(args) => commands::models::run(&args),
        Command::Data(args) => commands::data::run(&args),
        Command::Completions { shell } => {
            let mut script = vec![];
            clap_complete::generate(shell, &mut Cli::command(), "memscope", &mut script);
            output::print_data(&script)
        }
        Command::Man { folder } => commands::man::run(&folder, Cli::command()),
        Command::ExitCodes => output::print(exit_code::HELP),
    }
}
