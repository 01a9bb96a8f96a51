//! A shop to test with: a source, a lake, a data folder, a clock, and runs between them.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pintail_lake::{Access, Call, Catalogue, Engine, EngineSettings, Lake, LakeLocation};
use pintail_model::{FixedClock, TableName};
use pintail_sync::log::Level;
use pintail_sync::plan::Task;
use pintail_sync::spec::{
    BackendSpec, DeltaSpec, FullSpec, LimitsSpec, PipelineSpec, RetrySpec, StrategyKind, StrategySpec,
    SyncType,
};
use pintail_sync::{Error, PipelinePlan, StopSignal, SyncReport, SyncRequest, Unwatched};
use tempfile::TempDir;

use crate::source::{FileSource, Script};

/// When the tests begin.
pub(crate) const START: &str = "2024-01-15T14:00:00Z";

pub(crate) struct Shop {
    pub(crate) folder: TempDir,
    pub(crate) source: FileSource,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) spec: PipelineSpec,
    /// The folder of the lake's files.
    pub(crate) data: String,
    pub(crate) parity: bool,
    pub(crate) allow_deletes: bool,
    pub(crate) task: Task,
    pub(crate) partitions: Option<u32>,
    random: std::cell::Cell<u32>,
}

pub(crate) fn backend(system: &str, table: &str) -> BackendSpec {
    BackendSpec {
        system: system.to_owned(),
        datastore: system.to_owned(),
        table: TableName::bare(table),
        alias: None,
        joins: Vec::new(),
        filters: Vec::new(),
        group_by: Vec::new(),
        supports_update: None,
        partition_by: None,
    }
}

pub(crate) fn spec(delta: DeltaSpec) -> PipelineSpec {
    PipelineSpec {
        name: "orders".to_owned(),
        description: None,
        enabled: true,
        sync_type: SyncType::RowLevel,
        partition_column: None,
        partition_step: None,
        max_concurrent_partitions: None,
        source: backend("file", "orders"),
        destination: backend("ducklake", "orders"),
        columns: Vec::new(),
        choices: Vec::new(),
        strategies: vec![
            StrategySpec::new("everything", StrategyKind::Full(FullSpec::default())),
            StrategySpec::new("changes", StrategyKind::Delta(delta)),
        ],
        enrichment: None,
        hash_algorithm: None,
        deletes: pintail_sync::spec::DeletesSpec::default(),
        detect_deletes: pintail_sync::spec::DetectDeletes::default(),
        limits: LimitsSpec::default(),
        // What breaks is to be seen.
        retries: RetrySpec {
            attempts: 0,
            ..RetrySpec::default()
        },
        parity: true,
        unbuilt: Vec::new(),
    }
}

impl Shop {
    /// A shop with a table of orders that were last changed one minute apart, the last one at [`START`].
    pub(crate) fn new(orders: u32) -> Self {
        let shop = Self::empty();
        shop.change(&format!(
            "create table orders (
                 id bigint primary key, item varchar, price decimal(12,2), updated_at timestamptz not null
             );
             insert into orders
             select id, 'item ' || id, id * 1.25, ('{START}'::timestamp - to_minutes({orders} - id))::timestamptz
             from range(1, {orders} + 1) as orders (id)"
        ));
        shop
    }

    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = FileSource::new(&folder.path().join("shop.duckdb"));
        let start: Timestamp = START.parse().expect("an instant");
        // These stamps are exact, so that tests can say which rows a run reads.
        let delta = DeltaSpec {
            column: Some("updated_at".to_owned()),
            lookback: Duration::ZERO,
            ..DeltaSpec::default()
        };
        Self {
            source,
            clock: Arc::new(FixedClock::new(start + SignedDuration::from_secs(1))),
            spec: spec(delta),
            data: "lake".to_owned(),
            parity: true,
            allow_deletes: false,
            task: Task::Sync,
            partitions: None,
            random: std::cell::Cell::new(1),
            folder,
        }
    }

    /// Changes the source.
    pub(crate) fn change(&self, sql: &str) {
        let engine = Engine::open(&EngineSettings::default()).expect("an engine");
        let session = engine.session().expect("a session");
        let path = self.source.path.display();
        session
            .batch(
                Call::new("change the source"),
                &format!("attach '{path}' as shop; use shop; {sql}; use memory; detach shop"),
            )
            .unwrap_or_else(|error| panic!("{error:?}"));
    }

    pub(crate) fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.source.script.lock().expect("no holder panics"));
    }

    pub(crate) fn delta(&mut self, change: impl FnOnce(&mut DeltaSpec)) {
        let StrategyKind::Delta(delta) = &mut self.spec.strategies[1].kind else {
            panic!("the second strategy is the delta");
        };
        change(delta);
    }

    pub(crate) fn later(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    pub(crate) fn location(&self) -> LakeLocation {
        LakeLocation {
            catalogue: Catalogue::Sqlite(self.folder.path().join("lake.sqlite")),
            data_path: self.folder.path().join(&self.data),
            bucket: None,
        }
    }

    pub(crate) fn request(&self, strategy: Option<&str>) -> SyncRequest {
        self.random.set(self.random.get() + 1);
        SyncRequest {
            spec: self.spec.clone(),
            source: Box::new(self.source.clone()),
            destination: Box::new(self.location()),
            data: pintail_sync::DataFolders::below(self.folder.path().join("state")),
            strategy: strategy.map(str::to_owned),
            partitions: self.partitions,
            parity: self.parity,
            allow_deletes: self.allow_deletes,
            task: self.task,
            engine: EngineSettings {
                threads: 2,
                ..EngineSettings::default()
            },
            log_level: Level::Info,
            clock: Arc::clone(&self.clock) as Arc<dyn pintail_model::Clock>,
            random: self.random.get(),
        }
    }

    pub(crate) fn try_run(&self, strategy: Option<&str>) -> Result<SyncReport, Error> {
        pintail_sync::run(&self.request(strategy), &Unwatched, &StopSignal::new())
    }

    pub(crate) fn run(&self, strategy: Option<&str>) -> SyncReport {
        self.try_run(strategy)
            .unwrap_or_else(|error| panic!("{error}: {error:?}"))
    }

    pub(crate) fn plan(&self, strategy: Option<&str>) -> PipelinePlan {
        pintail_sync::plan(&self.request(strategy)).unwrap_or_else(|error| panic!("{error}: {error:?}"))
    }

    /// What a query of the lake answers; the lake is `lake`, the source `shop`.
    pub(crate) fn ask(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let engine = Engine::open(&EngineSettings::default()).expect("an engine");
        let lake = Lake::attach(&engine, &self.location(), Access::ReadOnly).expect("a lake");
        let session = lake.session().expect("a session");
        let path = self.source.path.display();
        session
            .batch(
                Call::new("attach the source"),
                &format!("attach '{path}' as shop (read_only)"),
            )
            .unwrap_or_else(|error| panic!("{error:?}"));
        session
            .table(Call::new("ask"), sql)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
            .rows
    }

    /// Changes the lake behind Pintail's back.
    pub(crate) fn in_lake(&self, sql: &str) {
        let engine = Engine::open(&EngineSettings::default()).expect("an engine");
        let lake = Lake::attach(&engine, &self.location(), Access::ReadWrite).expect("a lake");
        let session = lake.session().expect("a session");
        session
            .batch(Call::new("change the lake"), sql)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    pub(crate) fn ask_one(&self, sql: &str) -> String {
        self.ask(sql)[0][0].clone().unwrap_or_else(|| "NULL".to_owned())
    }

    /// The watermark, as the state has it.
    pub(crate) fn state_watermark(&self) -> Option<String> {
        let state = pintail_sync::State::look(&self.folder.path().join("state"))
            .expect("a state")
            .expect("some run wrote it");
        let history = state.history(&self.spec.name).expect("a history");
        history.watermark.map(|watermark| watermark.value.text())
    }

    /// Rows that only one side has.
    pub(crate) fn differences(&self) -> String {
        self.ask_one(
            "select count(*) from (
                 (from lake.main.orders except all from shop.main.orders)
                 union all
                 (from shop.main.orders except all from lake.main.orders)
             )",
        )
    }

    /// Snapshots of the lake that changed the table.
    pub(crate) fn commits(&self) -> usize {
        self.ask("select snapshot_id from lake.snapshots() where author = 'pintail'")
            .len()
    }

    /// Parquet files below the table's folder.
    pub(crate) fn files(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let Ok(entries) = std::fs::read_dir(folder) else {
                return 0;
            };
            entries
                .map(|entry| entry.expect("an entry").path())
                .map(|path| if path.is_dir() { count(&path) } else { 1 })
                .sum()
        }
        count(&self.folder.path().join("lake/main/orders"))
    }
}
