//! Tables copied into a database of MariaDB: what it has to keep, and what it would change in silence.

mod leftovers;
mod names;
mod refused;
mod table;
mod values;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mysql::prelude::Queryable;
use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::EngineSettings;
use pintail_model::{SystemClock, TableName};
use pintail_sync::log::Level;
use pintail_sync::report::{Failure, ParityStatus};
use pintail_sync::spec::{StrategyKind, copy_spec};
use pintail_sync::{Error, StopSignal, SyncReport, SyncRequest, Unwatched};
use pintail_testkit::{Database, MariaDbDatabase, MariaDbServer, PostgresServer};
use tempfile::TempDir;

/// Where a copy begins.
pub(crate) enum From {
    MariaDb(MariaDbDatabase<'static>),
    Postgres(Database<'static>),
}

impl From {
    pub(crate) fn url(&self) -> String {
        match self {
            Self::MariaDb(database) => database.url(),
            Self::Postgres(database) => database.url(),
        }
    }

    fn execute(&self, sql: &str) {
        match self {
            Self::MariaDb(database) => execute(database, sql),
            Self::Postgres(database) => database.execute(sql),
        }
    }
}

/// Runs statements one after the other, on a connection of their own.
pub(crate) fn execute(database: &MariaDbDatabase<'_>, sql: &str) {
    database
        .client()
        .query_drop(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Copies of the table `orders` into one of the same name in a database of MariaDB.
pub(crate) struct Pair {
    pub(crate) source: From,
    pub(crate) target: MariaDbDatabase<'static>,
    folder: TempDir,
    random: std::cell::Cell<u32>,
}

impl Pair {
    fn new(source: From, statements: &str) -> Self {
        source.execute(statements);
        Self {
            source,
            target: MariaDbServer::shared().fresh_database(),
            folder: tempfile::tempdir().expect("a temporary folder"),
            random: std::cell::Cell::new(1),
        }
    }

    /// From MariaDB, after `statements`.
    pub(crate) fn mariadb(statements: &str) -> Self {
        Self::new(
            From::MariaDb(MariaDbServer::shared().fresh_database()),
            statements,
        )
    }

    /// From Postgres, after `statements`.
    pub(crate) fn postgres(statements: &str) -> Self {
        let source = From::Postgres(PostgresServer::shared().fresh_database());
        Self::new(source, statements)
    }

    /// A copy of `table` into `place`.
    pub(crate) fn request(&self, table: &str, place: &str, strategy: Option<&str>) -> SyncRequest {
        self.between(&self.source.url(), table, place, strategy)
    }

    fn between(&self, from: &str, table: &str, to: &str, strategy: Option<&str>) -> SyncRequest {
        self.random.set(self.random.get() + 1);
        let here = self.folder.path();
        let read = |url: &str| Location::parse(url, here).unwrap_or_else(|error| panic!("{error}"));
        let (from, to) = (read(from), read(to));
        let mut spec = copy_spec(&from, &TableName::bare(table), &to);
        spec.name = "orders".to_owned();
        // Nobody rounds these stamps, so that nothing has to wait for the clock.
        for strategy in &mut spec.strategies {
            if let StrategyKind::Delta(delta) = &mut strategy.kind {
                (delta.margin, delta.lookback) = (Duration::ZERO, Duration::ZERO);
            }
        }
        SyncRequest {
            spec,
            source: registry::source(&from.datastore).expect("a connector"),
            destination: registry::destination(&to.datastore, &here.join("stage")).expect("a destination"),
            data: pintail_sync::DataFolders::below(here.join("data")),
            strategy: strategy.map(str::to_owned),
            partitions: None,
            parity: true,
            allow_deletes: false,
            task: pintail_sync::plan::Task::Sync,
            engine: EngineSettings::default(),
            log_level: Level::Info,
            clock: Arc::new(SystemClock),
            random: self.random.get(),
        }
    }

    /// The address of the target.
    pub(crate) fn place(&self) -> String {
        format!("{}?table=orders", self.target.url())
    }

    pub(crate) fn try_run(&self, strategy: Option<&str>) -> Result<SyncReport, Error> {
        let request = self.request("orders", &self.place(), strategy);
        pintail_sync::run(&request, &Unwatched, &StopSignal::new())
    }

    /// A copy that ends well, with both sides compared, and leaves nothing behind.
    #[track_caller]
    pub(crate) fn run(&self, strategy: Option<&str>) -> SyncReport {
        let report = self
            .try_run(strategy)
            .unwrap_or_else(|error| panic!("{}", crate::served::described(&error)));
        assert!(
            matches!(report.parity.status, ParityStatus::Ok | ParityStatus::Unchanged),
            "{:?}",
            report.parity
        );
        self.assert_tidy();
        self.assert_nothing_staged();
        report
    }

    /// Copies the table `orders` from some place to another.
    #[track_caller]
    pub(crate) fn copied(&self, from: &str, to: &str) {
        let mut request = self.between(from, "orders", to, None);
        request.spec.name = format!("copy {}", self.random.get());
        pintail_sync::run(&request, &Unwatched, &StopSignal::new())
            .unwrap_or_else(|error| panic!("{}", crate::served::described(&error)));
    }

    /// What a copy is refused with.
    #[track_caller]
    pub(crate) fn refused(&self, strategy: Option<&str>) -> String {
        let error = self.try_run(strategy).expect_err("it is refused");
        self.assert_tidy();
        self.shown(&error)
    }

    /// An error, as people see it.
    pub(crate) fn shown(&self, error: &Error) -> String {
        let message = Failure::of(error).message.replace(self.target.name(), "db");
        // A partition of times is named by them.
        let message = match message.split_once("`updated_at_") {
            Some((before, after)) => {
                let rest = after.split_once('`').map_or("", |(_, rest)| rest);
                format!("{before}`updated_at`{rest}")
            }
            None => message,
        };
        format!("{:?}: {message}", error.kind())
    }

    /// Fails if something lies around.
    #[track_caller]
    pub(crate) fn assert_tidy(&self) {
        assert_eq!(
            self.ask(
                "select group_concat(table_name) from information_schema.tables
                 where table_schema = database() and table_name regexp '^pintail_' and table_name <> 'pintail_ledger'"
            ),
            "NULL",
            "helping tables stay behind"
        );
    }

    /// Fails if a staged file lies around: what was refused may be committed again.
    #[track_caller]
    fn assert_nothing_staged(&self) {
        let staged = files_below(&self.folder.path().join("stage"));
        assert!(staged.is_empty(), "staged files stay behind: {staged:?}");
    }

    /// One value that the target answers, as text.
    #[track_caller]
    pub(crate) fn ask(&self, sql: &str) -> String {
        ask(&self.target, sql)
    }

    /// Fails unless both tables hold the same rows, and columns of the same types. The source is MariaDB.
    #[track_caller]
    pub(crate) fn assert_equal(&self) {
        let From::MariaDb(source) = &self.source else {
            panic!("the source is no MariaDB");
        };
        let rows = |database: &MariaDbDatabase<'_>| -> Vec<Vec<mysql::Value>> {
            let rows: Vec<mysql::Row> = database
                .client()
                .query("select * from orders order by 1")
                .expect("a table");
            rows.into_iter().map(mysql::Row::unwrap).collect()
        };
        assert_eq!(rows(source), rows(&self.target));
        assert_eq!(types(source), types(&self.target));
    }
}

/// One value that a database answers, as text.
#[track_caller]
pub(crate) fn ask(database: &MariaDbDatabase<'_>, sql: &str) -> String {
    let row: Option<mysql::Row> = database
        .client()
        .query_first(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    match row.expect("a row").unwrap().remove(0) {
        mysql::Value::Bytes(bytes) => String::from_utf8(bytes).expect("text"),
        other => other.as_sql(true),
    }
}

/// Names and types of the columns of `orders`.
pub(crate) fn types(database: &MariaDbDatabase<'_>) -> String {
    ask(
        database,
        "select group_concat(concat(column_name, ' ', column_type, if(is_nullable = 'YES', '', '!'))
           order by ordinal_position separator ', ')
         from information_schema.columns where table_schema = database() and table_name = 'orders'",
    )
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
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
