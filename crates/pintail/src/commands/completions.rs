//! `pintail completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Outcome;
use crate::cli::Cli;
use crate::terminal;

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  pintail completions bash > ~/.local/share/bash-completion/completions/pintail
  pintail completions zsh > \"${fpath[1]}/_pintail\"
  pintail completions fish > ~/.config/fish/completions/pintail.fish"
)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "pintail", &mut script);
    terminal::data(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
