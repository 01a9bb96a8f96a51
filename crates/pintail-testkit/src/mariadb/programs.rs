//! Where the server programs are, and as whom they run.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::geteuid;

use crate::server::{Account, StartError};

const SYSTEM: &str = "MariaDB";

/// Where Debian keeps what is not in the PATH of everybody.
const FOLDERS: [&str; 2] = ["/usr/bin", "/usr/sbin"];

#[derive(Debug)]
pub(super) struct Programs {
    server: PathBuf,
    install: PathBuf,
    /// `None`: run as whoever runs the tests.
    pub(super) account: Option<Account>,
}

impl Programs {
    /// Looks in PATH, then where Debian keeps the programs.
    pub(super) fn find() -> Result<Programs, StartError> {
        let missing = || StartError::ProgramsMissing { system: SYSTEM };
        let server = program("mariadbd").ok_or_else(missing)?;
        let install = program("mariadb-install-db").ok_or_else(missing)?;
        let account = if geteuid().is_root() {
            Some(Account::of("mysql", SYSTEM)?)
        } else {
            None
        };
        Ok(Programs {
            server,
            install,
            account,
        })
    }

    /// A command for the server, to run in `home` as its account. No file of the machine's own configuration is read.
    pub(super) fn server(&self, home: &Path) -> Command {
        self.command(&self.server, home)
    }

    /// A command that makes the tables of a new server.
    pub(super) fn install(&self, home: &Path) -> Command {
        self.command(&self.install, home)
    }

    fn command(&self, program: &Path, home: &Path) -> Command {
        let mut command = Command::new(program);
        command.arg("--no-defaults").current_dir(home).env("LC_ALL", "C");
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }
}

fn program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .chain(FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
