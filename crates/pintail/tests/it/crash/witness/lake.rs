//! A lake.

use std::path::PathBuf;
use std::time::Duration;

use pintail_lake::depot::Depot;
use pintail_lake::{
    Access, Call, Catalogue, Engine, EngineSettings, Lake, LakeLocation, Session, SweepPolicy,
};
use pintail_model::{ErrorKind, TableName};

use super::Witness;
use crate::crash::orders::{COLUMNS, Orders};

/// A lake that is attached.
pub(crate) struct LakeWitness {
    lake: Lake,
    session: Session,
}

impl LakeWitness {
    /// Attaches a lake; `None` if nobody has made it.
    #[track_caller]
    pub(crate) fn of(location: &LakeLocation, access: Access) -> Option<Self> {
        let settings = EngineSettings {
            threads: 1,
            ..EngineSettings::default()
        };
        let engine = Engine::open(&settings).expect("an engine");
        let lake = match Lake::attach(&engine, location, access) {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            attached => attached.unwrap_or_else(|error| panic!("{error}: {error:?}")),
        };
        let session = lake.session().expect("a session");
        Some(Self { lake, session })
    }

    /// Files of which the catalogue does not know. Fails if one is missing that a snapshot needs.
    #[track_caller]
    fn strays(&self, context: &str) -> Vec<PathBuf> {
        let mut found = self.assert_complete(context);
        let known = [self.references(), self.given_up()].concat();
        found.retain(|file| !known.contains(file));
        found
    }

    /// Fails if a file is missing that a snapshot needs. Returns all that are there.
    #[track_caller]
    pub(crate) fn assert_complete(&self, context: &str) -> Vec<PathBuf> {
        let (needed, found) = (self.references(), self.files());
        let missing: Vec<_> = needed.iter().filter(|file| !found.contains(file)).collect();
        assert!(
            missing.is_empty(),
            "{context}: the catalogue refers to {missing:?}"
        );
        found
    }

    /// Lets years pass for everything that the lake has done until now.
    pub(crate) fn age(&self) {
        let long_ago = |table, column| {
            let table = self.metadata(table);
            format!("update {table} set {column} = '2020-01-01 00:00:00+00'")
        };
        for sql in [
            long_ago("snapshot", "snapshot_time"),
            long_ago("files_scheduled_for_deletion", "schedule_start"),
        ] {
            let done = self.session.batch(Call::new("let years pass"), &sql);
            done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        }
    }

    /// Files that no snapshot needs any more, and that are to be removed.
    pub(crate) fn given_up(&self) -> Vec<PathBuf> {
        let table = self.metadata("files_scheduled_for_deletion");
        let paths = self.texts(&format!("select path from {table}"));
        let data = &self.lake.location().data_path;
        paths.iter().map(|path| data.join(path)).collect()
    }

    /// Fails if a partition is in the ledger twice.
    #[track_caller]
    pub(crate) fn assert_ledger(&self, context: &str) -> Vec<String> {
        let keys = self.texts("select partition_key from lake.pintail.ledger");
        let twice = keys.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "{context}: a partition came in twice");
        keys
    }

    /// Every file of the lake.
    #[track_caller]
    fn files(&self) -> Vec<PathBuf> {
        let location = self.lake.location();
        let depot = Depot::of(location.bucket.as_ref()).expect("the settings are ours");
        let found = depot.below(&location.data_path).expect("files can be listed");
        found.into_iter().map(|file| file.path).collect()
    }

    /// Every file that any snapshot needs.
    fn references(&self) -> Vec<PathBuf> {
        let of = |table| format!("select path from {}", self.metadata(table));
        let paths = self.texts(&[of("data_file"), of("delete_file")].join(" union "));
        // The only table with files lies in the schema `main`; an absolute path replaces what it is joined to.
        paths
            .iter()
            .map(|path| self.lake.location().data_path.join("main/orders").join(path))
            .collect()
    }

    /// A table of the catalogue.
    fn metadata(&self, table: &str) -> String {
        let schema = match &self.lake.location().catalogue {
            Catalogue::Postgres { metadata_schema, .. } => metadata_schema,
            Catalogue::Sqlite(_) | Catalogue::DuckDb(_) => "main",
        };
        format!("__ducklake_metadata_lake.{schema}.ducklake_{table}")
    }

    /// The texts that a query yields, in order.
    #[track_caller]
    fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self.query(sql);
        let mut texts: Vec<String> = rows
            .iter()
            .map(|row| row.text(0).expect("a text").to_owned())
            .collect();
        texts.sort_unstable();
        texts
    }

    #[track_caller]
    fn query(&self, sql: &str) -> Vec<pintail_lake::Row> {
        self.session
            .query(Call::new("look"), sql)
            .unwrap_or_else(|error| match &error {
                pintail_lake::Error::Statement { source, .. } => panic!("{sql}: {}", source.raw_text()),
                other => panic!("{sql}: {other:?}"),
            })
    }
}

impl Witness for LakeWitness {
    #[track_caller]
    fn orders(&self) -> Orders {
        let table = self
            .lake
            .table(&self.session, &orders())
            .expect("the lake's catalogue");
        let Some(table) = table else {
            return Orders::default();
        };
        let sql = format!("select {COLUMNS} from {}", self.lake.qualified(&orders()));
        let rows = self.query(&sql);
        assert_eq!(
            table.rows,
            rows.len() as u64,
            "rows by metadata, rows that can be read"
        );
        let integer = |row: &pintail_lake::Row, index| row.integer(index).expect("an integer");
        Orders::of(
            rows.iter()
                .map(|row| (integer(row, 0), row.text(1).map(str::to_owned), integer(row, 2))),
        )
    }

    #[track_caller]
    fn assert_once(&self, context: &str) {
        let keys = self.assert_ledger(context);
        let committed = self.texts(
            "select unnest((commit_extra_info::json -> 'keys')::varchar[])
             from lake.snapshots()
             where author = 'pintail'",
        );
        assert_eq!(
            committed, keys,
            "{context}: partitions of all commits, partitions of the ledger"
        );
    }

    /// Fails if a file is missing, or if one is there to which nobody refers, beside what a killed commit of DuckLake
    /// wrote itself: only a sweep of old files may take that.
    #[track_caller]
    fn assert_nothing_left(&self, context: &str) {
        let of_ducklake = |file: &PathBuf| {
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            name.starts_with("ducklake-") || file.components().any(|part| part.as_os_str() == "pintail-guard")
        };
        let mut strays = self.strays(context);
        strays.retain(|file| !of_ducklake(file));
        assert!(strays.is_empty(), "{context}: nobody refers to {strays:?}");
    }

    /// Fails if a sweep of everything leaves a file to which nobody refers, or takes one that is needed.
    #[track_caller]
    fn assert_swept(&self, context: &str) {
        let policy = SweepPolicy {
            own_runs: Vec::new(),
            older_than: Some(Duration::ZERO),
        };
        self.lake.sweep(&orders(), &policy).expect("a sweep");
        let strays = self.strays(context);
        assert!(
            strays.is_empty(),
            "{context}: after a sweep, nobody refers to {strays:?}"
        );
    }
}

fn orders() -> TableName {
    TableName::bare("orders")
}
