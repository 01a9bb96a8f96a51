//! The state file, locks and logs.

use std::sync::Arc;

use jiff::Timestamp;
use pintail_model::{
    Checksum, Clock, CursorValue, ErrorKind, FixedClock, LeafChecksums, PartitionKey, Range, RunId,
};
use pintail_sync::lock::PipelineLock;
use pintail_sync::log::{Level, RunLog};
use pintail_sync::state::{
    Baseline, CommittedRecord, NewPartition, NewRun, RunStatus, StagedRecord, State, StoredWatermark,
};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn open(folder: &TempDir) -> State {
    State::open(folder.path()).expect("a state")
}

/// Freezes a run of two hourly partitions.
fn begin(state: &mut State, run: &RunId, strategy: &str, started_at: &str) {
    let cut = |hour: i64| CursorValue::TimestampTz(1_705_320_000_000_000 + hour * 3_600_000_000);
    let range = |hour| Range::Cursor {
        column: "updated_at".to_owned(),
        low: Some(cut(hour)),
        high: cut(hour + 1),
    };
    let (one, two) = (range(0), range(1));
    let ids = [
        pintail_sync::partition::id(&one),
        pintail_sync::partition::id(&two),
    ];
    let new = |id, range, watermark| NewPartition {
        id,
        range,
        expected_rows: Some(10),
        watermark: Some(watermark),
        changed_only: false,
    };
    let new_run = NewRun {
        pipeline: "orders",
        run,
        strategy,
        kind: "delta",
        plan_hash: "abc",
        started_at: instant(started_at),
        bound: Some(cut(2)),
    };
    state
        .begin_run(
            &new_run,
            &[new(&ids[0], &one, cut(1)), new(&ids[1], &two, cut(2))],
        )
        .expect("a frozen plan");
}

fn watermark(value: i64) -> StoredWatermark {
    StoredWatermark {
        value: CursorValue::TimestampTz(value),
        column: "updated_at".to_owned(),
        strategy: "hourly".to_owned(),
        last_key: Some(PartitionKey::from_stored("orders/r/p")),
        table_id: Some(3),
        source: "shop orders".to_owned(),
    }
}

#[test]
fn what_a_run_writes_down_is_found_by_the_next_one() {
    let folder = folder();
    let run = RunId::from_stored("20240115_140000_abc123");
    let mut state = open(&folder);
    begin(&mut state, &run, "hourly", "2024-01-15T14:00:00Z");
    assert_eq!(state.attempt("orders", &run, 0).expect("an attempt"), 1);
    assert_eq!(state.attempt("orders", &run, 0).expect("an attempt"), 2);
    let staged = StagedRecord {
        path: "/lake/0-2.parquet".into(),
        rows: 7,
        bytes: 900,
        checksum: Some("00ff".to_owned()),
    };
    state.staged("orders", &run, 0, &staged).expect("a record");
    drop(state);

    let mut state = open(&folder);
    let unfinished = state
        .history("orders")
        .expect("a history")
        .unfinished
        .expect("an unfinished run");
    assert_eq!(
        (unfinished.run.as_str(), unfinished.strategy.as_str()),
        ("20240115_140000_abc123", "hourly")
    );
    assert_eq!(
        unfinished.bound,
        Some(CursorValue::TimestampTz(1_705_327_200_000_000))
    );
    assert_eq!(unfinished.partitions[0].staged, Some(staged));
    assert_eq!(
        (
            unfinished.partitions[0].attempts,
            unfinished.partitions[1].attempts
        ),
        (2, 0)
    );
    let record = CommittedRecord {
        rows: 7,
        empty: false,
        at: instant("2024-01-15T14:15:30Z"),
    };
    state
        .committed("orders", &run, 0, record, Some(&watermark(5)))
        .expect("a record");
    let history = state.history("orders").expect("a history");
    assert_eq!(history.watermark, Some(watermark(5)));
    let committed = &history.unfinished.expect("an unfinished run").partitions[0];
    assert!(!committed.compared && committed.staged.is_some());
    state.compared("orders", &run, 0).expect("a record");
    let unfinished = state.history("orders").expect("a history").unfinished;
    let compared = &unfinished.expect("an unfinished run").partitions[0];
    assert!(compared.compared && compared.staged.is_none());
    state
        .finish_run(
            "orders",
            &run,
            RunStatus::Completed,
            instant("2024-01-15T14:16:00Z"),
            None,
        )
        .expect("an end");
    assert_eq!(state.history("orders").expect("a history").unfinished, None);
}

#[test]
fn state_is_shown_in_the_shape_of_the_original() {
    let folder = folder();
    let run = RunId::from_stored("20240115_140000_abc123");
    let mut state = open(&folder);
    begin(&mut state, &run, "hourly", "2024-01-15T14:00:00Z");
    let record = CommittedRecord {
        rows: 150_000,
        empty: false,
        at: instant("2024-01-15T14:15:30Z"),
    };
    state
        .committed("orders", &run, 0, record, None)
        .expect("a record");
    // Another connection reads while the run holds its own.
    let reader = State::look(folder.path()).expect("a look").expect("a state");
    let shown = reader.show("orders", None).expect("a state to show");
    insta::assert_snapshot!(serde_json::to_string_pretty(&shown[0]).expect("JSON"), @r#"
    {
      "pipeline_id": "orders",
      "strategy": "hourly",
      "run_id": "20240115_140000_abc123",
      "status": "running",
      "started_at": "2024-01-15T14:00:00Z",
      "last_completed_partition": {
        "partition_id": "updated_at_2024-01-15T12:00:00_2024-01-15T13:00:00",
        "completed_at": "2024-01-15T14:15:30Z"
      },
      "progress": {
        "total_partitions": 2,
        "completed_partitions": 1,
        "failed_partitions": 0,
        "rows_processed": 150000
      }
    }
    "#);
}

#[test]
fn only_the_newest_run_of_each_strategy_is_shown() {
    let folder = folder();
    let mut state = open(&folder);
    begin(
        &mut state,
        &RunId::from_stored("a"),
        "hourly",
        "2024-01-15T14:00:00Z",
    );
    begin(
        &mut state,
        &RunId::from_stored("b"),
        "hourly",
        "2024-01-15T15:00:00Z",
    );
    begin(
        &mut state,
        &RunId::from_stored("c"),
        "nightly",
        "2024-01-15T13:00:00Z",
    );
    let runs = |strategy| {
        let shown = state.show("orders", strategy).expect("a state");
        shown
            .into_iter()
            .map(|run| (run.run_id, run.status))
            .collect::<Vec<_>>()
    };
    let expected =
        [("b", "abandoned"), ("c", "running")].map(|(run, status)| (run.to_owned(), status.to_owned()));
    assert_eq!(runs(None), expected);
    assert_eq!(runs(Some("nightly")), expected[1..]);
    assert_eq!(state.pipelines().expect("names"), ["orders"]);
}

#[test]
fn a_reset_forgets_the_watermark_and_says_so_to_the_next_run() {
    let folder = folder();
    let mut state = open(&folder);
    begin(
        &mut state,
        &RunId::from_stored("a"),
        "hourly",
        "2024-01-15T14:00:00Z",
    );
    state
        .set_watermark("orders", &watermark(5), instant("2024-01-15T14:00:00Z"))
        .expect("a watermark");
    let reset = state.reset("orders", Some("hourly")).expect("a reset");
    assert_eq!((reset.runs, reset.starts_fresh), (1, true));
    let history = state.history("orders").expect("a history");
    assert_eq!((history.watermark, history.unfinished), (None, None));
    assert_eq!(history.start_fresh.as_deref(), Some("the state was reset"));
    state
        .set_watermark("orders", &watermark(6), instant("2024-01-15T15:00:00Z"))
        .expect("a watermark");
    assert_eq!(state.history("orders").expect("a history").start_fresh, None);
}

#[test]
fn a_difference_is_remembered_until_a_full_load_sets_the_watermark() {
    let folder = folder();
    let run = RunId::from_stored("a");
    let (mut state, at) = (open(&folder), instant("2024-01-15T14:00:00Z"));
    begin(&mut state, &run, "hourly", "2024-01-15T14:00:00Z");
    state.remember_difference("orders").expect("a record");
    let record = CommittedRecord {
        rows: 7,
        empty: false,
        at,
    };
    state
        .committed("orders", &run, 0, record, Some(&watermark(5)))
        .expect("a record");
    let history = state.history("orders").expect("a history");
    assert_eq!(
        (history.start_fresh.as_deref(), history.watermark),
        (Some("the last comparison found a difference"), Some(watermark(5)))
    );
    state
        .set_watermark("orders", &watermark(6), at)
        .expect("a watermark");
    assert_eq!(state.history("orders").expect("a history").start_fresh, None);
}

#[test]
fn looking_makes_no_file() {
    let folder = folder();
    assert!(State::look(folder.path()).expect("a look").is_none());
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn a_state_of_a_newer_release_is_refused() {
    let folder = folder();
    drop(open(&folder));
    let connection = rusqlite::Connection::open(State::path(folder.path())).expect("a database");
    connection
        .pragma_update(None, "user_version", 99)
        .expect("a version");
    drop(connection);
    let error = State::open(folder.path()).expect_err("a newer state");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn the_second_run_of_a_pipeline_is_told_who_holds_it() {
    let folder = folder();
    let now = instant("2024-01-15T14:00:00Z");
    let first = PipelineLock::take(folder.path(), "a/b", now).expect("a lock");
    let error = PipelineLock::take(folder.path(), "a/b", now).expect_err("a second lock");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let process = std::process::id();
    assert_eq!(
        error.to_string(),
        format!("pipeline `a/b` is already running (process {process}, since 2024-01-15T14:00:00Z)")
    );
    PipelineLock::take(folder.path(), "c", now).expect("another pipeline");
    drop(first);
    PipelineLock::take(folder.path(), "a/b", now).expect("the lock is free again");
}

#[test]
fn a_log_has_one_json_object_a_line_from_its_level_on() {
    let folder = folder();
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::new(instant("2024-01-01T12:00:05Z")));
    let run = RunId::from_stored("20240101_120000_abc123");
    let log = RunLog::open(&folder.path().join("logs"), "orders", &run, Level::Info, clock).expect("a log");
    log.write(Level::Debug, "not shown", json!({}));
    log.info("partition read", json!({ "partition": "1-10000", "rows": 5000 }));
    let text = std::fs::read_to_string(folder.path().join("logs/orders/20240101_120000_abc123.log"))
        .expect("a file");
    assert!(
        text.starts_with(
            r#"{"timestamp":"2024-01-01T12:00:05Z","level":"INFO","message":"partition read","run_id":"#
        ),
        "{text}"
    );
    let line: serde_json::Value = serde_json::from_str(text.trim()).expect("one line of JSON");
    assert_eq!(
        line,
        json!({
            "timestamp": "2024-01-01T12:00:05Z",
            "level": "INFO",
            "message": "partition read",
            "run_id": "20240101_120000_abc123",
            "partition": "1-10000",
            "rows": 5000,
        })
    );
    assert_eq!("warn".parse(), Ok(Level::Warning));
    assert!("loud".parse::<Level>().is_err());
}

#[test]
fn a_state_of_an_earlier_release_is_brought_up_to_date() {
    let folder = folder();
    let path = State::path(folder.path());
    let connection = Connection::open(&path).expect("a file");
    connection
        .execute_batch(include_str!("../../src/state/schema.sql"))
        .and_then(|()| {
            connection
                .execute_batch("insert into pipelines (pipeline, start_fresh) values ('orders', 'because')")
        })
        .and_then(|()| connection.pragma_update(None, "user_version", 1))
        .expect("the tables of the first release");
    drop(connection);
    let fresh = |state: &State| state.history("orders").expect("a history").start_fresh;
    let looked = State::look(folder.path()).expect("a look").expect("a state");
    assert_eq!(fresh(&looked).as_deref(), Some("because"));
    assert_eq!(looked.comparisons("orders").expect("no comparisons"), []);
    let opened = open(&folder);
    assert_eq!(fresh(&opened).as_deref(), Some("because"));
    assert_eq!(opened.baseline("orders").expect("no sums"), None);
    opened
        .baseline_leaves("orders")
        .expect("the tables of this release");
}

#[test]
fn what_is_kept_of_a_comparison_is_found_by_the_next_one_and_goes_with_a_reset() {
    let folder = folder();
    let mut state = open(&folder);
    let baseline = Baseline {
        compared: "columns".to_owned(),
        lineage: "server".to_owned(),
        transactions: 1 << 40,
        storage: "16384:16385".to_owned(),
        table_id: Some(3),
        ledger_key: Some(PartitionKey::from_stored("orders/r/p")),
        token: Some("3@17".to_owned()),
        width: None,
        bits: Some(12),
        kept_at: instant("2024-01-15T14:00:00Z"),
    };
    let checksum = |rows, sum| Checksum {
        rows,
        sum,
        mixed: u64::MAX,
    };
    let leaves = LeafChecksums(
        [
            (i64::MIN, checksum(1, 2)),
            (-1, checksum(3, u64::MAX)),
            (7, checksum(4, 0)),
        ]
        .into(),
    );
    state
        .keep_baseline("orders", &baseline, &leaves)
        .expect("a record");
    assert_eq!(
        state.history("orders").expect("a history").baseline,
        Some(baseline)
    );
    assert_eq!(state.baseline_leaves("orders").expect("sums"), leaves);
    assert_eq!(
        state.baseline_leaves("others").expect("sums"),
        LeafChecksums::default()
    );
    state.reset("orders", None).expect("a reset");
    assert_eq!(state.history("orders").expect("a history").baseline, None);
}

#[test]
fn the_pace_of_a_source_is_what_followed_the_last_full_load() {
    let folder = folder();
    let mut state = open(&folder);
    let mut ran = |number: u32, kind: &str, at: &str, changed: u64| {
        let run = RunId::from_stored(format!("run_{number}"));
        let new = NewRun {
            pipeline: "orders",
            run: &run,
            strategy: kind,
            kind,
            plan_hash: "",
            started_at: instant(at),
            bound: None,
        };
        state.begin_run(&new, &[]).expect("a run");
        state.remember_changes("orders", &run, changed).expect("a record");
        state
            .finish_run("orders", &run, RunStatus::Completed, instant(at), None)
            .expect("an end");
        let history = state.history("orders").expect("a history");
        (history.pace.map(|pace| pace.rows_a_second), history.whole_at)
    };
    let noon = Some(instant("2024-01-15T12:00:00Z"));
    assert_eq!(ran(1, "delta", "2024-01-15T11:00:00Z", 900), (None, None));
    assert_eq!(ran(2, "full", "2024-01-15T12:00:00Z", 1_000_000), (None, noon));
    assert_eq!(ran(3, "delta", "2024-01-15T12:01:00Z", 60), (Some(1.0), noon));
    assert_eq!(ran(4, "delta", "2024-01-15T12:02:00Z", 0), (Some(0.5), noon));
    let (pace, whole) = ran(5, "hash", "2024-01-15T12:04:00Z", 60);
    assert_eq!((pace, whole), (Some(0.5), Some(instant("2024-01-15T12:04:00Z"))));
}
