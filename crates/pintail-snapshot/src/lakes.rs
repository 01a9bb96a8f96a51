//! Lakes that snapshots are pinned in: where each of them is, and how a snapshot is read there.
//!
//! A manifest names its lake without secrets, so somebody else has to know how it is reached.

use std::collections::BTreeSet;
use std::fmt;

use pintail_lake::{Access, Engine, Lake, LakeLocation};
use pintail_model::{ErrorKind, TableName};

use crate::error::{Error, Result};
use crate::folder::ProjectFolder;
use crate::manifest::{Manifest, Proof, TableEntry};

/// Knows how lakes are reached.
pub trait Lakes: fmt::Debug + Send + Sync {
    /// The lake whose [identity](LakeLocation::identity) this is.
    ///
    /// # Errors
    /// `NotFound` for one that nobody knows.
    fn find(&self, identity: &str) -> Result<LakeLocation>;
}

/// Lakes that somebody named.
#[derive(Debug, Clone, Default)]
pub struct KnownLakes(pub Vec<LakeLocation>);

impl Lakes for KnownLakes {
    fn find(&self, identity: &str) -> Result<LakeLocation> {
        let known = self.0.iter().find(|lake| lake.identity() == identity);
        known.cloned().ok_or_else(|| unknown_lake(identity))
    }
}

/// Nobody knows how this lake is reached.
#[must_use]
pub fn unknown_lake(identity: &str) -> Error {
    Error::refused(
        ErrorKind::NotFound,
        format!("cannot reach lake `{identity}`, in which the snapshot is pinned: nobody said how"),
        "A snapshot says which lake it is of, and no password. Name the lake with `--lake`, or in `datastores.yaml`.",
    )
}

/// The lake of a snapshot, attached to be read.
#[derive(Debug)]
pub(crate) struct PinnedLake {
    lake: Lake,
    snapshot: i64,
}

impl PinnedLake {
    /// The rows of a table as they are pinned.
    pub(crate) fn relation(&self, entry: &TableEntry) -> String {
        self.lake
            .qualified_at(&TableName::new(&entry.bucket, &entry.table), self.snapshot)
    }

    /// Where it is.
    pub(crate) fn identity(&self) -> String {
        self.lake.location().identity()
    }

    /// The same lake for another snapshot of it.
    ///
    /// # Errors
    /// `Conflict` if that one is of another lake.
    pub(crate) fn also(&self, manifest: &Manifest) -> Result<Self> {
        if self.identity() != manifest.source.address {
            return Err(Error::refused(
                ErrorKind::Conflict,
                format!(
                    "snapshot `{}` is pinned in lake `{}`, and an engine reads one lake at a time",
                    manifest.snapshot_id, manifest.source.address
                ),
                "Restore one of them into a DuckDB file, and compare with that.",
            ));
        }
        Self::checked(self.lake.clone(), manifest)
    }

    /// A lake that is attached already, for a snapshot of it.
    pub(crate) fn checked(lake: Lake, manifest: &Manifest) -> Result<Self> {
        let Some((pin, snapshot)) = manifest.pin() else {
            return Err(Error::refused(
                ErrorKind::Data,
                format!("snapshot `{}` is not pinned in a lake", manifest.snapshot_id),
                "`pintail snapshot show` says what it is.",
            ));
        };
        if lake.unexpired(&BTreeSet::from([snapshot]))?.is_empty() {
            return Err(Error::refused(
                ErrorKind::Data,
                format!(
                    "cannot use snapshot `{}`: snapshot {snapshot} of lake `{}`, in which it is pinned, has expired",
                    manifest.snapshot_id,
                    lake.location().identity()
                ),
                "`pintail lake maintain` does not expire what is pinned; another program did. `list --table` shows other \
                 snapshots of the table.",
            ));
        }
        // The hash tells whether it is the same lake; where there is none, only the pin does.
        if manifest.proof == Proof::Unproven && !lake.pins()?.iter().any(|known| known.pin == pin) {
            return Err(Error::refused(
                ErrorKind::Data,
                format!(
                    "cannot use snapshot `{}`: its pin is not in lake `{}`, and nobody looked at its rows when it was taken",
                    manifest.snapshot_id,
                    lake.location().identity()
                ),
                "The lake may be another one under the same address.",
            ));
        }
        Ok(Self { lake, snapshot })
    }

    /// Detaches the lake.
    pub(crate) fn close(self) -> Result<()> {
        Ok(self.lake.detach()?)
    }
}

impl ProjectFolder {
    /// Attaches the lake of a snapshot to read what is pinned there.
    pub(crate) fn open_lake(&self, engine: &Engine, manifest: &Manifest) -> Result<PinnedLake> {
        let location = self.lakes().find(&manifest.source.address)?;
        let lake = Lake::attach(engine, &location, Access::ReadOnly)?;
        PinnedLake::checked(lake.clone(), manifest).inspect_err(|_| {
            if let Err(error) = lake.detach() {
                tracing::debug!(%error, "a lake stays attached");
            }
        })
    }

    /// The same if some of `entries` are pinned.
    pub(crate) fn open_lake_of(
        &self,
        engine: &Engine,
        manifest: &Manifest,
        entries: &[&TableEntry],
    ) -> Result<Option<PinnedLake>> {
        match entries.iter().any(|entry| entry.pinned()) {
            true => self.open_lake(engine, manifest).map(Some),
            false => Ok(None),
        }
    }
}
