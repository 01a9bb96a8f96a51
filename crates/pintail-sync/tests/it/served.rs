//! A table of a real server, and runs that bring it into a lake.

use std::cell::Cell;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::{EngineSettings, LakeLocation};
use pintail_model::{SystemClock, TableName};
use pintail_sync::log::Level;
use pintail_sync::spec::{DeltaSpec, PipelineSpec, StrategyKind};
use pintail_sync::{Error, Progress, StopSignal, SyncReport, SyncRequest, Unwatched};
use pintail_testkit::{Database, MariaDbDatabase, MariaDbServer, PostgresServer};

use crate::lakes::{Kind, Place, Reader, query, soundness, strays};
use crate::shared::Dialect;
use crate::shop::{backend, spec};

/// The table `orders` of a database of its own, and a lake.
pub(crate) struct Served<D = Database<'static>> {
    pub(crate) database: D,
    pub(crate) place: Place,
    pub(crate) spec: PipelineSpec,
    pub(crate) partitions: Option<u32>,
    reader: Reader,
    random: Cell<u32>,
}

impl Served {
    /// A database in which `statements` were run, and a lake that does not exist yet.
    pub(crate) fn new(kind: Kind, statements: &str) -> Self {
        Self::on(PostgresServer::shared(), kind, statements)
    }

    pub(crate) fn on(server: &'static PostgresServer, kind: Kind, statements: &str) -> Self {
        Self::of(server.fresh_database(), kind, statements)
    }
}

impl Served<MariaDbDatabase<'static>> {
    /// The same on a MariaDB.
    pub(crate) fn mariadb(kind: Kind, statements: &str) -> Self {
        Self::of(MariaDbServer::shared().fresh_database(), kind, statements)
    }
}

impl<D: Dialect> Served<D> {
    fn of(database: D, kind: Kind, statements: &str) -> Self {
        database.execute(statements);
        // The server's clock stamps every row, to the microsecond.
        let delta = DeltaSpec {
            column: Some("updated_at".to_owned()),
            margin: Duration::ZERO,
            lookback: Duration::ZERO,
            ..DeltaSpec::default()
        };
        let mut spec = spec(delta);
        spec.source = backend(D::SYSTEM, "orders");
        Self {
            database,
            place: Place::new(kind),
            spec,
            partitions: None,
            reader: Reader::new(),
            random: Cell::new(1),
        }
    }

    pub(crate) fn delta(&mut self, change: impl FnOnce(&mut DeltaSpec)) {
        let StrategyKind::Delta(delta) = &mut self.spec.strategies[1].kind else {
            panic!("the second strategy is the delta");
        };
        change(delta);
    }

    /// A run into `lake`, which is this one's own or the same one on another way.
    pub(crate) fn request(&self, lake: &LakeLocation, strategy: Option<&str>) -> SyncRequest {
        self.random.set(self.random.get() + 1);
        let from = Location::parse(&self.database.url(), Path::new("/")).expect("an address");
        SyncRequest {
            spec: self.spec.clone(),
            source: registry::source(&from.datastore).expect("a source of this release"),
            destination: Box::new(lake.clone()),
            data: pintail_sync::DataFolders::below(self.place.folder.path().join("state")),
            strategy: strategy.map(str::to_owned),
            partitions: self.partitions,
            parity: true,
            allow_deletes: false,
            task: pintail_sync::plan::Task::Sync,
            engine: EngineSettings {
                threads: 2,
                ..EngineSettings::default()
            },
            log_level: Level::Info,
            clock: Arc::new(SystemClock),
            random: self.random.get(),
        }
    }

    pub(crate) fn run(&self, strategy: Option<&str>) -> SyncReport {
        self.watched(strategy, &Unwatched)
    }

    pub(crate) fn watched(&self, strategy: Option<&str>, progress: &dyn Progress) -> SyncReport {
        let request = self.request(&self.place.location, strategy);
        pintail_sync::run(&request, progress, &StopSignal::new()).unwrap_or_else(|error| shown(&error))
    }

    /// Every row of the source as text, in order.
    pub(crate) fn source_rows(&self) -> Vec<String> {
        self.database.orders()
    }

    /// Every row of the lake, spelt as Postgres spells its own. Fails if anything in the lake is not as it must be.
    #[track_caller]
    pub(crate) fn lake_rows(&self) -> Vec<String> {
        self.reader.look(&self.place.location, |lake, session| {
            soundness(lake, session).unwrap_or_else(|problem| panic!("{problem}"));
            let columns: Vec<String> = lake
                .table(session, &TableName::bare("orders"))
                .expect("a lake that can be read")
                .expect("the table is in the lake")
                .columns
                .iter()
                .map(|column| match column.sql_type.as_str() {
                    "TIMESTAMP WITH TIME ZONE" => format!(
                        "'\"' || regexp_replace(strftime({0}::timestamp, '%Y-%m-%d %H:%M:%S.%f'), '[.]?0*$', '') || '+00\"'",
                        column.name
                    ),
                    _ => format!("{}::varchar", column.name),
                })
                .collect();
            let sql = format!("select '(' || concat_ws(',', {}) || ')' from lake.main.orders order by id", columns.join(", "));
            query(session, &sql).iter().map(|row| row.text(0).expect("a text").to_owned()).collect()
        })
    }

    /// Fails unless both sides hold the same rows, and nothing lies around.
    #[track_caller]
    pub(crate) fn assert_equal(&self) {
        let (lake, source) = (self.lake_rows(), self.source_rows());
        let unlike = |these: &[String], those: &[String]| -> Vec<String> {
            let those: HashSet<&String> = those.iter().collect();
            these
                .iter()
                .filter(|row| !those.contains(row))
                .take(10)
                .cloned()
                .collect()
        };
        assert_eq!(
            (unlike(&lake, &source), lake.len()),
            (unlike(&source, &lake), source.len()),
            "rows that only one side has, and how many each has"
        );
        let left = self.reader.look(&self.place.location, |lake, session| {
            strays(lake, session, &TableName::bare("orders"))
        });
        assert!(left.is_empty(), "nobody refers to {left:?}");
    }
}

/// Fails with everything that is known of an error. These databases hold no secrets.
#[track_caller]
pub(crate) fn shown<T>(error: &Error) -> T {
    panic!("{}", described(error))
}

pub(crate) fn described(error: &Error) -> String {
    let message = pintail_sync::report::Failure::of(error).message;
    match error {
        Error::Lake(pintail_lake::Error::Statement { source, .. })
        | Error::Partition {
            source: pintail_lake::Error::Statement { source, .. },
            ..
        } => {
            format!("{message}: {}", source.raw_text())
        }
        _ => message,
    }
}
