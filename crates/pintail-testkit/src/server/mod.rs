//! What private servers of any system have in common: a folder, an account, a process that is watched.

mod error;
mod home;
mod launch;
mod shared;

use std::process::Command;

use nix::unistd::User;

pub use self::error::StartError;
pub(crate) use self::home::Home;
pub(crate) use self::launch::{Kind, Running};
pub(crate) use self::shared::shared;

/// The account that a server runs as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    pub(crate) fn of(user: &'static str, system: &'static str) -> Result<Account, StartError> {
        let user = User::from_name(user)
            .ok()
            .flatten()
            .ok_or(StartError::UserMissing { system, user })?;
        Ok(Account {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        })
    }
}

/// Runs a program that prepares a server, to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), StartError> {
    let output = command.output().map_err(|source| StartError::Spawn {
        program: command.get_program().into(),
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    let output = [output.stdout, output.stderr].concat();
    Err(StartError::Cluster {
        output: String::from_utf8_lossy(&output).into_owned(),
    })
}
