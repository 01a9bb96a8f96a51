//! A table of a real server, by `pintail copy`'s own pipeline.

use std::sync::Arc;
use std::time::Duration;

use pintail_config::Location;
use pintail_lake::{EngineSettings, LakeLocation};
use pintail_model::{ErrorKind, SystemClock, TableName};
use pintail_sync::log::Level;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{StrategyKind, copy_spec};
use pintail_sync::{StopSignal, SyncReport, SyncRequest, Unwatched};
use pintail_testkit::{Database, PostgresServer};
use tempfile::TempDir;

/// A database, a lake, and copies between them.
pub(crate) struct Copy<'a> {
    pub(crate) database: Database<'a>,
    folder: TempDir,
    random: std::cell::Cell<u32>,
    parity: bool,
    partitions: Option<u32>,
}

impl Copy<'_> {
    pub(crate) fn new(statements: &str) -> Self {
        let database = PostgresServer::shared().fresh_database();
        database.execute(statements);
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            database,
            folder,
            random: std::cell::Cell::new(1),
            parity: true,
            partitions: None,
        }
    }

    pub(crate) fn request(&self) -> SyncRequest {
        self.random.set(self.random.get() + 1);
        let here = self.folder.path();
        let read = |url: &str| Location::parse(url, here).unwrap_or_else(|error| panic!("{error}"));
        let from = read(&self.database.url());
        let to = read("ducklake:sqlite:lake.sqlite?data_path=lake");
        let mut spec = copy_spec(&from, &TableName::bare("orders"), &to);
        // Nobody rounds these stamps, so that nothing has to wait for the clock.
        for strategy in &mut spec.strategies {
            if let StrategyKind::Delta(delta) = &mut strategy.kind {
                (delta.margin, delta.lookback) = (Duration::ZERO, Duration::ZERO);
            }
        }
        SyncRequest {
            spec,
            source: pintail_connectors::registry::source(&from.datastore).expect("a connector"),
            destination: pintail_connectors::registry::destination(
                &to.datastore,
                std::path::Path::new("stage"),
            )
            .expect("a lake"),
            data: pintail_sync::DataFolders::below(here.join("data")),
            strategy: None,
            partitions: self.partitions,
            parity: self.parity,
            allow_deletes: false,
            task: pintail_sync::plan::Task::Sync,
            engine: EngineSettings::default(),
            log_level: Level::Info,
            clock: Arc::new(SystemClock),
            random: self.random.get(),
        }
    }

    /// Where the lake lies.
    pub(crate) fn lake(&self) -> LakeLocation {
        let url = "ducklake:sqlite:lake.sqlite?data_path=lake";
        let to = Location::parse(url, self.folder.path()).unwrap_or_else(|error| panic!("{error}"));
        pintail_connectors::registry::lake_location(&to.datastore).expect("a lake")
    }

    pub(crate) fn run(&self) -> SyncReport {
        pintail_sync::run(&self.request(), &Unwatched, &StopSignal::new())
            .unwrap_or_else(|error| panic!("{error}: {error:?}"))
    }
}

#[test]
fn a_table_of_a_server_is_copied_and_followed() {
    let copy = Copy::new(
        "create table orders (id bigint primary key, item text, updated_at timestamptz not null default now());
         insert into orders select id, 'item ' || id, now() - interval '1 day' from generate_series(1, 10000) as ids (id);
         analyze orders",
    );
    let report = copy.run();
    assert_eq!(
        (report.rows_inserted, report.parity.status),
        (10_000, ParityStatus::Ok)
    );
    copy.database
        .execute("update orders set item = 'changed', updated_at = now() where id % 100 = 0");
    let report = copy.run();
    assert_eq!(
        (
            report.strategy.as_str(),
            report.rows_updated,
            report.parity.status
        ),
        ("delta", 100, ParityStatus::Ok)
    );
    let report = copy.run();
    assert_eq!((report.rows_processed, report.commits.count), (0, 0));
}

#[test]
fn late_commit_is_picked_up_by_the_next_run() {
    let copy = Copy::new(
        "create table orders (id bigint primary key, updated_at timestamptz not null default now());
         insert into orders (id) select id from generate_series(1, 100) as ids (id);
         analyze orders",
    );
    copy.run();
    let mut late = copy.database.client();
    let mut late = late.transaction().expect("a transaction");
    late.execute("insert into orders (id) values (200)", &[])
        .expect("a late row");
    copy.database.execute("insert into orders (id) values (201)");
    let report = copy.run();
    assert_eq!(
        (report.strategy.as_str(), report.rows_inserted),
        ("delta", 0),
        "{:?}",
        report.notes
    );
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("holds the watermark back")),
        "{:?}",
        report.notes
    );
    late.commit().expect("it commits late");
    let report = copy.run();
    assert_eq!(
        (report.rows_inserted, report.parity.status),
        (2, ParityStatus::Ok)
    );
}

#[test]
fn forced_partitions_share_one_snapshot_of_a_server() {
    let mut copy = Copy::new(
        "create table orders (id bigint primary key, item text);
         insert into orders select id, repeat('x', 100) from generate_series(1, 20000) as ids (id);
         analyze orders",
    );
    copy.partitions = Some(8);
    let report = copy.run();
    assert_eq!(
        (
            report.partitions_total,
            report.rows_inserted,
            report.parity.status
        ),
        (8, 20_000, ParityStatus::Ok)
    );
    assert!(report.parity.leaves > 1);
}

#[test]
fn types_without_a_lossless_home_are_refused_by_name_before_anything_is_made() {
    let copy = Copy::new("create table orders (id bigint primary key, total numeric, span numeric[])");
    let error = pintail_sync::run(&copy.request(), &Unwatched, &StopSignal::new()).expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let text = error.to_string();
    assert!(text.contains("`total`") && text.contains("`span`"), "{text}");
    assert!(!copy.folder.path().join("lake.sqlite").exists());
}

#[test]
fn a_lake_that_is_gone_is_made_anew_only_for_a_source_that_can_be_read() {
    let copy = Copy::new("create table orders (id bigint primary key)");
    copy.run();
    let lake = copy.folder.path().join("lake.sqlite");
    std::fs::remove_file(&lake).expect("the lake is gone");
    copy.database.execute("alter table orders rename to other");
    let run = || pintail_sync::run(&copy.request(), &Unwatched, &StopSignal::new());
    let error = run().expect_err("no table");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert!(!lake.exists());
    copy.database.execute("alter table other rename to orders");
    assert_eq!(copy.run().parity.status, ParityStatus::Ok);
    assert!(lake.exists());
}

#[test]
fn of_two_sides_that_cannot_be_read_the_source_is_told() {
    let copy = Copy::new("create table orders (id bigint primary key)");
    copy.run();
    copy.database.execute("alter table orders rename to other");
    let lake = copy.folder.path().join("lake.sqlite");
    std::fs::write(&lake, "no database any more, and long enough to be looked at").expect("a file");
    let run = || pintail_sync::run(&copy.request(), &Unwatched, &StopSignal::new());
    let error = run().expect_err("no table, and no lake");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert!(error.to_string().contains("orders"), "{error}");
    copy.database.execute("alter table other rename to orders");
    let error = run().expect_err("no lake");
    assert!(error.to_string().contains("lake"), "{error}");
}

#[test]
fn planning_changes_nothing() {
    let copy = Copy::new("create table orders (id bigint primary key)");
    let plan = pintail_sync::plan(&copy.request()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(plan.partitions.len(), 1);
    assert_eq!(
        std::fs::read_dir(copy.folder.path()).expect("a folder").count(),
        0
    );
}

#[test]
fn planning_for_a_catalogue_that_is_not_a_lake_yet_is_a_full_load() {
    let copy = Copy::new("create table orders (id bigint primary key, updated_at timestamptz not null)");
    let catalogue = PostgresServer::shared().fresh_database();
    let mut request = copy.request();
    let here = copy.folder.path();
    let url = format!("ducklake:{}?data_path=lake", catalogue.url());
    let to = Location::parse(&url, here).unwrap_or_else(|error| panic!("{error}"));
    request.destination =
        pintail_connectors::registry::destination(&to.datastore, std::path::Path::new("stage"))
            .expect("a lake");
    let plan = pintail_sync::plan(&request).unwrap_or_else(|error| panic!("{error}: {error:?}"));
    assert_eq!(plan.reason, "the table is not in the lake yet");
    let tables = catalogue
        .client()
        .query_one("select count(*) from pg_tables where schemaname = 'public'", &[])
        .expect("a count");
    assert_eq!(tables.get::<_, i64>(0), 0);
    let report = pintail_sync::run(&request, &Unwatched, &StopSignal::new())
        .unwrap_or_else(|error| panic!("{error}: {error:?}"));
    assert_eq!(report.parity.status, ParityStatus::Ok);
}

#[test]
fn not_a_number_is_refused_however_the_table_is_read() {
    // Far more zeros than are asked about by key in the first table, none in the second.
    for zeros in ["where id % 4 > 0", "where false"] {
        let mut copy = Copy::new(&format!(
            "create table orders (id bigint primary key, total numeric(12,2) not null default 1, note text,
                 updated_at timestamptz not null default now() - interval '1 day');
             insert into orders (id, note) select id, repeat('x', 100) from generate_series(1, 20000) as ids (id);
             update orders set total = 0 {zeros};
             analyze orders"
        ));
        let report = copy.run();
        assert_eq!(
            (report.rows_inserted, report.parity.status),
            (20_000, ParityStatus::Ok)
        );
        copy.database
            .execute("update orders set total = 'NaN', updated_at = now() where id = 12345");
        for (strategy, partitions) in [("delta", None), ("full", None), ("full", Some(8))] {
            copy.partitions = partitions;
            let request = SyncRequest {
                strategy: Some(strategy.to_owned()),
                ..copy.request()
            };
            let error = pintail_sync::run(&request, &Unwatched, &StopSignal::new()).expect_err("a NaN");
            assert_eq!(error.kind(), ErrorKind::Data, "{error:?}");
            let shown = error.to_string();
            assert!(
                shown.contains("public.orders") && shown.contains("`total`") && shown.contains("partition `"),
                "{shown}"
            );
        }
        copy.database
            .execute("update orders set total = 0, updated_at = now() where id = 12345");
        copy.partitions = None;
        let report = copy.run();
        assert_eq!((report.rows_updated, report.parity.status), (1, ParityStatus::Ok));
    }
}
