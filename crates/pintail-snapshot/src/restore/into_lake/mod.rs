//! Restoring into a lake: rows are staged beside its tables and proven there, and then all tables change in one commit.
//!
//! ```text
//! look ─▶ pin what goes ─▶ stage rows, compare ─▶ begin ─▶ tables as pinned? ─▶ replace, compare ─▶ commit
//!   ▲                                                          │ no
//!   └──────────────────────────────────────────────────────────┘
//! ```
//!
//! What is pinned first is what the commit replaces: a table that somebody changed in between is pinned anew.

mod work;

use jiff::Timestamp;
use pintail_lake::{Access, Call, Engine, Lake, LakeLocation};
use pintail_model::{ErrorKind, RunId, TableName};

use self::work::{IntoLake, Stop};
use super::lake_table::LakeTable;
use super::objects::Objects;
use super::plan::{self, Planned, Target};
use super::{RestorePlan, RestoreRequest, Restored};
use crate::capture::CreateRequest;
use crate::catalog::{self, FoundTable};
use crate::error::{Error, Result};
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::lakes::PinnedLake;
use crate::manifest::{Manifest, ObjectKind, SnapshotType};
use crate::pinning::{catalog as of_lake, use_lake};
use crate::progress::{Progress, Unwatched};

/// How often a restore begins anew because somebody changed what it replaces.
const ATTEMPTS: u32 = 4;

impl ProjectFolder {
    /// What [`ProjectFolder::restore_into_lake`] would do. Nothing is changed, and no row is read.
    ///
    /// # Errors
    /// As there.
    pub fn plan_restore_into_lake(
        &self,
        engine: &Engine,
        location: &LakeLocation,
        id: &SnapshotId,
        request: &RestoreRequest,
    ) -> Result<RestorePlan> {
        let manifest = self.manifest(id)?;
        let target = Target::lake(&manifest, location);
        refuse_other_lake(&manifest, request, &target)?;
        let there = match Lake::attach(engine, location, Access::ReadOnly) {
            Ok(lake) => {
                let there = tables(&lake);
                lake.detach()?;
                there?
            }
            // It is made.
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let planned = Planned::new(&manifest, request, &target, there)?;
        Ok(shown(&manifest, request, &planned, &target))
    }

    /// Restores tables of a snapshot into a lake, all or none, in one commit. The lake is made if there is none. A snapshot that
    /// is pinned comes back into its own lake.
    ///
    /// # Errors
    /// `NotFound` for a snapshot or a table that is not there, `Conflict` for a table that may not be replaced or that others
    /// keep changing, `Invalid` for a snapshot that is pinned in another lake, `Data` for rows that are not those of the
    /// snapshot. The lake is as it was then.
    pub fn restore_into_lake(
        &self,
        engine: &Engine,
        location: &LakeLocation,
        id: &SnapshotId,
        request: &RestoreRequest,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Restored> {
        let manifest = self.manifest(id)?;
        let target = Target::lake(&manifest, location);
        refuse_other_lake(&manifest, request, &target)?;
        let entries = plan::chosen(&manifest, request)?;
        progress.began(entries.len() as u64);
        self.check(id, &entries, progress)?;
        let lake = Lake::attach(engine, location, Access::ReadWrite)?;
        let restored = self.restore_in_lake(&lake, &manifest, &target, request, now, progress);
        let detached = lake.detach();
        let restored = restored?;
        detached?;
        Ok(restored)
    }

    fn restore_in_lake(
        &self,
        lake: &Lake,
        manifest: &Manifest,
        target: &Target,
        request: &RestoreRequest,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Restored> {
        // Before anything is pinned for it.
        let entries = plan::chosen(manifest, request)?;
        if entries.iter().any(|entry| entry.pinned()) {
            PinnedLake::checked(lake.clone(), manifest)?;
        }
        for _ in 0..ATTEMPTS {
            let planned = Planned::new(manifest, request, target, tables(lake)?)?;
            let kept = self.keep_in_lake(lake, manifest, &planned, request, now)?;
            let work = IntoLake {
                folder: self,
                lake,
                manifest,
                request,
                target,
                run: RunId::new(now, random(lake.engine())?),
                kept: kept.as_ref(),
                progress,
            };
            match work.run(&planned) {
                Ok(restored) => return Ok(restored),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Moved) => {
                    // It is not what would have been replaced.
                    if let Some(kept) = &kept {
                        self.delete(&kept.snapshot_id, now)?;
                    }
                }
            }
        }
        Err(Error::refused(
            ErrorKind::Conflict,
            format!(
                "cannot restore snapshot `{}`: others keep changing the tables that it replaces",
                manifest.snapshot_id
            ),
            "Nothing was changed. Try again when they are done.",
        ))
    }

    /// Pins what is about to be replaced.
    fn keep_in_lake(
        &self,
        lake: &Lake,
        manifest: &Manifest,
        planned: &Planned<'_>,
        request: &RestoreRequest,
        now: Timestamp,
    ) -> Result<Option<Manifest>> {
        if planned.drops.is_empty() {
            return Ok(None);
        }
        let names = planned.drops.iter();
        let asked = CreateRequest {
            tables: names
                .map(|(bucket, table)| TableName::new(bucket, table))
                .collect(),
            snapshot_type: SnapshotType::PreDrop,
            description: Some(format!("Before restore of {}", manifest.snapshot_id)),
            created_by: request.created_by.clone(),
            ..CreateRequest::default()
        };
        let kept = self
            .create_in_lake(lake, &asked, now, &Unwatched)
            .map_err(|error| Error::Kept {
                what: format!("the restore of snapshot `{}`", manifest.snapshot_id),
                source: Box::new(error),
            })?;
        Ok(Some(kept.manifest))
    }
}

/// A pin is a state of its own lake, and of no other.
fn refuse_other_lake(manifest: &Manifest, request: &RestoreRequest, target: &Target) -> Result<()> {
    let pinned = plan::chosen(manifest, request)?
        .iter()
        .any(|entry| entry.pinned());
    if target.own || !pinned {
        return Ok(());
    }
    Err(Error::refused(
        ErrorKind::Invalid,
        format!(
            "cannot restore snapshot `{}` into {}: it is pinned in {}",
            manifest.snapshot_id, target.address, manifest.source.address
        ),
        "What is pinned comes back into its own lake, or into a DuckDB file. `create --export` takes a snapshot that goes \
         everywhere.",
    ))
}

/// All tables of a lake as it is now.
fn tables(lake: &Lake) -> Result<Vec<FoundTable>> {
    let session = lake.session()?;
    use_lake(&session)?;
    session.begin()?;
    let found = catalog::tables(of_lake(&session));
    session.rollback();
    found
}

/// The plan for people, with what a lake cannot hold.
fn shown(
    manifest: &Manifest,
    request: &RestoreRequest,
    planned: &Planned<'_>,
    target: &Target,
) -> RestorePlan {
    let objects = Objects::new(manifest, request, planned, Vec::new());
    let (held, lost): (Vec<_>, Vec<_>) = objects.shown().into_iter().partition(|object| {
        object.kind != ObjectKind::Sequence.keyword() && object.kind != ObjectKind::Type.keyword()
    });
    let mut plan = planned.shown(target, manifest, &held);
    // A lake has no indexes.
    plan.index_bytes = 0;
    for (entry, _) in &planned.tables {
        plan.warnings.extend(LakeTable::of(manifest, entry).warnings);
    }
    let left_out = |object: &super::PlannedObject| {
        format!(
            "{} \"{}\" is left out: a lake holds none",
            object.kind, object.name
        )
    };
    plan.warnings.extend(lost.iter().map(left_out));
    plan
}

fn random(engine: &Engine) -> Result<u32> {
    let rows = engine
        .session()?
        .query(Call::new("name a run"), "select (random() * 16777215)::integer")?;
    let number = rows.first().and_then(|row| row.integer(0)).unwrap_or(0);
    Ok(u32::try_from(number).unwrap_or(0))
}
