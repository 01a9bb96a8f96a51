//! Where the server programs are, and as whom they run.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::geteuid;

use crate::server::{Account, StartError};

const SYSTEM: &str = "PostgreSQL";

/// Names the folder of the programs of another version, for whoever wants to see the tests pass there, too.
const CHOSEN: &str = "PINTAIL_TEST_POSTGRES";

#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    /// `None`: run as whoever runs the tests.
    pub(super) account: Option<Account>,
}

impl Programs {
    /// Looks where the environment says and nowhere else; otherwise where Debian keeps the programs (the newest version
    /// counts), then in PATH.
    pub(super) fn find() -> Result<Programs, StartError> {
        let candidates = match env::var_os(CHOSEN) {
            Some(folder) => vec![PathBuf::from(folder)],
            None => found_folders(),
        };
        let folder = candidates
            .into_iter()
            .find(|folder| holds_server(folder))
            .ok_or(StartError::ProgramsMissing { system: SYSTEM })?;
        let account = if geteuid().is_root() {
            Some(Account::of("postgres", SYSTEM)?)
        } else {
            None
        };
        Ok(Programs { folder, account })
    }

    /// A command for the program `name`, to run in `home` as the server's account. Messages are in English, since
    /// [`launch`](super::launch) reads them.
    pub(super) fn command(&self, name: &str, home: &Path) -> Command {
        let mut command = Command::new(self.folder.join(name));
        command.current_dir(home).env("LC_ALL", "C");
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }
}

fn holds_server(folder: &Path) -> bool {
    folder.join("postgres").is_file() && folder.join("initdb").is_file()
}

fn found_folders() -> Vec<PathBuf> {
    let mut folders = debian_folders();
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    folders
}

fn debian_folders() -> Vec<PathBuf> {
    let Ok(entries) = Path::new("/usr/lib/postgresql").read_dir() else {
        return Vec::new();
    };
    let mut versions: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|left, right| right.cmp(left));
    versions
        .into_iter()
        .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
        .collect()
}
