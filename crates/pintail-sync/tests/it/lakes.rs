//! Lakes on all three catalogues, and what must be true of each at any time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pintail_lake::{Access, Call, Catalogue, Engine, EngineSettings, Lake, LakeLocation, Row, Session};
use pintail_model::{Secret, TableName};
use pintail_testkit::{PostgresServer, S3Bucket, S3Server};
use tempfile::TempDir;

/// What holds a lake's catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    DuckDb,
    Postgres,
}

/// A lake that goes away with the test.
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
                postgres_catalogue(server.port(), server.fresh_database().name())
            }
        };
        let location = LakeLocation {
            catalogue,
            data_path: folder.path().join("data"),
            bucket: None,
        };
        Self { folder, location }
    }

    /// A lake whose files lie in a bucket.
    pub(crate) fn in_bucket(kind: Kind) -> Self {
        let bucket = S3Server::shared().fresh_bucket();
        let Self { folder, location } = Self::new(kind);
        let location = LakeLocation {
            data_path: PathBuf::from(bucket.url("data")),
            bucket: Some(bucket.settings().clone()),
            ..location
        };
        Self { folder, location }
    }

    /// Whether somebody has made the lake.
    pub(crate) fn exists(&self) -> bool {
        match &self.location.catalogue {
            Catalogue::Sqlite(file) | Catalogue::DuckDb(file) => file.exists(),
            Catalogue::Postgres { .. } => self.location.data_path.exists(),
        }
    }

    /// The same lake, its Postgres catalogue behind another port.
    pub(crate) fn through(&self, port: u16, database: &str) -> LakeLocation {
        LakeLocation {
            catalogue: postgres_catalogue(port, database),
            ..self.location.clone()
        }
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

/// Somebody who only reads lakes, and was not there when they were written.
pub(crate) struct Reader {
    engine: Engine,
}

impl Reader {
    pub(crate) fn new() -> Self {
        let settings = EngineSettings {
            threads: 1,
            ..EngineSettings::default()
        };
        Self {
            engine: Engine::open(&settings).expect("an engine"),
        }
    }

    /// Looks at a lake, and lets go of it: a DuckDB-file catalogue takes one process, and one engine, at a time.
    pub(crate) fn look<T>(&self, location: &LakeLocation, look: impl FnOnce(&Lake, &Session) -> T) -> T {
        let lake = Lake::attach(&self.engine, location, Access::ReadOnly)
            .unwrap_or_else(|error| panic!("{error}: {error:?}"));
        let session = lake.session().expect("a session");
        let seen = look(&lake, &session);
        drop(session);
        lake.detach().expect("nobody else uses this engine");
        seen
    }
}

/// The rows that a query of the lake yields.
#[track_caller]
pub(crate) fn query(session: &Session, sql: &str) -> Vec<Row> {
    session
        .query(Call::new("look"), sql)
        .unwrap_or_else(|error| match &error {
            pintail_lake::Error::Statement { source, .. } => panic!("{sql}: {}", source.raw_text()),
            _ => panic!("{sql}: {error:?}"),
        })
}

/// Checks what must be true of a lake whatever happened to it: no key is in the ledger twice, and every file that a
/// snapshot needs exists.
pub(crate) fn soundness(lake: &Lake, session: &Session) -> Result<(), String> {
    let keys = query(
        session,
        "select partition_key from lake.pintail.ledger group by 1 having count(*) > 1",
    );
    if let Some(key) = keys.first() {
        return Err(format!("a key is in the ledger twice: {key:?}"));
    }
    let there = files_below(lake, &lake.location().data_path);
    let missing = references(lake, session)
        .into_iter()
        .find(|file| !there.contains(file) && !file.exists());
    match missing {
        Some(missing) => Err(format!(
            "the catalogue refers to {}, which does not exist",
            missing.display()
        )),
        None => Ok(()),
    }
}

/// Files in a table's folder that the catalogue knows nothing of.
pub(crate) fn strays(lake: &Lake, session: &Session, table: &TableName) -> Vec<PathBuf> {
    let mut known = references(lake, session);
    // DuckLake writes a delete file anew when more rows of the same file go, and keeps the old one for readers that
    // are still at work.
    let sql = format!(
        "select path from {}",
        metadata(lake, "files_scheduled_for_deletion")
    );
    let scheduled = query(session, &sql);
    known.extend(
        scheduled
            .iter()
            .filter_map(|row| Some(lake.location().data_path.join(row.text(0)?))),
    );
    let folder = lake
        .location()
        .data_path
        .join(table.schema_or("main"))
        .join(&table.table);
    files_below(lake, &folder)
        .into_iter()
        .filter(|file| !known.contains(file))
        .collect()
}

/// All files that any snapshot of the lake needs.
fn references(lake: &Lake, session: &Session) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for kind in ["data_file", "delete_file"] {
        // Schemas and tables of these tests have plain names, which are the names of their folders.
        let sql = format!(
            "select distinct s.schema_name, t.table_name, f.path
             from {} as f
             join {} as t on t.table_id = f.table_id
             join {} as s on s.schema_id = t.schema_id",
            metadata(lake, kind),
            metadata(lake, "table"),
            metadata(lake, "schema")
        );
        for row in query(session, &sql) {
            let text = |index| row.text(index).expect("names and paths are texts");
            // An absolute path replaces what it is joined to.
            found.insert(
                lake.location()
                    .data_path
                    .join(text(0))
                    .join(text(1))
                    .join(text(2)),
            );
        }
    }
    found
}

/// A table of the catalogue.
fn metadata(lake: &Lake, table: &str) -> String {
    let schema = match &lake.location().catalogue {
        Catalogue::Postgres { metadata_schema, .. } => metadata_schema,
        Catalogue::Sqlite(_) | Catalogue::DuckDb(_) => "main",
    };
    format!("__ducklake_metadata_lake.{schema}.ducklake_{table}")
}

/// All files below a folder of the lake.
fn files_below(lake: &Lake, folder: &Path) -> Vec<PathBuf> {
    if let Some(settings) = &lake.location().bucket {
        let bucket = S3Bucket::known(settings.clone());
        let address = format!("{}/", folder.to_string_lossy());
        let prefix = address
            .strip_prefix(&bucket.url(""))
            .expect("it lies in the bucket");
        let keys = bucket.keys(prefix).into_iter();
        return keys.map(|key| PathBuf::from(bucket.url(&key))).collect();
    }
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
        {
            if path.is_dir() { &mut folders } else { &mut files }.push(path);
        }
    }
    files
}
