//! Lakes to test with: one of each catalogue, in a folder that goes away with the test.

use std::path::Path;

use pintail_lake::{
    Access, Call, Catalogue, Change, CommitOutcome, CommitPart, CommitRequest, Engine, EngineSettings, Lake,
    LakeLocation, LedgerEntry, Result, Session, StagedFile,
};
use pintail_model::{Checksum, Column, LogicalType, PartitionKey, RunId, Secret, TableName};
use pintail_testkit::PostgresServer;
use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

impl Place {
    pub(crate) fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let catalogue = match kind {
            Kind::Sqlite => Catalogue::Sqlite(folder.path().join("lake.sqlite")),
            Kind::DuckDb => Catalogue::DuckDb(folder.path().join("lake.ducklake")),
            Kind::Postgres => {
                let server = PostgresServer::shared();
                let database = server.fresh_database().name().to_owned();
                postgres_catalogue(server.port(), &database)
            }
        };
        let location = LakeLocation {
            catalogue,
            data_path: folder.path().join("data"),
        };
        Self { folder, location }
    }

    pub(crate) fn open(&self) -> Lake {
        let engine = Engine::open(&EngineSettings::default()).expect("an engine");
        Lake::attach(&engine, &self.location, Access::ReadWrite).expect("a lake")
    }
}

pub(crate) fn postgres_catalogue(port: u16, database: &str) -> Catalogue {
    Catalogue::Postgres {
        connection: Secret::new(format!(
            "host=127.0.0.1 port={port} user=postgres dbname={database}"
        )),
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
        },
        Column {
            name: "version".to_owned(),
            logical_type: LogicalType::Int64,
            nullable: true,
        },
        Column {
            name: "note".to_owned(),
            logical_type: LogicalType::Text,
            nullable: true,
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
    let run = RunId::from_stored(run);
    let session = lake.session().expect("a session");
    let path = lake.stage(&numbers(), &run).expect("a stage").file(partition, 1);
    let sql = format!(
        "copy (select id::bigint as id, {version}::bigint as version, 'note ' || id as note from range({}, {}, {step}) as r(id))
         to '{}' (format parquet)",
        rows.start,
        rows.end,
        path.display()
    );
    let count = session.execute(Call::new("stage"), &sql).expect("staged rows");
    let bytes = std::fs::metadata(&path).expect("a staged file").len();
    CommitPart {
        entry: LedgerEntry {
            pipeline: "numbers".to_owned(),
            strategy: "test".to_owned(),
            run: run.clone(),
            key: PartitionKey::new("numbers", &run, partition),
            rows: count,
            checksum: Checksum {
                rows: count,
                sum: 1,
                mixed: 2,
            },
            watermark: None,
        },
        files: vec![StagedFile {
            path,
            rows: count,
            bytes,
        }],
    }
}

pub(crate) fn try_commit(lake: &Lake, change: Change, parts: Vec<CommitPart>) -> Result<CommitOutcome> {
    lake.commit(&CommitRequest {
        table: &numbers(),
        columns: &columns(),
        change,
        parts,
        author: "test",
        message: "a test".to_owned(),
    })
}

pub(crate) fn commit(lake: &Lake, change: Change, parts: Vec<CommitPart>) -> CommitOutcome {
    try_commit(lake, change, parts).expect("a commit")
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
        .expect("a readable table");
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
