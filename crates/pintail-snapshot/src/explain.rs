//! One snapshot: why it is still kept, when it goes, and what refers to it.

use jiff::Timestamp;
use serde::Serialize;

use crate::error::Result;
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::manifest::{Manifest, TableEntry};
use crate::retention::{Fate, fates};

/// What is to be said about a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Why it is kept and when it goes.
    #[serde(flatten)]
    pub fate: Fate,
    /// Snapshots that share files with it. These stay as long as one of them does, so it may go before they do.
    pub shares_files_with: Vec<SnapshotId>,
    /// Snapshots that were taken next after it.
    pub followed_by: Vec<SnapshotId>,
    /// What keeps its tables in a lake.
    pub pin: Option<ExplainedPin>,
}

/// A pin, as the manifest has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedPin {
    /// The lake.
    pub lake: String,
    /// The snapshot of the lake, which does not expire as long as this one is kept.
    pub lake_snapshot: i64,
    /// The name of the pin in the lake.
    pub pin: String,
}

impl ProjectFolder {
    /// # Errors
    /// `NotFound` for a snapshot that is not there.
    pub fn explain(&self, id: &SnapshotId, now: Timestamp) -> Result<Explained> {
        let manifest = self.manifest(id)?;
        let (candidates, _) = self.candidates()?;
        let others = candidates
            .iter()
            .map(|candidate| &candidate.manifest)
            .filter(|other| other.snapshot_id != *id);
        let shares = |other: &&Manifest| {
            let shared = |table: &TableEntry| {
                let own = manifest.table(&table.bucket, &table.table);
                own.is_some_and(|own| {
                    !own.pinned() && !table.pinned() && writer(own, &manifest) == writer(table, other)
                })
            };
            other.tables.iter().any(shared)
        };
        let shares_files_with = others
            .clone()
            .filter(shares)
            .map(|other| other.snapshot_id.clone());
        let followed_by = others
            .filter(|other| other.parent.as_ref() == Some(id))
            .map(|other| other.snapshot_id.clone());
        let (shares_files_with, followed_by) = (shares_files_with.collect(), followed_by.collect());
        let fate = fates(&candidates, &self.settings()?, now)
            .into_iter()
            .find(|fate| fate.snapshot == *id);
        let pin = manifest.pin().map(|(pin, lake_snapshot)| ExplainedPin {
            lake: manifest.source.address.clone(),
            lake_snapshot,
            pin: pin.to_owned(),
        });
        Ok(Explained {
            // It was swept since its manifest was read.
            fate: fate.map_or_else(|| Err(self.unknown(id, &[])), Ok)?,
            shares_files_with,
            followed_by,
            pin,
        })
    }
}

/// The snapshot that wrote the file of a table.
fn writer<'a>(table: &'a TableEntry, manifest: &'a Manifest) -> &'a SnapshotId {
    table.same_as.as_ref().unwrap_or(&manifest.snapshot_id)
}
