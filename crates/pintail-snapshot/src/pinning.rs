//! Taking a snapshot of a lake: by default nothing is copied, and a *pin* in the lake keeps the state that is meant.
//!
//! ```text
//! record: "a pin is coming" ─▶ pin in the lake ─▶ rows read there, hashed ─▶ manifest published
//! ```
//!
//! In this order a crash leaves a record, and perhaps a pin, but never a manifest without its pin. The next prune finds the
//! record, and lets go of what it names. A table that did not change since a snapshot whose pin is still there has the hash that
//! it had then: the catalogue of the lake tells, and no row is read.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use pintail_lake::{Call, Catalogue, Engine, Lake, LakeLocation, PinRequest, Session};
use pintail_model::TableName;

use crate::capture::{Capture, CreateRequest, Created, Looked, Origin, begin, count, entry_of};
use crate::catalog::{Catalog, FoundTable};
use crate::error::Result;
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::manifest::{Manifest, Proof, TableEntry, needed};
use crate::place::Work;
use crate::progress::{Progress, Step};
use crate::release::PinNote;
use crate::table_file::TableFile;

impl ProjectFolder {
    /// Takes a snapshot of a lake: all tables in one state of it.
    ///
    /// # Errors
    /// `NotFound` for a lake or a table that is not there, `Conflict` for an id that is taken, `Unavailable` if the lake
    /// cannot be pinned now.
    pub fn create_of_lake(
        &self,
        engine: &Engine,
        location: &LakeLocation,
        request: &CreateRequest,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Created> {
        let lake = Lake::attach_existing(engine, location)?;
        let taken = self.create_in_lake(&lake, request, now, progress);
        let detached = lake.detach();
        let taken = taken?;
        detached?;
        Ok(taken)
    }

    /// The same of a lake that is attached to be changed. No transaction of its engine may have begun to write.
    pub(crate) fn create_in_lake(
        &self,
        lake: &Lake,
        request: &CreateRequest,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Created> {
        let pin = unique(lake.engine())?;
        let (id, work) = begin(self, request, now)?;
        let note = PinNote {
            snapshot: id.clone(),
            lake: lake.location().identity(),
            pin,
        };
        self.note_pin(&note)?;
        let pinning = Pinning {
            folder: self,
            lake,
            request,
            now,
            progress,
            pin: &note.pin,
        };
        let taken = pinning.take(id.clone(), work);
        if taken.is_err() || request.export {
            let gone = lake.unpin(&note.pin).map_err(Into::into);
            if let Err(error) = gone.and_then(|_| self.forget_pin(&note)) {
                tracing::warn!(%id, %error, "a pin of the lake was left to the next prune");
            }
        }
        taken
    }
}

/// A name that nothing else has.
fn unique(engine: &Engine) -> Result<String> {
    let rows = engine
        .session()?
        .query(Call::new("name a pin"), "select uuid()::varchar")?;
    let name = rows.first().and_then(|row| row.text(0));
    Ok(name.unwrap_or_default().to_owned())
}

/// Lets go of pins of a lake. One that is not there is no error.
pub(crate) fn let_go(engine: &Engine, location: &LakeLocation, pins: &[&str]) -> Result<()> {
    let lake = Lake::attach_existing(engine, location)?;
    let gone = pins.iter().try_for_each(|pin| lake.unpin(pin).map(drop));
    let detached = lake.detach();
    gone?;
    Ok(detached?)
}

/// A snapshot of a lake being taken.
struct Pinning<'a> {
    folder: &'a ProjectFolder,
    lake: &'a Lake,
    request: &'a CreateRequest,
    now: Timestamp,
    progress: &'a dyn Progress,
    pin: &'a str,
}

/// The name under which a lake is attached once more, to be read.
const READER: &str = "pintail_pinned";

impl Pinning<'_> {
    fn take(&self, id: SnapshotId, work: Box<dyn Work>) -> Result<Created> {
        let (snapshot, looked) = self.pin(&id)?;
        let location = self.lake.location();
        if !matches!(location.catalogue, Catalogue::Postgres { .. }) {
            return self.fill(Lake::NAME, snapshot, id, work, looked);
        }
        // Postgres ends the sessions of a writer that leaves them idle, and reading rows leaves the catalogue idle.
        let engine = self.lake.engine();
        let label = format!("attach lake `{}`", location.address());
        engine.attach(&label, &location.reading(READER))?;
        let taken = self.fill(READER, snapshot, id, work, looked);
        let sql = format!("detach {READER}");
        let detached = engine
            .session()?
            .batch(Call::new("detach the lake").protected(), &sql);
        let taken = taken?;
        detached?;
        Ok(taken)
    }

    fn pin(&self, id: &SnapshotId) -> Result<(i64, Looked)> {
        let root = self.folder.place().root();
        let place = match root.contains("://") {
            true => PathBuf::from(root),
            false => std::path::absolute(&root).unwrap_or_else(|_| PathBuf::from(root)),
        };
        let request = PinRequest {
            pin: self.pin.to_owned(),
            project: self.folder.project().to_string(),
            snapshot: id.to_string(),
            place: place.display().to_string(),
            created_by: self.request.created_by.clone(),
            created_at: self.now.to_string(),
        };
        let address = format!("lake `{}`", self.lake.location().address());
        self.lake.pin(&request, |session, snapshot| {
            if let Some(known) = self.known(session, snapshot)? {
                return Ok(known);
            }
            use_lake(session)?;
            Looked::at(catalog(session), self.request, &address)
        })
    }

    /// What an earlier snapshot knows, if it pinned the same state of the lake as a whole. Asking DuckDB about all tables and
    /// columns takes longer than everything else.
    fn known(&self, session: &Session, snapshot: i64) -> Result<Option<Looked>> {
        if self.request.export || !self.request.read_back {
            return Ok(None);
        }
        let (earlier, _) = self.folder.manifests()?;
        let address = self.lake.location().identity();
        let pins = self.lake.pins()?;
        let there = |pin: &str| {
            pins.iter()
                .any(|known| known.pin == pin && known.lake_snapshot == snapshot)
        };
        let same = |manifest: &&Manifest| {
            manifest.source.address == address
                && manifest.proof == Proof::ReadBack
                && manifest
                    .pin()
                    .is_some_and(|(pin, at)| at == snapshot && there(pin))
        };
        let Some(before) = earlier.iter().rev().find(same) else {
            return Ok(None);
        };
        let (tables, others) = self.lake.contents_at(session, snapshot)?;
        let named = |entry: &TableEntry| TableName::new(&entry.bucket, &entry.table);
        let whole = before.tables.iter().map(named).eq(tables) && before.objects.len() as u64 == others;
        let wanted = &self.request.tables;
        let entry = |name: &TableName| before.table(name.schema_or("main"), &name.table);
        if !whole || wanted.iter().any(|name| entry(name).is_none()) {
            return Ok(None);
        }
        let meant = |found: &&TableEntry| {
            wanted.is_empty() || wanted.iter().filter_map(entry).any(|wanted| wanted == *found)
        };
        let chosen: Vec<&TableEntry> = before.tables.iter().filter(meant).collect();
        let statements: Vec<&str> = chosen.iter().map(|entry| entry.ddl.as_str()).collect();
        let (objects, warnings) = match wanted.as_slice() {
            [] => (before.objects.clone(), before.warnings.clone()),
            _ => {
                let needed = needed(&before.objects, &statements);
                (needed.into_iter().cloned().collect(), Vec::new())
            }
        };
        let known = |entry: &&TableEntry| TableEntry {
            same_as: Some(
                entry
                    .same_as
                    .clone()
                    .unwrap_or_else(|| before.snapshot_id.clone()),
            ),
            ..(*entry).clone()
        };
        Ok(Some(Looked {
            known: chosen.iter().map(known).collect(),
            objects,
            warnings,
            ..Looked::default()
        }))
    }

    fn fill(
        &self,
        reader: &str,
        snapshot: i64,
        id: SnapshotId,
        work: Box<dyn Work>,
        looked: Looked,
    ) -> Result<Created> {
        let session = self.lake.session()?;
        let capture = Capture {
            folder: self.folder,
            engine: self.lake.engine(),
            catalog: catalog(&session),
            origin: Origin::Lake {
                lake: self.lake,
                reader,
                snapshot,
            },
            now: self.now,
            progress: self.progress,
        };
        let pin = (!self.request.export).then_some(self.pin);
        capture.fill(self.request, id, work, looked, pin)
    }
}

/// Lets a session find names without a schema as the lake does.
pub(crate) fn use_lake(session: &Session) -> Result<()> {
    let sql = format!("use {}.main", Lake::NAME);
    Ok(session.batch(Call::new("use the lake"), &sql)?)
}

/// What the lake says about itself.
pub(crate) fn catalog(session: &Session) -> Catalog<'_> {
    Catalog {
        session,
        alias: Lake::NAME,
    }
}

impl Capture<'_> {
    /// What a table is in the snapshot that is pinned.
    pub(crate) fn pinned(
        &self,
        request: &CreateRequest,
        earlier: &[Manifest],
        table: FoundTable,
        file: &TableFile,
    ) -> Result<TableEntry> {
        let relation = self.origin.relation(self.catalog, &table);
        let mut entry = entry_of(table);
        if !request.read_back {
            entry.row_count = count(self.catalog.session, &relation)?;
            return Ok(entry);
        }
        self.progress.step(Step::Comparing, &entry.name());
        if let Some((manifest, before)) = self.unchanged(earlier, &entry)? {
            entry.row_count = before.row_count;
            entry.value_hash.clone_from(&before.value_hash);
            let reader = before.same_as.clone();
            entry.same_as = Some(reader.unwrap_or_else(|| manifest.snapshot_id.clone()));
            return Ok(entry);
        }
        self.progress.step(Step::Proving, &entry.name());
        let found = file.hash(self.engine, self.catalog.session, &relation)?;
        entry.row_count = found.rows;
        entry.value_hash = found.digest();
        Ok(entry)
    }

    /// The newest snapshot that read the same rows of the same table, if its pin is still there. The pin tells that the lake is
    /// the same, and that what the catalogue says about the time in between is whole.
    fn unchanged<'m>(
        &self,
        earlier: &'m [Manifest],
        entry: &TableEntry,
    ) -> Result<Option<(&'m Manifest, &'m TableEntry)>> {
        let Origin::Lake { lake, snapshot, .. } = self.origin else {
            return Ok(None);
        };
        let address = lake.location().identity();
        let newest = earlier.iter().rev().find_map(|manifest| {
            let found = manifest.table(&entry.bucket, &entry.table)?;
            let same_lake = manifest.source.address == address && manifest.proof == Proof::ReadBack;
            (same_lake && found.pinned()).then_some((manifest, found))
        });
        let Some((manifest, before)) = newest else {
            return Ok(None);
        };
        let Some((pin, from)) = manifest.pin() else {
            return Ok(None);
        };
        let columns = |entry: &TableEntry| -> Vec<(String, String)> {
            let columns = entry.schema.columns.iter();
            columns
                .map(|column| (column.name.clone(), column.data_type.clone()))
                .collect()
        };
        let there = lake
            .pins()?
            .iter()
            .any(|known| known.pin == pin && known.lake_snapshot == from);
        let same = there
            && columns(before) == columns(entry)
            && !lake.unexpired(&BTreeSet::from([from]))?.is_empty()
            && self.same_files(lake, &TableName::new(&entry.bucket, &entry.table), from, snapshot)?;
        Ok(same.then_some((manifest, before)))
    }

    fn same_files(&self, lake: &Lake, table: &TableName, from: i64, to: i64) -> Result<bool> {
        if from == to {
            return Ok(true);
        }
        let session = self.catalog.session;
        let before = lake.table_id_at(session, table, from)?;
        let now = lake.table_id_at(session, table, to)?;
        let (Some(before), Some(now)) = (before, now) else {
            return Ok(false);
        };
        let tables = BTreeSet::from([now]);
        Ok(before == now && lake.changed(session, &tables, from, to)?.is_empty())
    }
}
