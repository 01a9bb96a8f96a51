//! Real destinations behind one face: a lake, a database, or a folder of files, that runs write to and that somebody else
//! looks at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::{Access, Call, Destination, DestinationPlace, Engine, EngineSettings, Lake, Row, Session};
use pintail_model::{Column, ErrorKind, PartitionKey, TableName};
use pintail_testkit::{MariaDbServer, PostgresServer, S3Bucket, S3Server};
use tempfile::TempDir;

use crate::lakes::{Kind, Place, Reader, query, soundness, strays};

/// A place in which one table after the other is tested.
pub(super) trait Target {
    fn name(&self) -> String;

    /// Where runs keep their state.
    fn data_dir(&self) -> PathBuf;

    fn place(&self) -> Box<dyn DestinationPlace>;

    /// Those of `keys` that are in the ledger.
    fn committed(&self, keys: &[PartitionKey]) -> Vec<PartitionKey>;

    /// What `select` yields of a table with these columns; `None` if it is not there.
    fn rows(&self, table: &str, columns: &[Column], select: &str) -> Option<Vec<Row>>;

    /// Whether floats may be no number, or have no end.
    fn any_float(&self) -> bool;

    /// Checks what must be true when nothing is under way.
    fn check(&self, table: &str) -> Result<(), String>;
}

/// A lake.
pub(super) struct LakeTarget {
    kind: Kind,
    place: Place,
    reader: Reader,
}

impl LakeTarget {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            place: Place::new(kind),
            reader: Reader::new(),
        }
    }

    /// A lake whose files lie in a bucket.
    pub(super) fn in_bucket(kind: Kind) -> Self {
        Self {
            place: Place::in_bucket(kind),
            ..Self::new(kind)
        }
    }

    fn look<T>(&self, look: impl FnOnce(&Lake, &Session) -> T) -> T {
        self.reader.look(&self.place.location, look)
    }
}

impl Target for LakeTarget {
    fn name(&self) -> String {
        match self.place.location.bucket {
            Some(_) => format!("a lake on {:?} and a bucket", self.kind),
            None => format!("a lake on {:?}", self.kind),
        }
    }

    fn data_dir(&self) -> PathBuf {
        self.place.folder.path().join("state")
    }

    fn place(&self) -> Box<dyn DestinationPlace> {
        Box::new(self.place.location.clone())
    }

    fn committed(&self, keys: &[PartitionKey]) -> Vec<PartitionKey> {
        self.look(|lake, session| {
            let entries = lake.ledger().committed(session, keys).expect("a ledger");
            entries.into_iter().map(|entry| entry.key).collect()
        })
    }

    fn rows(&self, table: &str, _columns: &[Column], select: &str) -> Option<Vec<Row>> {
        if !self.place.exists() {
            return None;
        }
        let table = TableName::bare(table);
        self.look(|lake, session| {
            lake.table(session, &table).expect("a lake that can be read")?;
            let sql = format!("select {select} from {}", lake.qualified(&table));
            Some(query(session, &sql))
        })
    }

    fn any_float(&self) -> bool {
        true
    }

    fn check(&self, table: &str) -> Result<(), String> {
        self.look(|lake, session| {
            soundness(lake, session)?;
            match strays(lake, session, &TableName::bare(table)).as_slice() {
                [] => Ok(()),
                files => Err(format!("nobody refers to {files:?}")),
            }
        })
    }
}

/// A database.
pub(super) struct DatabaseTarget {
    name: &'static str,
    any_float: bool,
    folder: TempDir,
    address: String,
    engine: Engine,
}

impl DatabaseTarget {
    pub(super) fn postgres() -> Self {
        let server = PostgresServer::shared();
        let database = server.fresh_database();
        let address = format!(
            "postgres://postgres@127.0.0.1:{}/{}",
            server.port(),
            database.name()
        );
        Self::new("Postgres", |_| address)
    }

    pub(super) fn mariadb() -> Self {
        let server = MariaDbServer::shared();
        let address = server.fresh_database().url();
        Self {
            any_float: false,
            ..Self::new("MariaDB", |_| address)
        }
    }

    pub(super) fn sqlite() -> Self {
        Self {
            any_float: false,
            ..Self::new("a SQLite file", |folder| {
                format!("sqlite:{}", folder.join("copy.sqlite").display())
            })
        }
    }

    pub(super) fn duckdb() -> Self {
        Self::new("a DuckDB file", |folder| {
            format!("duckdb:{}", folder.join("copy.duckdb").display())
        })
    }

    fn new(name: &'static str, address: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = EngineSettings {
            threads: 1,
            ..EngineSettings::default()
        };
        Self {
            name,
            any_float: true,
            address: address(folder.path()),
            engine: Engine::open(&settings).expect("an engine"),
            folder,
        }
    }

    fn stage(&self) -> PathBuf {
        self.folder.path().join("stage")
    }

    /// Looks at the database, and lets go of it. `None` if it does not exist.
    fn look<T>(&self, look: impl FnOnce(&dyn Destination, &Session) -> T) -> Option<T> {
        let database = match self.place().attach(&self.engine, Access::ReadOnly) {
            Ok(database) => database,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => panic!("{error}: {error:?}"),
        };
        let session = database.session().expect("a session");
        let seen = look(database.as_ref(), &session);
        session
            .batch(Call::new("let go"), "detach destination")
            .expect("nobody else uses this engine");
        Some(seen)
    }
}

impl Target for DatabaseTarget {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn place(&self) -> Box<dyn DestinationPlace> {
        let to = Location::parse(&self.address, self.folder.path()).expect("an address");
        registry::destination(&to.datastore, &self.stage()).expect("a destination")
    }

    fn committed(&self, keys: &[PartitionKey]) -> Vec<PartitionKey> {
        self.look(|database, session| {
            let entries = database.committed(session, keys).expect("a ledger");
            entries.into_iter().map(|entry| entry.key).collect()
        })
        .unwrap_or_default()
    }

    fn rows(&self, table: &str, columns: &[Column], select: &str) -> Option<Vec<Row>> {
        let table = TableName::bare(table);
        self.look(|database, session| {
            let found = database.table(session, &table, columns);
            found.expect("a database that can be read")?;
            let rows = self.place().rows(&table, columns, None);
            session.begin().expect("a transaction");
            let rows = query(session, &format!("select {select} from {rows} as kept"));
            session.rollback();
            Some(rows)
        })?
    }

    fn any_float(&self) -> bool {
        self.any_float
    }

    fn check(&self, _table: &str) -> Result<(), String> {
        let left = files_below(&self.stage());
        if !left.is_empty() {
            return Err(format!("staged files stay behind: {left:?}"));
        }
        let helping = self.look(|_, session| {
            query(
                session,
                "select table_name from duckdb_tables() where database_name = 'destination' \
                 and regexp_matches(table_name, '^(side|stage|typed|kept|pintail_side)_')",
            )
        });
        match helping.unwrap_or_default().as_slice() {
            [] => Ok(()),
            tables => Err(format!("helping tables stay behind: {tables:?}")),
        }
    }
}

/// A folder of files, on the disk or in a bucket, in one layout.
pub(super) struct FilesTarget {
    folder: TempDir,
    bucket: Option<S3Bucket>,
    layout: &'static str,
    engine: Engine,
}

impl FilesTarget {
    /// `layout` is what stands in an address: `format=csv`.
    pub(super) fn new(layout: &'static str) -> Self {
        let settings = EngineSettings {
            threads: 1,
            ..EngineSettings::default()
        };
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            bucket: None,
            layout,
            engine: Engine::open(&settings).expect("an engine"),
        }
    }

    /// The same in a bucket.
    pub(super) fn in_bucket(layout: &'static str) -> Self {
        Self {
            bucket: Some(S3Server::shared().fresh_bucket()),
            ..Self::new(layout)
        }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Looks at the folder. `None` if it does not exist.
    fn look<T>(&self, look: impl FnOnce(&dyn Destination, &Session) -> T) -> Option<T> {
        let files = match self.place().attach(&self.engine, Access::ReadOnly) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => panic!("{error}: {error:?}"),
        };
        Some(look(files.as_ref(), &files.session().expect("a session")))
    }

    /// The names of all files, relative to the folder.
    fn names(&self) -> Vec<String> {
        let name = |path: &str, folder: &str| path.strip_prefix(folder).map(str::to_owned);
        let names: Option<Vec<String>> = match &self.bucket {
            Some(bucket) => bucket.keys("out/").iter().map(|key| name(key, "out/")).collect(),
            None => {
                let folder = format!("{}/", self.out().display());
                let files = files_below(&self.out());
                files
                    .iter()
                    .map(|path| name(&path.to_string_lossy(), &folder))
                    .collect()
            }
        };
        names.expect("they lie in the folder")
    }

    fn content(&self, name: &str) -> Vec<u8> {
        match &self.bucket {
            Some(bucket) => bucket.read(&format!("out/{name}")),
            None => std::fs::read(self.out().join(name)).expect("a file"),
        }
    }

    /// Those of `names` that the newest manifest of a table has.
    fn named(&self, table: &str, names: &[String]) -> Vec<String> {
        let manifest = |name: &&String| name.starts_with(&notes(table)) && name.ends_with(".json");
        let Some(newest) = names.iter().filter(manifest).max() else {
            return Vec::new();
        };
        let manifest: serde_json::Value = serde_json::from_slice(&self.content(newest)).expect("a manifest");
        let files = manifest["files"].as_array().expect("files").iter();
        files
            .map(|file| format!("{table}/{}", file["path"].as_str().expect("a path")))
            .collect()
    }
}

/// Where a table's manifests lie.
fn notes(table: &str) -> String {
    format!("{table}/_pintail/")
}

impl Target for FilesTarget {
    fn name(&self) -> String {
        let place = if self.bucket.is_some() {
            "a bucket"
        } else {
            "files"
        };
        format!("{place} with {}", self.layout)
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn place(&self) -> Box<dyn DestinationPlace> {
        let address = match &self.bucket {
            Some(bucket) => format!("{}?{}&{}", bucket.url("out/"), bucket.parameters(""), self.layout),
            None => format!("files:{}/?{}", self.out().display(), self.layout),
        };
        let to = Location::parse(&address, self.folder.path()).expect("an address");
        registry::destination(&to.datastore, &self.folder.path().join("stage")).expect("a destination")
    }

    fn committed(&self, keys: &[PartitionKey]) -> Vec<PartitionKey> {
        self.look(|files, session| {
            let names = self.names();
            let tables: BTreeSet<&str> = names.iter().filter_map(|name| name.split('/').next()).collect();
            for table in tables {
                files
                    .table(session, &TableName::bare(table), &[])
                    .expect("a manifest");
            }
            let entries = files.committed(session, keys).expect("a ledger");
            entries.into_iter().map(|entry| entry.key).collect()
        })
        .unwrap_or_default()
    }

    fn rows(&self, table: &str, columns: &[Column], select: &str) -> Option<Vec<Row>> {
        let table = TableName::bare(table);
        self.look(|files, session| {
            files.table(session, &table, columns).expect("a manifest")?;
            let rows = self.place().rows(&table, columns, None);
            Some(query(session, &format!("select {select} from {rows} as kept")))
        })?
    }

    fn any_float(&self) -> bool {
        true
    }

    fn check(&self, table: &str) -> Result<(), String> {
        let names = self.names();
        let named = self.named(table, &names);
        if let Some(missing) = named.iter().find(|file| !names.contains(file)) {
            return Err(format!("the manifest names {missing:?}, which is not there"));
        }
        let stray = |name: &&String| {
            name.starts_with(&format!("{table}/"))
                && !name.starts_with(&notes(table))
                && !named.contains(name)
        };
        let strays: Vec<&String> = names.iter().filter(stray).collect();
        match strays.as_slice() {
            [] => Ok(()),
            files => Err(format!("nobody refers to {files:?}")),
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let entries = entries.map(|entry| entry.expect("a readable folder").path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path],
        })
        .collect()
}
