//! Destinations of every kind behind one face, for what has to hold in all of them.

use std::sync::Arc;

use jiff::SignedDuration;
use pintail_lake::{Access, Call};
use pintail_model::{Column, FixedClock, LogicalType, TableName};
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{HashSpec, StrategyKind, StrategySpec};
use pintail_sync::{Error, Progress, StopSignal, SyncReport, SyncRequest, Unwatched};
use pintail_testkit::{Database, MariaDbDatabase, MariaDbServer, PostgresServer};

use crate::journey::{Journey, LAKE, in_duckdb};

/// A kind of destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Lake,
    /// With a catalogue that several machines can write to at once.
    SharedLake,
    Files,
    Postgres,
    MariaDb,
    Sqlite,
    DuckDb,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Lake,
        Self::Files,
        Self::Postgres,
        Self::MariaDb,
        Self::Sqlite,
        Self::DuckDb,
    ];

    /// Those that keep values of a column apart where they are told to.
    pub(crate) const UNIQUE: [Self; 4] = [Self::Postgres, Self::MariaDb, Self::Sqlite, Self::DuckDb];
}

/// The server behind a destination, where there is one.
enum Server {
    None,
    Postgres(Database<'static>),
    MariaDb(MariaDbDatabase<'static>),
}

/// A table `orders` of Postgres and its copy, which a hash strategy `compare` keeps.
pub(crate) struct Copied {
    pub(crate) kind: Kind,
    pub(crate) source: Database<'static>,
    pub(crate) clock: Arc<FixedClock>,
    journey: Journey,
    server: Server,
}

impl Copied {
    /// A source in which `statements` were run, and a copy that is not made yet.
    pub(crate) fn new(kind: Kind, statements: &str) -> Self {
        let source = PostgresServer::shared().fresh_database();
        source.execute(statements);
        let server = match kind {
            Kind::Postgres | Kind::SharedLake => Server::Postgres(PostgresServer::shared().fresh_database()),
            Kind::MariaDb => Server::MariaDb(MariaDbServer::shared().fresh_database()),
            _ => Server::None,
        };
        let start = "2024-01-15T14:00:00Z".parse().expect("an instant");
        Self {
            kind,
            source,
            clock: Arc::new(FixedClock::new(start)),
            journey: Journey::new(),
            server,
        }
    }

    /// A path of its own for this copy.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.journey.path(name)
    }

    fn address(&self) -> String {
        match (&self.server, self.kind) {
            (Server::Postgres(database), Kind::SharedLake) => {
                format!(
                    "ducklake:{}?metadata_schema=public&data_path=lake",
                    database.url()
                )
            }
            (Server::Postgres(database), _) => format!("{}?table=public.orders", database.url()),
            (Server::MariaDb(database), _) => format!("{}?table=orders", database.url()),
            (Server::None, Kind::Lake) => LAKE.to_owned(),
            (Server::None, Kind::Files) => "files:files/?table=orders".to_owned(),
            (Server::None, Kind::Sqlite) => "sqlite:copy.sqlite?table=orders".to_owned(),
            (Server::None, _) => "duckdb:copy.duckdb?table=orders".to_owned(),
        }
    }

    pub(crate) fn request(&self, strategy: Option<&str>) -> SyncRequest {
        let mut request = self.journey.request(&self.source.url(), &self.address());
        let hash = StrategyKind::Hash(HashSpec::default());
        request.spec.strategies.push(StrategySpec::new("compare", hash));
        request.spec.name = "orders".to_owned();
        request.strategy = strategy.map(str::to_owned);
        request.clock = Arc::clone(&self.clock) as Arc<dyn pintail_model::Clock>;
        request
    }

    pub(crate) fn try_run(&self, request: &SyncRequest) -> Result<SyncReport, Error> {
        self.clock.advance(SignedDuration::from_secs(1));
        pintail_sync::run(request, &Unwatched, &StopSignal::new())
    }

    /// A run that ends well, with both sides compared.
    #[track_caller]
    pub(crate) fn run(&self, request: &SyncRequest) -> SyncReport {
        self.watched(request, &Unwatched)
    }

    /// The same, in front of a watcher.
    #[track_caller]
    pub(crate) fn watched(&self, request: &SyncRequest, watcher: &dyn Progress) -> SyncReport {
        self.clock.advance(SignedDuration::from_secs(1));
        let report = pintail_sync::run(request, watcher, &StopSignal::new());
        let report =
            report.unwrap_or_else(|error| panic!("{:?}: {}", self.kind, crate::served::described(&error)));
        assert!(
            matches!(report.parity.status, ParityStatus::Ok | ParityStatus::Unchanged),
            "{:?}: {:?}",
            self.kind,
            report.parity
        );
        report
    }

    /// Runs a statement in the copy, in the words of its system.
    pub(crate) fn execute(&self, sql: &str) {
        match (&self.server, self.kind) {
            (Server::Postgres(database), _) => database.execute(sql),
            (Server::MariaDb(database), _) => database.execute(sql),
            (Server::None, Kind::Sqlite) => rusqlite::Connection::open(self.journey.path("copy.sqlite"))
                .and_then(|connection| connection.execute_batch(sql))
                .unwrap_or_else(|error| panic!("{sql}: {error}")),
            (Server::None, Kind::DuckDb) => in_duckdb(&self.journey.path("copy.duckdb"), sql),
            (Server::None, kind) => panic!("nobody else writes to {kind:?}"),
        }
    }

    /// The rows of the copy as texts, in order, as the engine reads them.
    #[track_caller]
    pub(crate) fn rows(&self, columns: &[(&str, LogicalType)]) -> Vec<String> {
        self.rows_of("orders", columns)
    }

    /// The same of another table beside it.
    #[track_caller]
    pub(crate) fn rows_of(&self, table: &str, columns: &[(&str, LogicalType)]) -> Vec<String> {
        let request = self.request(None);
        let columns: Vec<Column> = columns
            .iter()
            .map(|(name, logical_type)| Column {
                name: (*name).to_owned(),
                logical_type: *logical_type,
                nullable: true,
                origin: None,
            })
            .collect();
        let engine = pintail_lake::Engine::open(&pintail_lake::EngineSettings::default()).expect("an engine");
        engine
            .load_all(&request.destination.extensions())
            .expect("extensions");
        let place = request.destination.attach(&engine, Access::ReadOnly);
        let place = place.unwrap_or_else(|error| panic!("{error:?}"));
        let session = place.session().expect("a session");
        let table = &TableName {
            table: table.to_owned(),
            ..request.spec.destination.table.clone()
        };
        place
            .table(&session, table, &columns)
            .unwrap_or_else(|error| panic!("{error:?}"));
        session.begin().expect("a transaction");
        let rows = request.destination.rows(table, &columns, None);
        let found = session.table(Call::new("read the copy"), &format!("from {rows} order by all"));
        let found = found.unwrap_or_else(|error| panic!("{:?}: {error:?}", self.kind));
        session.rollback();
        let text = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
        found
            .rows
            .into_iter()
            .map(|row| row.into_iter().map(text).collect::<Vec<_>>().join(" "))
            .collect()
    }
}

/// Rows that came, were replaced, and went.
pub(crate) fn counts(report: &SyncReport) -> (u64, u64, u64) {
    (report.rows_inserted, report.rows_updated, report.rows_deleted)
}
