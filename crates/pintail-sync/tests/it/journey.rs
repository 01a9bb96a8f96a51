//! Tables on their way between any two places, by `pintail copy`'s own pipeline.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::{Call, Engine, EngineSettings};
use pintail_model::{SystemClock, TableName};
use pintail_sync::log::Level;
use pintail_sync::plan::Task;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{ColumnChoice, copy_spec};
use pintail_sync::{DataFolders, Error, StopSignal, SyncReport, SyncRequest, Unwatched};
use tempfile::TempDir;

/// What a lake in the folder of a journey is called.
pub(crate) const LAKE: &str = "ducklake:sqlite:lake.sqlite?data_path=lake";

/// A folder in which files, lakes and states lie.
pub(crate) struct Journey {
    folder: TempDir,
}

impl Journey {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A copy of the table that the first address names, or of `orders`.
    pub(crate) fn request(&self, from: &str, to: &str) -> SyncRequest {
        let here = self.folder.path();
        let read = |url: &str| Location::parse(url, here).unwrap_or_else(|error| panic!("{error}"));
        let (from, to) = (read(from), read(to));
        let table = from.table.clone().unwrap_or_else(|| TableName::bare("orders"));
        SyncRequest {
            spec: copy_spec(&from, &table, &to),
            source: registry::source(&from.datastore).expect("a connector"),
            destination: registry::destination(&to.datastore, &here.join("stage")).expect("a destination"),
            data: DataFolders::below(here.join("data")),
            strategy: None,
            partitions: None,
            parity: true,
            allow_deletes: false,
            task: Task::Sync,
            engine: EngineSettings::default(),
            log_level: Level::Info,
            clock: Arc::new(SystemClock),
            random: fastrand::u32(..),
        }
    }

    /// A copy, in which some columns are read as text.
    pub(crate) fn try_copy(&self, from: &str, to: &str, as_text: &[String]) -> Result<SyncReport, Error> {
        let mut request = self.request(from, to);
        let choice = |column: &String| ColumnChoice::parse_type(&format!("{column}=text")).expect("a choice");
        request.spec.choices = as_text.iter().map(choice).collect();
        pintail_sync::run(&request, &Unwatched, &StopSignal::new())
    }

    /// A copy that ends well, with both sides compared.
    #[track_caller]
    pub(crate) fn copy(&self, from: &str, to: &str, as_text: &[String]) -> SyncReport {
        let report = self
            .try_copy(from, to, as_text)
            .unwrap_or_else(|error| panic!("{from} to {to}: {}", crate::served::described(&error)));
        assert_eq!(
            report.parity.status,
            ParityStatus::Ok,
            "{from} to {to}: {:?}",
            report.parity
        );
        report
    }
}

/// Statements of the engine, with a DuckDB file as `d`.
#[track_caller]
pub(crate) fn in_duckdb(file: &Path, statements: &str) {
    let engine = Engine::open(&EngineSettings::default()).expect("an engine");
    let session = engine.session().expect("a session");
    let sql = format!(
        "attach '{}' as d; use d; {statements}; use memory; detach d",
        file.display()
    );
    session
        .batch(Call::new("make tables"), &sql)
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// What a query of a DuckDB file, which is `d`, yields as texts.
#[track_caller]
pub(crate) fn ask_duckdb(file: &Path, query: &str) -> Vec<Vec<Option<String>>> {
    let engine = Engine::open(&EngineSettings::default()).expect("an engine");
    let session = engine.session().expect("a session");
    let attach = format!("attach '{}' as d (read_only)", file.display());
    session.batch(Call::new("attach"), &attach).expect("a file");
    let table = session.table(Call::new("ask"), query);
    table.unwrap_or_else(|error| panic!("{query}: {error:?}")).rows
}
