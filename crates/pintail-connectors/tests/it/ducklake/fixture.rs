//! Fresh lakes of each kind of catalogue, written to as any user of DuckDB would.

use std::path::Path;
use std::sync::OnceLock;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::connector::Connector;
use pintail_lake::{Access, Call, Engine, EngineSettings, Lake};
use pintail_testkit::conformance::{Fixture, Sample, Unfit};
use pintail_testkit::{Database, PostgresServer};

use crate::duckdb::fixture::{orders, samples, unfit};

pub(crate) enum Kind {
    Sqlite,
    DuckDb,
    Postgres,
}

pub(crate) struct LakeFixture {
    folder: tempfile::TempDir,
    url: String,
    exclusive: bool,
    /// Stays open where others may use the lake meanwhile.
    writer: OnceLock<Lake>,
    _database: Option<Database<'static>>,
}

impl LakeFixture {
    pub(crate) fn new(kind: Kind) -> Self {
        let database = matches!(kind, Kind::Postgres).then(|| PostgresServer::shared().fresh_database());
        let catalogue = match (&kind, &database) {
            (_, Some(database)) => database.url(),
            (Kind::DuckDb, _) => "duckdb:lake.duckdb".to_owned(),
            _ => "sqlite:lake.sqlite".to_owned(),
        };
        let fixture = Self {
            folder: tempfile::tempdir().unwrap(),
            url: format!("ducklake:{catalogue}?data_path=files"),
            exclusive: matches!(kind, Kind::DuckDb),
            writer: OnceLock::new(),
            _database: database,
        };
        fixture.execute("select 1");
        fixture
    }

    fn attach(&self) -> Lake {
        let datastore = Location::parse(&self.url, self.folder.path()).unwrap().datastore;
        let location = registry::lake_location(&datastore).unwrap();
        let engine = Engine::open(&EngineSettings::default()).unwrap();
        Lake::attach(&engine, &location, Access::ReadWrite).unwrap()
    }
}

fn execute(lake: &Lake, sql: &str) {
    let session = lake.session().unwrap();
    let written = session.batch(Call::new("write"), &format!("use lake; {sql}"));
    written.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
}

pub(crate) fn connect(url: &str, folder: &Path) -> Box<dyn Connector> {
    let location = Location::parse(url, folder).unwrap();
    registry::source(&location.datastore).unwrap()
}

impl Fixture for LakeFixture {
    fn connector(&self) -> Box<dyn Connector> {
        connect(&self.url, self.folder.path())
    }

    fn execute(&self, sql: &str) {
        if self.exclusive {
            execute(&self.attach(), sql);
        } else {
            execute(self.writer.get_or_init(|| self.attach()), sql);
        }
    }

    fn fill_orders(&self, rows: u32) {
        self.execute(&orders(rows, self.key_constraint()));
    }

    fn key_constraint(&self) -> &'static str {
        "not null"
    }

    fn keeps_writers_out(&self) -> bool {
        self.exclusive
    }

    fn integer_and_text(&self) -> (&'static str, &'static str) {
        ("bigint", "varchar")
    }

    fn samples(&self) -> Vec<Sample> {
        samples()
    }

    fn unfit(&self) -> Vec<Unfit> {
        unfit()
    }

    fn homeless(&self) -> Vec<&'static str> {
        vec!["hugeint", "uhugeint"]
    }

    fn writes(&self, alias: &str) -> Vec<String> {
        vec![
            format!("insert into {alias}.main.orders (id) values (-1)"),
            format!("delete from {alias}.main.orders"),
            format!("drop table {alias}.main.orders"),
        ]
    }
}
