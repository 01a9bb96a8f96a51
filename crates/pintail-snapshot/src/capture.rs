//! Taking a snapshot: all tables of a set in one transaction, each into a file of its own, and every file read back before
//! the snapshot counts.
//!
//! A table that is the same as in the newest snapshot that has it is not written again: its rows are hashed, and if nothing
//! changed the earlier file is used once more. A file goes when the last snapshot that needs it goes, and not before.

use std::path::Path;

use jiff::Timestamp;
use pintail_lake::quote::{self, identifier};
use pintail_lake::{Access, Call, DUCKDB_VERSION, DatabaseFile, Engine, Lake, Session};
use pintail_model::{Checksum, ErrorKind, TableName};

use crate::catalog::{self, Catalog, FoundTable};
use crate::error::{Error, Result};
use crate::file_hash::{self, FileHash};
use crate::file_name;
use crate::folder::ProjectFolder;
use crate::id::SnapshotId;
use crate::manifest::{
    DatabaseObject, EngineInfo, FORMAT_OF_FILES, FORMAT_VERSION, Manifest, Proof, SnapshotType, SourceInfo,
    TableEntry, needed,
};
use crate::place::{Work, until_stopped};
use crate::progress::{Progress, Step};
use crate::registry::{Hold, Record};
use crate::restore::absolute_address;
use crate::table_file::TableFile;

/// The name under which the database is attached.
const ALIAS: &str = "pintail_source";

/// ZSTD as DuckDB chooses it by itself.
pub const COMPRESSION_LEVEL: u8 = 3;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// The name; made of type and time if there is none.
    pub id: Option<SnapshotId>,
    /// The branch of the project. Default `main`.
    pub branch: String,
    /// These tables only. Default: all, and what stands beside them.
    pub tables: Vec<TableName>,
    /// Why it is taken.
    pub snapshot_type: SnapshotType,
    /// In somebody's words.
    pub description: Option<String>,
    /// Who takes it.
    pub created_by: String,
    /// Whether it is kept until somebody releases it.
    pub hold: bool,
    /// Whether files are read back before the snapshot counts. It costs about a third of the time, and without it the snapshot
    /// says `unproven`.
    pub read_back: bool,
    /// Level of ZSTD, 1 to 22. Default 3: higher ones take much longer for a few percent.
    pub compression_level: u8,
    /// Write files also of a lake, instead of pinning its snapshot: the files outlive the lake.
    pub export: bool,
}

impl Default for CreateRequest {
    fn default() -> Self {
        Self {
            id: None,
            branch: "main".to_owned(),
            tables: Vec::new(),
            snapshot_type: SnapshotType::Manual,
            description: None,
            created_by: String::new(),
            hold: false,
            read_back: true,
            compression_level: COMPRESSION_LEVEL,
            export: false,
        }
    }
}

/// A snapshot that was taken.
#[derive(Debug, Clone)]
pub struct Created {
    /// What it is.
    pub manifest: Manifest,
    /// SHA-256 that stands at the end of the manifest.
    pub manifest_sha256: String,
}

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
        let session = engine.session()?;
        session.batch(
            Call::new("use the database"),
            &format!("use {}.main", identifier(alias)),
        )?;
        session.begin()?;
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

/// What there is to capture.
#[derive(Default)]
pub(crate) struct Looked {
    pub(crate) tables: Vec<(FoundTable, TableFile)>,
    /// Tables of which everything is known.
    pub(crate) known: Vec<TableEntry>,
    pub(crate) objects: Vec<DatabaseObject>,
    pub(crate) warnings: Vec<String>,
}

impl Looked {
    /// Looks at a database, as the session of `catalog` sees it. `address` names it in errors.
    pub(crate) fn at(catalog: Catalog<'_>, request: &CreateRequest, address: &str) -> Result<Self> {
        let tables = chosen(catalog::tables(catalog)?, &request.tables, address)?;
        let files = tables
            .iter()
            .map(|table| TableFile::of(&table.name(), &table.schema.columns))
            .collect::<Result<Vec<_>>>()?;
        let (objects, warnings) = objects(catalog, request, &tables)?;
        Ok(Self {
            tables: tables.into_iter().zip(files).collect(),
            known: Vec::new(),
            objects,
            warnings,
        })
    }
}

/// With all tables, everything that stands beside them; with some, what the statements of these name.
fn objects(
    catalog: Catalog<'_>,
    request: &CreateRequest,
    tables: &[FoundTable],
) -> Result<(Vec<DatabaseObject>, Vec<String>)> {
    let (objects, warnings) = catalog::objects(catalog)?;
    if request.tables.is_empty() {
        return Ok((objects, warnings));
    }
    let statements: Vec<&str> = tables.iter().map(|table| table.ddl.as_str()).collect();
    let objects = needed(&objects, &statements).into_iter().cloned().collect();
    Ok((objects, Vec::new()))
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

    /// Brings one table into the snapshot.
    fn keep(
        &self,
        request: &CreateRequest,
        work: &mut dyn Work,
        earlier: &[Manifest],
        table: FoundTable,
        file: &TableFile,
    ) -> Result<TableEntry> {
        let name = file_name::of(&table.bucket, &table.table);
        let path = work.path(&name);
        let mut schema = table.schema.clone();
        for (column, cast) in file.casts() {
            let entry = schema.columns.iter_mut().find(|entry| entry.name == column);
            entry.expect("it was made of these").stored_as = cast;
        }
        let relation = self.origin.relation(self.catalog, &table);
        let mut entry = TableEntry {
            schema,
            file: name,
            ..entry_of(table)
        };
        if self.reuse(request, work, earlier, &relation, file, &mut entry)? {
            return Ok(entry);
        }
        self.progress.step(Step::Writing, &entry.name());
        let session = self.catalog.session;
        let level = request.compression_level;
        let written = file.write(self.engine, session, &relation, &path, level)?;
        let hash = match request.read_back {
            true => self.prove(file, &path, &entry.name(), written)?,
            false => file_hash::of(&path)?,
        };
        let label = format!("keep table \"{}\"", entry.name());
        let go_on = until_stopped(self.engine, &label);
        entry.file = work.keep(&entry.file, &hash, request.read_back, &go_on)?.file;
        entry.row_count = written.rows;
        entry.value_hash = written.digest();
        entry.size_bytes = hash.bytes;
        entry.sha256 = hash.sha256;
        Ok(entry)
    }

    /// Reads a file back and compares, while another thread takes its SHA-256.
    fn prove(&self, file: &TableFile, path: &Path, table: &str, written: Checksum) -> Result<FileHash> {
        self.progress.step(Step::Proving, table);
        let (read, hash) = std::thread::scope(|scope| {
            let hash = scope.spawn(|| file_hash::of(path));
            let read = file.hash_file(self.engine, self.catalog.session, path);
            (read, hash.join().expect("hashing a file does not panic"))
        });
        if read? != written {
            return Err(Error::refused(
                ErrorKind::Data,
                format!("cannot keep table \"{table}\": its file does not read back as it was written"),
                "No snapshot was made. If it happens again, check the disk; a value that DuckDB does not carry \
                 through Parquet would be a fault of Pintail: report it with the types of the columns.",
            ));
        }
        hash
    }

    /// Uses the file of an earlier snapshot once more, if the table is the same as it was then and the file is sound.
    fn reuse(
        &self,
        request: &CreateRequest,
        work: &mut dyn Work,
        earlier: &[Manifest],
        relation: &str,
        file: &TableFile,
        entry: &mut TableEntry,
    ) -> Result<bool> {
        let proven = |manifest: &&Manifest| !request.read_back || manifest.proof == Proof::ReadBack;
        let newest = earlier.iter().rev().filter(proven).find_map(|manifest| {
            let found = manifest.table(&entry.bucket, &entry.table)?;
            (!found.pinned()).then_some((manifest, found))
        });
        let Some((manifest, before)) = newest else {
            return Ok(false);
        };
        let session = self.catalog.session;
        if before.schema.columns != entry.schema.columns || before.row_count != count(session, relation)? {
            return Ok(false);
        }
        self.progress.step(Step::Comparing, &entry.name());
        let found = file.hash(self.engine, session, relation)?;
        if found.digest() != before.value_hash || found.rows != before.row_count {
            return Ok(false);
        }
        let id = &manifest.snapshot_id;
        let label = format!("keep table \"{}\"", entry.name());
        let go_on = until_stopped(self.engine, &label);
        let Some(kept) = work.reuse(id, before, &entry.file, request.read_back, &go_on)? else {
            return Ok(false);
        };
        entry.file = kept.file;
        entry.stored_in = kept.stored_in;
        entry.row_count = before.row_count;
        entry.size_bytes = before.size_bytes;
        entry.sha256.clone_from(&before.sha256);
        entry.value_hash.clone_from(&before.value_hash);
        let writer = before.same_as.clone();
        entry.same_as = Some(writer.unwrap_or_else(|| manifest.snapshot_id.clone()));
        Ok(true)
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

/// The tables that are meant.
fn chosen(found: Vec<FoundTable>, wanted: &[TableName], address: &str) -> Result<Vec<FoundTable>> {
    for name in wanted {
        let known = found
            .iter()
            .any(|table| table.named(name.schema_or("main"), &name.table));
        if !known {
            return Err(Error::refused(
                ErrorKind::NotFound,
                format!("{address} has no table \"{name}\""),
                "Write `table` for one of schema `main`, or `schema.table`; a part with dots stands in double quotes.",
            ));
        }
    }
    let meant = |table: &FoundTable| {
        wanted
            .iter()
            .any(|name| table.named(name.schema_or("main"), &name.table))
    };
    Ok(match wanted {
        [] => found,
        _ => found.into_iter().filter(meant).collect(),
    })
}

fn whole_milliseconds(now: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
