//! Removes files below a table's folder that no snapshot of the lake refers to: staged files of runs that are over,
//! and what killed committers left behind.
//!
//! A file that is young and not known to be ours may belong to a transaction under way, of Pintail or of another
//! program; it stays until it is older than any lease, run or stopped process can be.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use pintail_model::{RunId, TableName};

use crate::commit::guard;
use crate::commit::lease::{self, Lease};
use crate::error::Result;
use crate::folders;
use crate::lake::Lake;
use crate::metadata::{self, Files};
use crate::session::Session;

/// What a sweep may remove.
#[derive(Debug, Clone, Default)]
pub struct SweepPolicy {
    /// Runs that are known to be over: their unreferenced files go at once.
    pub own_runs: Vec<RunId>,
    /// Any other unreferenced file goes if it is older than this, and if the last snapshot that needed it has been
    /// gone for so long; `None` leaves them.
    pub older_than: Option<Duration>,
}

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Number of files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

pub(crate) fn sweep(lake: &Lake, table: &TableName, policy: &SweepPolicy) -> Result<Swept> {
    let session = lake.session()?;
    if folders::all(lake, &session, table)?.is_empty() {
        return Ok(Swept::default());
    }
    // No commit of ours is under way while we hold the lease, so what the catalogue does not know now is not ours
    // to come, except for what live runs have staged.
    let lease = lease::acquire(lake, table)?;
    if lease.passed_over() {
        // Its holder may be a commit that was stopped and goes on: how old its files are says nothing.
        tracing::warn!(%table, "not swept: another process may be committing");
        return Ok(Swept::default());
    }
    session.begin()?;
    let swept = sweep_folders(lake, &session, &lease, table, policy);
    session.rollback();
    swept
}

fn sweep_folders(
    lake: &Lake,
    session: &Session,
    lease: &Lease,
    table: &TableName,
    policy: &SweepPolicy,
) -> Result<Swept> {
    let mut swept = Swept::default();
    // The table may have come to be while we waited.
    for folder in folders::all(lake, session, table)? {
        let found = sweep_folder(lake, session, lease, &folder, policy)?;
        swept.files += found.files;
        swept.bytes += found.bytes;
    }
    Ok(swept)
}

/// Sweeps under a lease, in a transaction that began under it.
fn sweep_folder(
    lake: &Lake,
    session: &Session,
    lease: &Lease,
    folder: &Path,
    policy: &SweepPolicy,
) -> Result<Swept> {
    // A link of the guard may be all that is left of a file.
    guard::recover(lake, session, folder, lease)?;
    let referenced = metadata::files(lake, session, folder, Files::Any)?;
    let own = |file: &Path| {
        let mut runs = policy.own_runs.iter();
        runs.any(|run| file.starts_with(folder.join(run.as_str())))
    };
    let mut loose = lake.depot().below(folder)?;
    loose.retain(|found| {
        let old = policy.older_than.is_some_and(|limit| found.age >= limit);
        !referenced.contains(&found.path) && (old || own(&found.path))
    });
    // Replaced delete files and expired data files have the age of their making.
    let resting = match policy.older_than {
        Some(limit) if !loose.is_empty() => metadata::given_up_within(lake, session, limit)?,
        _ => BTreeSet::new(),
    };
    let mut swept = Swept::default();
    for found in loose.iter().filter(|found| !resting.contains(&found.path)) {
        lake.depot().remove(&found.path)?;
        swept.files += 1;
        swept.bytes += found.bytes;
    }
    remove_empty_folders(folder);
    Ok(swept)
}

/// Removes folders that hold nothing, innermost first; the system refuses those that hold something.
fn remove_empty_folders(folder: &Path) {
    for path in std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
    {
        if path.is_dir() {
            remove_empty_folders(&path);
            let _ = std::fs::remove_dir(&path);
        }
    }
}
