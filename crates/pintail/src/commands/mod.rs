//! One file per command: its arguments with their help texts, and the wiring to the crates that do the work.

use std::process::ExitCode;

use crate::diagnostics::Diagnostic;

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod init;
pub(crate) mod lake;
pub(crate) mod proof;
pub(crate) mod run;
pub(crate) mod snapshot;
pub(crate) mod sql;
pub(crate) mod state;
pub(crate) mod verify;

/// How a command ends: with a code, or with something to say.
pub(crate) type Outcome = Result<ExitCode, Diagnostic>;
