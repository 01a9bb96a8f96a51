//! Taking a snapshot: all tables of a set in one transaction, each into a file of its own, and every file read back before
//! the snapshot counts.
//!
//! A table that is the same as in the newest snapshot that has it is not written again: its rows are hashed, and if nothing
//! changed the earlier file is used once more. A file goes when the last snapshot that needs it goes, and not before.

mod looked;
mod request;
mod table;

use jiff::Timestamp;
use pintail_lake::quote;
use pintail_lake::{Access, Call, DUCKDB_VERSION, DatabaseFile, Engine, Lake, Session};
use pintail_model::{ErrorKind, TableName};

pub(crate) use self::looked::Looked;
pub use self::request::{COMPRESSION_LEVEL, CreateRequest, Created};
use crate::catalog::{self, Catalog, FoundTable};
use crate::error::Result;
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::manifest::{EngineInfo, FORMAT_OF_FILES, FORMAT_VERSION, Manifest, Proof, SourceInfo, TableEntry};
use crate::place::{Work, until_stopped};
use crate::progress::Progress;
use crate::registry::{Hold, Record};
use crate::restore::absolute_address;

/// The name under which the database is attached.
const ALIAS: &str = "pintail_source";

impl ProjectFolder {
    /// Takes a snapshot of a DuckDB file. Nothing of it is visible before all of it is there.
    ///
    /// # Errors
    /// `NotFound` for a database or a table that is not there, `Conflict` for an id that is taken or a database that
    /// somebody holds, `Data` for a column that cannot be kept or a file that does not read back as it was written.
    pub fn create(
        &self,
        engine: &Engine,
        database: &DatabaseFile,
        request: &CreateRequest,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Created> {
        database.attach(engine, ALIAS, Access::ReadOnly, None)?;
        let taken = self.create_attached(engine, ALIAS, database, request, now, progress);
        let detached = database.detach(engine, ALIAS);
        let taken = taken?;
        detached?;
        Ok(taken)
    }

    /// The same of a database that `engine` has attached already as `alias`: for whoever writes to it meanwhile.
    ///
    /// # Errors
    /// As there.
    pub fn create_attached(
        &self,
        engine: &Engine,
        alias: &str,
        database: &DatabaseFile,
        request: &CreateRequest,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Created> {
        let session = catalog::session(engine, alias)?;
        let capture = Capture {
            folder: self,
            engine,
            catalog: Catalog {
                session: &session,
                alias,
            },
            origin: Origin::File(database),
            now,
            progress,
        };
        let taken = capture.take(request);
        session.rollback();
        taken
    }
}

/// A snapshot being taken, by a session whose transaction has begun and whose default is the database.
pub(crate) struct Capture<'a> {
    pub(crate) folder: &'a ProjectFolder,
    pub(crate) engine: &'a Engine,
    pub(crate) catalog: Catalog<'a>,
    pub(crate) origin: Origin<'a>,
    pub(crate) now: Timestamp,
    pub(crate) progress: &'a dyn Progress,
}

/// What is captured.
#[derive(Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// A DuckDB file, in the transaction of the session.
    File(&'a DatabaseFile),
    /// A snapshot of a lake, whose rows are read under another name.
    Lake {
        lake: &'a Lake,
        reader: &'a str,
        snapshot: i64,
    },
}

impl Capture<'_> {
    pub(crate) fn take(&self, request: &CreateRequest) -> Result<Created> {
        let looked = Looked::at(self.catalog, request, &self.origin.address())?;
        let (id, work) = begin(self.folder, request, self.now)?;
        self.fill(request, id, work, looked, None)
    }

    /// Brings what was found into a snapshot and publishes it. With a pin, tables stay where they are.
    pub(crate) fn fill(
        &self,
        request: &CreateRequest,
        id: SnapshotId,
        mut work: Box<dyn Work>,
        looked: Looked,
        pin: Option<&str>,
    ) -> Result<Created> {
        let (earlier, broken) = self.folder.manifests()?;
        for (id, error) in broken {
            tracing::warn!(%id, %error, "a snapshot was passed over that cannot be read");
        }
        self.progress.began(looked.tables.len() as u64);
        let mut entries = looked.known;
        for (table, file) in looked.tables {
            let name = table.name();
            let entry = match pin {
                Some(_) => self.pinned(request, &earlier, table, &file)?,
                None => self.keep(request, &mut *work, &earlier, table, &file)?,
            };
            self.progress.done(&name);
            entries.push(entry);
        }
        let manifest = Manifest {
            format_version: match entries
                .iter()
                .any(|entry| entry.stored_in.is_some() || entry.pinned())
            {
                true => FORMAT_VERSION,
                false => FORMAT_OF_FILES,
            },
            snapshot_id: id,
            project_id: self.folder.project().clone(),
            branch: request.branch.clone(),
            created_at: whole_milliseconds(self.now),
            created_by: request.created_by.clone(),
            snapshot_type: request.snapshot_type,
            description: request.description.clone(),
            parent: earlier.last().map(|manifest| manifest.snapshot_id.clone()),
            proof: if request.read_back {
                Proof::ReadBack
            } else {
                Proof::Unproven
            },
            source: self.source(pin)?,
            engine: EngineInfo {
                duckdb: DUCKDB_VERSION.to_owned(),
                pintail: env!("CARGO_PKG_VERSION").to_owned(),
            },
            tables: entries,
            objects: looked.objects,
            warnings: looked.warnings,
        };
        let (content, manifest_sha256) = manifest.seal();
        let record = Record {
            manifest_sha256: Some(manifest_sha256.clone()),
            hold: self.hold(request),
            ..Record::default()
        };
        until_stopped(self.engine, "publish the snapshot")()?;
        work.publish(&content, &record)?;
        Ok(Created {
            manifest,
            manifest_sha256,
        })
    }

    fn source(&self, pin: Option<&str>) -> Result<SourceInfo> {
        Ok(match self.origin {
            Origin::File(database) => SourceInfo {
                system: "duckdb".to_owned(),
                address: absolute_address(&database.path),
                storage_version: self.catalog.storage_version()?,
                lake_snapshot: None,
                pin: None,
            },
            Origin::Lake { lake, snapshot, .. } => SourceInfo {
                system: "ducklake".to_owned(),
                address: lake.location().identity(),
                storage_version: None,
                lake_snapshot: Some(snapshot),
                pin: pin.map(str::to_owned),
            },
        })
    }

    fn hold(&self, request: &CreateRequest) -> Option<Hold> {
        let hold = |reason: &Option<String>| Hold {
            since: self.now,
            by: request.created_by.clone(),
            reason: reason.clone(),
        };
        request.hold.then(|| hold(&request.description))
    }
}

impl Origin<'_> {
    fn address(&self) -> String {
        match self {
            Self::File(database) => database.address.clone(),
            Self::Lake { lake, .. } => format!("lake `{}`", lake.location().address()),
        }
    }

    /// A table as SQL names it.
    pub(crate) fn relation(&self, catalog: Catalog<'_>, table: &FoundTable) -> String {
        match self {
            Self::File(_) => catalog.qualified(&table.bucket, &table.table),
            Self::Lake { reader, snapshot, .. } => {
                let name = TableName::new(&table.bucket, &table.table);
                format!(
                    "{} at (version => {snapshot})",
                    quote::table(reader, &name, "main")
                )
            }
        }
    }
}

/// Takes a name for a snapshot: nobody else gets it from now on.
pub(crate) fn begin(
    folder: &ProjectFolder,
    request: &CreateRequest,
    now: Timestamp,
) -> Result<(SnapshotId, Box<dyn Work>)> {
    if let Some(id) = &request.id {
        return Ok((id.clone(), folder.begin(id)?));
    }
    let mut attempt = 1;
    loop {
        let id = SnapshotId::generated(request.snapshot_type, now, attempt);
        match folder.begin(&id) {
            Err(error) if error.kind() == ErrorKind::Conflict && attempt < 1000 => attempt += 1,
            begun => return Ok((id, begun?)),
        }
    }
}

/// What is known of a table before its rows are looked at.
pub(crate) fn entry_of(table: FoundTable) -> TableEntry {
    TableEntry {
        bucket: table.bucket,
        table: table.table,
        file: String::new(),
        stored_in: None,
        row_count: 0,
        size_bytes: 0,
        sha256: String::new(),
        value_hash: String::new(),
        same_as: None,
        schema: table.schema,
        ddl: table.ddl,
        comment: table.comment,
        indexes: table.indexes,
    }
}

pub(crate) fn count(session: &Session, relation: &str) -> Result<u64> {
    let sql = format!("select count(*) from {relation}");
    let rows = session.query(Call::new("count the rows of a table"), &sql)?;
    let count = rows.first().and_then(|row| row.integer(0));
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

fn whole_milliseconds(now: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
