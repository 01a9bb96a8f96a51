//! Why a test server did not start.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a test server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot find the server programs of {system}\n  hint: run `scripts/setup --tests`")]
    ProgramsMissing { system: &'static str },
    #[error(
        "{system} does not run as root, and there is no user `{user}`\n  hint: run `scripts/setup --tests`"
    )]
    UserMissing {
        system: &'static str,
        user: &'static str,
    },
    #[error("cannot make a folder for the server: {0}")]
    Folder(#[source] io::Error),
    #[error("cannot run `{program}`: {source}")]
    Spawn { program: PathBuf, source: io::Error },
    #[error("cannot make a database cluster:\n{output}")]
    Cluster { output: String },
    #[error("the server ended while it started:\n{log}")]
    Ended { log: String },
    #[error("the server did not answer within {waited:?}:\n{log}")]
    Silent { waited: Duration, log: String },
}

impl StartError {
    /// Somebody took the port between choosing and binding it.
    pub(super) fn port_was_taken(&self, words: &str) -> bool {
        matches!(self, StartError::Ended { log } if log.contains(words))
    }
}
