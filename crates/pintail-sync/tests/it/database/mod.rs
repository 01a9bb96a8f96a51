//! Tables of one Postgres database copied into another: what a database has to keep that a lake does not.

mod changed;
mod documents;
mod large;
mod lost_answer;
mod table;
mod values;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::EngineSettings;
use pintail_model::{SystemClock, TableName};
use pintail_sync::log::Level;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{StrategyKind, copy_spec};
use pintail_sync::{Error, StopSignal, SyncReport, SyncRequest, Unwatched};
use pintail_testkit::{Database, PostgresServer};
use tempfile::TempDir;

/// Two databases of one server, and copies of `orders` from one into `shop.orders` of the other.
pub(crate) struct Pair {
    pub(crate) source: Database<'static>,
    pub(crate) target: Database<'static>,
    folder: TempDir,
    random: std::cell::Cell<u32>,
}

impl Pair {
    /// A source in which `statements` were run, and an empty database.
    pub(crate) fn new(statements: &str) -> Self {
        let server = PostgresServer::shared();
        let source = server.fresh_database();
        source.execute(statements);
        Self {
            source,
            target: server.fresh_database(),
            folder: tempfile::tempdir().expect("a temporary folder"),
            random: std::cell::Cell::new(1),
        }
    }

    /// A copy into the database behind `url`.
    pub(crate) fn request(&self, url: &str, strategy: Option<&str>) -> SyncRequest {
        self.random.set(self.random.get() + 1);
        let here = self.folder.path();
        let read = |url: &str| Location::parse(url, here).unwrap_or_else(|error| panic!("{error}"));
        let joint = if url.contains('?') { '&' } else { '?' };
        let (from, to) = (
            read(&self.source.url()),
            read(&format!("{url}{joint}table=shop.orders")),
        );
        let mut spec = copy_spec(&from, &TableName::bare("orders"), &to);
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

    pub(crate) fn try_run(&self, strategy: Option<&str>) -> Result<SyncReport, Error> {
        let request = self.request(&self.target.url(), strategy);
        pintail_sync::run(&request, &Unwatched, &StopSignal::new())
    }

    /// A copy that ends well, with both sides compared.
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
        report
    }

    /// Fails unless both tables hold the same rows, as Postgres writes them, and nothing else lies around.
    #[track_caller]
    pub(crate) fn assert_equal(&self) {
        let rows = |database: &Database<'_>, table: &str| -> Vec<String> {
            let sql = format!("select t::text from {table} as t order by 1");
            let rows = database.client().query(&sql, &[]).expect("a table");
            rows.iter().map(|row| row.get(0)).collect()
        };
        assert_eq!(rows(&self.source, "orders"), rows(&self.target, "shop.orders"));
        let sql = "select string_agg(relname, ' ' order by relname) from pg_class \
                   where relnamespace = 'pintail'::regnamespace and relkind in ('r', 'v')";
        let left: String = self.target.client().query_one(sql, &[]).expect("a schema").get(0);
        assert_eq!(left, "ledger", "helping tables stay behind");
        let staged = files_below(&self.folder.path().join("stage"));
        assert!(staged.is_empty(), "staged files stay behind: {staged:?}");
    }

    /// One text that the target answers.
    #[track_caller]
    pub(crate) fn ask(&self, sql: &str) -> String {
        let row = self.target.client().query_one(sql, &[]);
        row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }
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
