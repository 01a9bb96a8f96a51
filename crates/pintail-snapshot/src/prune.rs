//! Letting snapshots go: those whose time is over are *marked*, stay whole for their *grace*, and are *swept*.
//!
//! A snapshot that is swept becomes invisible first, in one step, so nobody ever sees half of one; what a sweep that died left
//! behind, the next one takes away. A file that other snapshots share stays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::each::each;
use crate::error::Result;
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::place::bucket::SILENCE;
use crate::registry::Record;
use crate::release::PinLeft;
use crate::retention::{Candidate, Fate, fates};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prune {
    /// How long a snapshot that is marked stays. Default a day: time to hold one that should not have gone.
    pub grace: Duration,
    /// In a bucket: whoever takes a snapshot and was not heard for so long is taken for dead. Default a quarter of an hour.
    pub silence: Duration,
    /// Only look.
    pub dry_run: bool,
}

impl Default for Prune {
    fn default() -> Self {
        Self {
            grace: Duration::from_hours(24),
            silence: SILENCE,
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
    /// Pins that were let go: their snapshots are gone, or were never finished.
    pub pins_released: u64,
    /// Pins that could not be let go. The next prune tries again.
    pub pins_left: Vec<PinLeft>,
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
        let questions = self.place().questions();
        let folders: BTreeSet<&SnapshotId> = manifests
            .iter()
            .flat_map(|manifest| {
                let tables = manifest.tables.iter();
                tables.map(|table| table.stored(&manifest.snapshot_id).folder)
            })
            .collect();
        let folders: Vec<&SnapshotId> = folders.into_iter().collect();
        let listed = each(&folders, questions, |folder| self.place().files(folder));
        let mut there = BTreeMap::new();
        for (folder, files) in folders.into_iter().zip(listed) {
            there.insert(folder, files?);
        }
        let records = each(&manifests, questions, |manifest| {
            self.record(&manifest.snapshot_id)
        });
        let mut candidates = Vec::new();
        for (manifest, record) in manifests.iter().zip(records) {
            let complete = manifest.tables.iter().all(|table| {
                // What is pinned, the lake keeps.
                if table.pinned() {
                    return true;
                }
                let file = table.stored(&manifest.snapshot_id);
                let bytes = there.get(file.folder).and_then(|files| files.get(file.name));
                bytes == Some(&table.size_bytes)
            });
            candidates.push(Candidate {
                record: record?,
                manifest: manifest.clone(),
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
        let (candidates, unreadable) = self.candidates()?;
        pruned.unreadable = unreadable;
        for fate in &fates(&candidates, &self.settings()?, now) {
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
        let over = |record: &Record| record.deleted_at.is_some_and(|at| over(at, asked.grace) <= now);
        let swept = self.place().sweep(&pruned.swept, &over, asked.silence)?;
        pruned.swept = swept.gone;
        pruned.given_up = swept.given_up;
        let released = self.release_pins()?;
        pruned.pins_released = released.pins;
        pruned.pins_left = released.left;
        Ok(pruned)
    }
}

fn over(deleted_at: Timestamp, grace: Duration) -> Timestamp {
    SignedDuration::try_from(grace)
        .ok()
        .and_then(|grace| deleted_at.checked_add(grace).ok())
        .unwrap_or(Timestamp::MAX)
}
