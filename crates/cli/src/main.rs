//! The `memscope` program: arguments, progress, exit codes.

mod allocator;
mod args;
mod cached;
mod commands;
mod costs;
mod downloads;
mod exit_code;
mod loading;
mod output;
mod progress;

use std::process::ExitCode as ProcessExit;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use args::{Cli, Command, Verify};
use exit_code::ExitCode;

fn main() -> ProcessExit {
    allocator::configure();
    let cli = Cli::parse();
    log_to_stderr(cli.verbose);
    match run(cli.command) {
        Ok(()) => ProcessExit::SUCCESS,
        Err(error) if output::is_closed_pipe(&error) => ProcessExit::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", output::chain(&error));
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
        Command::Tokens(args) => commands::tokens::run(&args),
        Command::Compare(args) => commands::compare::run(&args),
        Command::Verify(Verify::Theorem1(args)) => commands::theorem1::run(&args),
        Command::Report(args) => commands::report::run(&args.results, args.out.as_deref()),
        Command::Evaluate(args) => commands::evaluate::run(&args),
        Command::Generate(args) => commands::generate::run(&args),
        Command::Mitigate(args) => commands::mitigate::run(&args),
        Command::Models(args) => commands::models::run(&args),
        Command::Data(args) => commands::data::run(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "memscope", &mut std::io::stdout());
            Ok(())
        }
        Command::Man { folder } => commands::man::run(&folder, Cli::command()),
        Command::ExitCodes => output::print(exit_code::HELP),
    }
}

/// Logs go to standard error; `MEMSCOPE_LOG` overrides `-v`.
fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("MEMSCOPE_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("memscope={level},{}", crates(level))));
    let colour = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .without_time()
        .with_target(false)
        .init();
}

fn crates(level: &str) -> String {
    ["hub", "model", "metric", "baselines", "mitigation", "judges", "eval", "results", "plots"]
        .map(|name| format!("memscope_{name}={level}"))
        .join(",")
}
