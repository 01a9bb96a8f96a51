//! The folder of one server: made for its account, removed with it, and swept when a killed test left it behind.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tempfile::TempDir;

use super::Account;

#[derive(Debug)]
pub(crate) struct Home(TempDir);

impl Home {
    /// Makes a folder for a server of `system`.
    pub(crate) fn make(system: &str, account: Option<Account>) -> io::Result<Home> {
        // The folder for temporary files of root may be closed to the server's account; /tmp is open to all.
        let parent = if account.is_some() {
            PathBuf::from("/tmp")
        } else {
            std::env::temp_dir()
        };
        // The name goes on with the process id of the test, which tells the sweep whether the folder is in use.
        let prefix = format!("pintail-{system}-");
        sweep(&parent, &prefix);
        let folder = tempfile::Builder::new()
            .prefix(&format!("{prefix}{}-", std::process::id()))
            .tempdir_in(parent)?;
        if let Some(account) = account {
            chown(folder.path(), Some(account.uid), Some(account.gid))?;
        }
        Ok(Home(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path().join("server.log")
    }
}

/// Removes the folders of tests that are gone. What cannot be removed stays: it is in nobody's way.
fn sweep(parent: &Path, prefix: &str) {
    for entry in parent.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(|name| owner_of(name, prefix)) else {
            continue;
        };
        if kill(owner, None) == Err(Errno::ESRCH) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn owner_of(name: &str, prefix: &str) -> Option<Pid> {
    let (owner, _) = name.strip_prefix(prefix)?.split_once('-')?;
    owner.parse().ok().map(Pid::from_raw)
}
