//! Lakes to test with: one of each catalogue, in a folder that goes away with the test.

use std::io::Write;
use std::path::{Path, PathBuf};

use pintail_lake::{
    Access, Call, Catalogue, Change, CommitOutcome, CommitPart, CommitRequest, Destination, Engine,
    EngineSettings, Lake, LakeLocation, LeaseSettings, LedgerEntry, Result, Session, StagedFile,
};
use pintail_model::{Checksum, Column, LogicalType, PartitionKey, RunId, Secret, TableName};
use pintail_storage::Store;
use pintail_testkit::{PostgresServer, S3Server};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Sqlite,
    DuckDb,
    Postgres,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Sqlite, Kind::DuckDb, Kind::Postgres];

/// A place for a lake.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) location: LakeLocation,
    pub(crate) address: Address,
}

impl Place {
    pub(crate) fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, database) = match kind {
            Kind::Postgres => {
                let server = PostgresServer::shared();
                (server.port(), server.fresh_database().name().to_owned())
            }
            Kind::Sqlite | Kind::DuckDb => (0, String::new()),
        };
        let address = Address {
            kind,
            folder: folder.path().to_path_buf(),
            port,
            database,
            bucket: None,
        };
        Self {
            location: address.location(),
            folder,
            address,
        }
    }

    /// A place whose files lie in a bucket.
    pub(crate) fn in_bucket(kind: Kind) -> Self {
        let place = Self::new(kind);
        let server = S3Server::shared();
        let bucket = server.fresh_bucket();
        let address = Address {
            bucket: Some((server.endpoint().to_owned(), bucket.name().to_owned())),
            ..place.address
        };
        Self {
            location: address.location(),
            folder: place.folder,
            address,
        }
    }

    pub(crate) fn open(&self) -> Lake {
        self.address.open(LeaseSettings::default())
    }
}

/// Where a lake is, in a form that another process can be told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) kind: Kind,
    folder: PathBuf,
    /// Of the server, for Postgres.
    port: u16,
    pub(crate) database: String,
    /// Endpoint and name, for files in a bucket.
    bucket: Option<(String, String)>,
}

impl Address {
    /// The same lake behind another port.
    pub(crate) fn through(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    pub(crate) fn location(&self) -> LakeLocation {
        let catalogue = match self.kind {
            Kind::Sqlite => Catalogue::Sqlite(self.folder.join("lake.sqlite")),
            Kind::DuckDb => Catalogue::DuckDb(self.folder.join("lake.ducklake")),
            Kind::Postgres => postgres_catalogue(self.port, &self.database),
        };
        let data_path = match &self.bucket {
            Some((_, name)) => PathBuf::from(format!("s3://{name}/some data")),
            None => self.folder.join("data"),
        };
        let bucket = self.bucket.as_ref();
        LakeLocation {
            catalogue,
            data_path,
            bucket: bucket.map(|(endpoint, name)| S3Server::settings_of(endpoint, name)),
        }
    }

    /// Attaches the lake to an engine of its own.
    pub(crate) fn open(&self, lease: LeaseSettings) -> Lake {
        let engine = Engine::open(&EngineSettings::default()).expect("an engine");
        Lake::attach_with(&engine, &self.location(), Access::ReadWrite, lease)
            .unwrap_or_else(|error| shown(&error))
    }
}

/// Fails with everything that is known of an error.
#[track_caller]
pub(crate) fn shown<T>(error: &pintail_lake::Error) -> T {
    match error {
        pintail_lake::Error::Statement { source, .. } => panic!("{error}: {}", source.raw_text()),
        other => panic!("{other}: {other:?}"),
    }
}

pub(crate) fn postgres_catalogue(port: u16, database: &str) -> Catalogue {
    Catalogue::Postgres {
        connection: Secret::new(format!(
            "host=127.0.0.1 port={port} user=postgres dbname={database}"
        )),
        options: String::new(),
        password: None,
        secrets: Vec::new(),
        address: format!("postgres://127.0.0.1:{port}/{database}"),
        metadata_schema: "public".to_owned(),
    }
}

pub(crate) fn numbers() -> TableName {
    TableName::new("shop", "numbers")
}

pub(crate) fn columns() -> Vec<Column> {
    vec![
        Column {
            name: "id".to_owned(),
            logical_type: LogicalType::Int64,
            nullable: false,
            origin: None,
        },
        Column {
            name: "version".to_owned(),
            logical_type: LogicalType::Int64,
            nullable: true,
            origin: None,
        },
        Column {
            name: "note".to_owned(),
            logical_type: LogicalType::Text,
            nullable: true,
            origin: None,
        },
    ]
}

/// Stages rows `first..end` of version `version`, every `step`th.
pub(crate) fn stage(
    lake: &Lake,
    run: &str,
    partition: &str,
    rows: std::ops::Range<i64>,
    step: i64,
    version: i64,
) -> CommitPart {
    stage_attempt(lake, run, partition, 1, rows, step, version)
}

/// The same, into the file of one of several attempts.
pub(crate) fn stage_attempt(
    lake: &Lake,
    run: &str,
    partition: &str,
    attempt: u32,
    rows: std::ops::Range<i64>,
    step: i64,
    version: i64,
) -> CommitPart {
    let run = RunId::from_stored(run);
    let session = lake.session().expect("a session");
    let path = lake
        .stage(&numbers(), &run)
        .expect("a stage")
        .file(partition, attempt);
    let sql = format!(
        "copy (select id::bigint as id, {version}::bigint as version, 'note ' || id as note from range({}, {}, {step}) as r(id))
         to '{}' (format parquet)",
        rows.start,
        rows.end,
        path.display()
    );
    let count = session.execute(Call::new("stage"), &sql).expect("staged rows");
    let bytes = lake.secure(&path).expect("a staged file");
    CommitPart {
        entry: LedgerEntry {
            pipeline: "numbers".to_owned(),
            strategy: "test".to_owned(),
            run: run.clone(),
            key: key(run.as_str(), partition),
            rows: count,
            checksum: Checksum {
                rows: count,
                sum: 1,
                mixed: 2,
            },
            source: "test".to_owned(),
            cursor: None,
            watermark: None,
        },
        files: vec![StagedFile {
            path,
            rows: count,
            bytes,
        }],
    }
}

pub(crate) fn key(run: &str, partition: &str) -> PartitionKey {
    PartitionKey::new("numbers", &RunId::from_stored(run), partition)
}

pub(crate) fn try_commit(lake: &Lake, change: Change, parts: Vec<CommitPart>) -> Result<CommitOutcome> {
    lake.commit(&CommitRequest {
        gone: Vec::new(),
        basis: None,
        table: &numbers(),
        columns: &columns(),
        change,
        parts,
        author: "test",
        message: "a test".to_owned(),
        compare: None,
        key: &[],
    })
}

pub(crate) fn commit(lake: &Lake, change: Change, parts: Vec<CommitPart>) -> CommitOutcome {
    try_commit(lake, change, parts).unwrap_or_else(|error| shown(&error))
}

pub(crate) fn upsert() -> Change {
    Change::Upsert {
        key: vec!["id".to_owned()],
        newer: Some("version".to_owned()),
    }
}

/// Number of rows, number of different ids, sum of ids and sum of versions: read from the files, not from metadata.
pub(crate) fn contents(session: &Session) -> (i64, i64, i64, i64) {
    let sql = "select count(note), count(distinct id), sum(id)::bigint, sum(version)::bigint from lake.shop.numbers";
    let rows = session
        .query(Call::new("read the table"), sql)
        .unwrap_or_else(|error| shown(&error));
    let number = |index| rows[0].integer(index).unwrap_or(0);
    (number(0), number(1), number(2), number(3))
}

/// Parquet files below a folder.
pub(crate) fn parquet_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
        {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.push(path);
            }
        }
    }
    found
}

/// Parquet files of a lake.
pub(crate) fn lake_files(lake: &Lake) -> Vec<PathBuf> {
    let location = lake.location();
    let Some(settings) = &location.bucket else {
        return parquet_files(&location.data_path);
    };
    let store = Store::new(settings).expect("a bucket");
    let objects = store.list("").expect("a list");
    let parquet = objects.iter().filter(|object| object.key.ends_with(".parquet"));
    parquet.map(|object| store.url(&object.key).into()).collect()
}

/// A file that the catalogue refers to.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) path: PathBuf,
    /// The newest snapshot needs it.
    pub(crate) live: bool,
    /// It lists rows that are gone.
    pub(crate) deletes: bool,
}

/// A table of the catalogue.
pub(crate) fn metadata_table(lake: &Lake, name: &str) -> String {
    let schema = match &lake.location().catalogue {
        Catalogue::Postgres { metadata_schema, .. } => metadata_schema,
        Catalogue::Sqlite(_) | Catalogue::DuckDb(_) => "main",
    };
    format!("__ducklake_metadata_lake.{schema}.ducklake_{name}")
}

/// Every data and delete file of the table that any snapshot needs.
pub(crate) fn references(lake: &Lake, session: &Session) -> Vec<Reference> {
    let table = numbers();
    let folder = lake
        .location()
        .data_path
        .join(table.schema_or("main"))
        .join(&table.table);
    let mut found = Vec::new();
    for kind in ["data", "delete"] {
        let sql = format!(
            "select f.path, f.end_snapshot is null
             from {} as f
             where table_id in (
                 select table_id
                 from {}
                 where table_name = '{}'
             )",
            metadata_table(lake, &format!("{kind}_file")),
            metadata_table(lake, "table"),
            table.table
        );
        let rows = session.query(Call::new("list files"), &sql);
        for row in rows.unwrap_or_else(|error| shown(&error)) {
            // An absolute path stays as it is.
            found.push(Reference {
                path: folder.join(row.text(0).expect("files have paths")),
                live: row.boolean(1),
                deletes: kind == "delete",
            });
        }
    }
    found
}

/// Fails unless every promise about what is in the lake holds: keys once, ids once, all files there and readable.
#[track_caller]
pub(crate) fn assert_sound(lake: &Lake, context: &str) {
    let session = lake.session().expect("a session");
    let keys = session
        .query(
            Call::new("count keys"),
            "select count(*), count(distinct partition_key) from lake.pintail.ledger",
        )
        .unwrap_or_else(|error| shown(&error));
    assert_eq!(
        keys[0].integer(0),
        keys[0].integer(1),
        "{context}: a key is in the ledger twice"
    );
    let there = lake_files(lake);
    for file in references(lake, &session) {
        assert!(
            there.contains(&file.path),
            "{context}: a file is missing: {file:?}"
        );
    }
    let (rows, ids, ..) = contents(&session);
    assert_eq!(rows, ids, "{context}: rows are doubled");
}

/// Fails if a Parquet file lies around that neither a snapshot needs nor DuckLake is about to remove.
#[track_caller]
pub(crate) fn assert_swept(lake: &Lake, context: &str) {
    let session = lake.session().expect("a session");
    session
        .batch(
            Call::new("clean up"),
            "call ducklake_cleanup_old_files('lake', cleanup_all => true)",
        )
        .unwrap_or_else(|error| shown(&error));
    let known: Vec<PathBuf> = references(lake, &session)
        .into_iter()
        .map(|file| file.path)
        .collect();
    let stray: Vec<PathBuf> = lake_files(lake)
        .into_iter()
        .filter(|path| !known.contains(path))
        .collect();
    assert!(stray.is_empty(), "{context}: nobody refers to {stray:?}");
}

/// The seed of a random test: from `PINTAIL_SEED`, or new. It is printed, so that a failure can be repeated.
pub(crate) fn seeded(test: &str) -> fastrand::Rng {
    let seed = std::env::var("PINTAIL_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    writeln!(std::io::stdout(), "{test}: PINTAIL_SEED={seed}").expect("an open output");
    fastrand::Rng::with_seed(seed)
}
