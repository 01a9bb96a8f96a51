//! The command line: one file per command in [`commands`], and the places that all of them share.
//!
//! Data goes to stdout, everything else to stderr. What goes wrong becomes a [`diagnostics::Diagnostic`], which knows
//! how it is shown and with which code the process ends; `docs/exit-codes.md` lists the codes.

mod ages;
mod cli;
mod commands;
mod confirm;
mod diagnostics;
mod execution;
mod interrupt;
mod logging;
mod numbers;
mod progress;
mod project;
mod summary;
mod terminal;
mod yaml;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let outcome = logging::start().and_then(|()| cli.command.run());
    match outcome {
        Ok(code) => code,
        Err(diagnostic) => {
            diagnostic.print(cli.command.json());
            ExitCode::from(diagnostic.exit_code())
        }
    }
}
