//! Letting snapshots go: those whose time is over are *marked*, stay whole for their *grace*, and are *swept*.
//!
//! A snapshot that is swept gets another name first, in one step, so nobody ever sees half of one; what a sweep that died left
//! behind, the next one takes away. A file that other snapshots share stays theirs: they have names of their own for it.

use std::fs;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::error::Result;
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::retention::{Candidate, Fate, fates};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prune {
    /// How long a snapshot that is marked stays. Default a day: time to hold one that should not have gone.
    pub grace: Duration,
    /// Only look.
    pub dry_run: bool,
}

impl Default for Prune {
    fn default() -> Self {
        Self {
            grace: Duration::from_hours(24),
            dry_run: false,
        }
    }
}

/// What was done, or what would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Snapshots that were marked: their time is over.
    pub marked: Vec<SnapshotId>,
    /// Marked ones whose grace is not over, and when it is.
    pub waiting: Vec<(SnapshotId, Timestamp)>,
    /// Snapshots that are gone.
    pub swept: Vec<SnapshotId>,
    /// Snapshots that are kept.
    pub kept: u64,
    /// Snapshots that were given up half-way, and are gone.
    pub given_up: u64,
    /// Snapshots that cannot be read, which are left alone.
    pub unreadable: Vec<SnapshotId>,
}

impl ProjectFolder {
    /// Why each snapshot is kept and when it goes, oldest first.
    ///
    /// # Errors
    /// `NotFound` for a project that is not there.
    pub fn fates(&self, now: Timestamp) -> Result<Vec<Fate>> {
        let (candidates, _) = self.candidates()?;
        Ok(fates(&candidates, &self.settings()?, now))
    }

    /// The snapshots as retention sees them, and those that cannot be read.
    pub fn candidates(&self) -> Result<(Vec<Candidate>, Vec<SnapshotId>)> {
        let (manifests, broken) = self.manifests()?;
        let mut candidates = Vec::new();
        for manifest in manifests {
            let folder = self.snapshot(&manifest.snapshot_id);
            let complete = manifest.tables.iter().all(|table| {
                let found = fs::metadata(folder.join(&table.file));
                found.is_ok_and(|found| found.len() == table.size_bytes)
            });
            candidates.push(Candidate {
                record: self.record(&manifest.snapshot_id)?,
                manifest,
                complete,
            });
        }
        Ok((candidates, broken.into_iter().map(|(id, _)| id).collect()))
    }

    /// Marks what is over and sweeps what was marked and whose grace is over.
    ///
    /// # Errors
    /// `NotFound` for a project that is not there, `Unavailable` or `Unauthorized` for a folder that cannot be changed. What
    /// was swept before stays swept.
    pub fn prune(&self, asked: Prune, now: Timestamp) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        let fates = self.fates(now)?;
        let (_, unreadable) = self.candidates()?;
        pruned.unreadable = unreadable;
        for fate in &fates {
            match fate.deleted_at {
                Some(deleted_at) => {
                    let over_at = over(deleted_at, asked.grace);
                    if over_at <= now {
                        pruned.swept.push(fate.snapshot.clone());
                    } else {
                        pruned.waiting.push((fate.snapshot.clone(), over_at));
                    }
                }
                None if fate.kept_by.is_empty() => pruned.marked.push(fate.snapshot.clone()),
                None => pruned.kept += 1,
            }
        }
        if asked.dry_run {
            return Ok(pruned);
        }
        for id in &pruned.marked {
            self.delete(id, now)?;
        }
        let mut swept = Vec::new();
        for id in std::mem::take(&mut pruned.swept) {
            if self.sweep_snapshot(&id, asked.grace, now)? {
                swept.push(id);
            }
        }
        pruned.swept = swept;
        pruned.given_up = self.sweep()?;
        self.forget_gone()?;
        Ok(pruned)
    }

    /// Takes a marked snapshot away. False if it was held, or taken away by somebody else, in the meantime.
    fn sweep_snapshot(&self, id: &SnapshotId, grace: Duration, now: Timestamp) -> Result<bool> {
        let going = {
            let _registry = self.lock_registry()?;
            let marked = self.record(id)?.deleted_at;
            if !self.visible(id) || marked.is_none_or(|at| over(at, grace) > now) {
                return Ok(false);
            }
            let Some(going) = self.take_away(id)? else {
                return Ok(false);
            };
            self.forget(id)?;
            going
        };
        going.remove()?;
        Ok(true)
    }

    /// Forgets snapshots that are gone: their sweep died.
    fn forget_gone(&self) -> Result<()> {
        let _registry = self.lock_registry()?;
        for id in self.recorded()? {
            // Whoever takes one of that name registers it before it is there.
            let Some(_lock) = self.lock_id(&id)? else {
                continue;
            };
            if !self.snapshot(&id).exists() {
                self.forget(&id)?;
            }
        }
        Ok(())
    }
}

fn over(deleted_at: Timestamp, grace: Duration) -> Timestamp {
    SignedDuration::try_from(grace)
        .ok()
        .and_then(|grace| deleted_at.checked_add(grace).ok())
        .unwrap_or(Timestamp::MAX)
}
