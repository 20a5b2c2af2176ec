//! `flux`: engine, client commands and tools in one binary. This file only parses and dispatches.

mod command;
mod config;
mod database;
mod exit;
mod output;
#[cfg(test)]
mod reference;
mod remote;
mod serving;
mod wiring;

use clap::Parser;
use command::Command;
use std::process::ExitCode;

/// Runs workflows durably: on a laptop with nothing but this binary, or as several engines on one
/// database.
#[derive(Parser)]
#[command(
    name = "flux",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(after_help = "Start with: flux run examples/hello/workflow.yaml\n\
    Exit codes: 0 done, 1 unexpected error, 2 wrong usage, 3 the run faulted, 4 cancelled, \
    5 timeout passed, 6 validation failed, 7 not found, 8 conflict, 69 store unreachable, \
    75 try again later, 78 configuration error, 130 interrupted")]
struct Cli {
    #[command(flatten)]
    settings: config::Flags,
    #[command(flatten)]
    output: output::Printing,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    // Before anything else: there is one for each running process, and it must be small and quick.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == flux_engine::runner::ARGUMENT)
    {
        return ExitCode::from(flux_engine::runner::main());
    }
    let cli = Cli::parse();
    output::set_up(&cli.output);
    let result = command::dispatch(cli.command, &cli.settings);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::report(&failure);
            ExitCode::from(failure.code)
        }
    }
}
