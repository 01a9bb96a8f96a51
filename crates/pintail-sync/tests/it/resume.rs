//! Runs that are cut off, and those that go on.

use std::sync::atomic::{AtomicUsize, Ordering};

use pintail_model::ErrorKind;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{PartitionSpec, StepUnit};
use pintail_sync::state::State;
use pintail_sync::{Phase, Progress, StopSignal, SyncReport};

use crate::shop::Shop;

/// Stops the run after so many partitions, or when it begins to do something.
struct Stopper<'a> {
    stop: &'a StopSignal,
    partitions: AtomicUsize,
    phase: Option<Phase>,
}

impl Progress for Stopper<'_> {
    fn partition_done(&self, _: &str, _: u64) {
        if self.partitions.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.stop.stop();
        }
    }

    fn phase(&self, phase: Phase) {
        if self.phase == Some(phase) {
            self.stop.stop();
        }
    }
}

pub(crate) fn stopped(shop: &Shop, strategy: Option<&str>, partitions: usize, phase: Option<Phase>) {
    let stop = StopSignal::new();
    let watcher = Stopper {
        stop: &stop,
        partitions: AtomicUsize::new(partitions),
        phase,
    };
    let error = pintail_sync::run(&shop.request(strategy), &watcher, &stop).expect_err("it was stopped");
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
}

/// A shop that was copied, and whose orders then all changed over a day.
fn changed_shop() -> Shop {
    let mut shop = Shop::new(600);
    shop.run(None);
    shop.change("update orders set item = 'changed', updated_at = (updated_at::timestamp + to_hours(20))::timestamptz");
    shop.spec.strategies[1].primary_partitions = vec![PartitionSpec {
        column: "updated_at".to_owned(),
        step: Some(2),
        step_unit: StepUnit::Hour,
        data_type: None,
        bounded: false,
    }];
    shop.later(24 * 3600);
    shop
}

fn latest(shop: &Shop) -> serde_json::Value {
    let path = shop.folder.path().join("state/metrics/orders/latest_run.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("a report")).expect("JSON")
}

#[test]
fn a_stopped_delta_goes_on_with_the_partitions_that_are_left() {
    let shop = changed_shop();
    stopped(&shop, None, 7, None);
    let first = latest(&shop);
    assert_eq!(
        (first["status"].as_str(), first["errors"].as_u64()),
        (Some("interrupted"), Some(1))
    );
    assert_eq!(
        (
            first["partitions_processed"].as_u64(),
            first["rows_processed"].as_u64()
        ),
        (Some(7), Some(239))
    );
    assert_eq!(first["watermark"], "2024-01-16 04:00:00.000000+00");

    shop.later(10);
    let report = shop.run(None);
    assert_eq!(
        (report.run_id.as_str(), report.resumed),
        (first["run_id"].as_str().expect("an id"), true)
    );
    assert_eq!(
        (
            report.partitions_total,
            report.partitions_processed,
            report.partitions_skipped
        ),
        (13, 6, 7)
    );
    assert_eq!(
        (report.rows_processed, report.rows_updated, report.parity.status),
        (361, 361, ParityStatus::Ok)
    );
    let metrics = shop.folder.path().join("state/metrics/orders");
    let earlier = std::fs::read_to_string(metrics.join(format!("{}.attempt-1.json", report.run_id)));
    let earlier: serde_json::Value = serde_json::from_str(&earlier.expect("a report")).expect("JSON");
    assert_eq!(earlier, first, "what the first attempt did is kept");
    assert_eq!(shop.differences(), "0");
    let keys = shop.ask_one("select count(*) - count(distinct partition_key) from lake.pintail.ledger");
    assert_eq!(keys, "0", "no partition is in twice");
}

#[test]
fn a_stopped_delta_leaves_no_file_that_was_not_committed() {
    let shop = changed_shop();
    stopped(&shop, None, 100, Some(Phase::Comparing));
    let referenced = shop
        .ask("select data_file from ducklake_list_files('lake', 'orders')")
        .len();
    assert_eq!(
        shop.files(),
        referenced + usize::from(shop.commits() > 1),
        "data files and one delete file"
    );
    shop.run(None);
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_plan_that_was_made_for_other_columns_is_dropped_and_the_report_says_so() {
    let shop = changed_shop();
    stopped(&shop, None, 7, None);
    shop.change("alter table orders rename item to thing");
    let report = shop.run(None);
    assert!(!report.resumed);
    assert_eq!(report.reason, "the columns differ from those of the lake's table");
    assert!(
        report.notes.iter().any(|note| note.contains("is left behind")),
        "{:?}",
        report.notes
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_full_load_that_was_stopped_before_its_commit_leaves_the_old_table() {
    let mut shop = Shop::new(1000);
    shop.run(None);
    shop.change("update orders set item = 'changed'");
    shop.partitions = Some(4);
    stopped(&shop, Some("full"), 100, Some(Phase::Committing));
    assert_eq!(shop.commits(), 1);
    let report = shop.run(Some("full"));
    assert_eq!(
        (report.resumed, report.partitions_skipped, report.parity.status),
        (true, 4, ParityStatus::Ok)
    );
    let referenced = shop.ask("from ducklake_list_files('lake', 'orders')").len();
    assert_eq!((shop.differences().as_str(), shop.commits()), ("0", 2));
    assert_eq!(
        shop.files(),
        1 + referenced,
        "the first load's file is still in the lake's history"
    );
}

#[test]
fn a_run_that_was_cut_off_after_its_last_commit_is_found_to_be_over() {
    let shop = Shop::new(100);
    let report = shop.run(None);
    unfinish(&shop, &report);
    let (committed, folder) = (shop.files(), format!("lake/main/orders/{}", report.run_id));
    std::fs::write(shop.folder.path().join(folder).join("all-9.parquet"), "rows").expect("a staged file");
    shop.later(60);
    let next = shop.run(None);
    assert_eq!(shop.files(), committed, "what it staged and did not commit stays");
    assert_eq!((next.strategy.as_str(), next.resumed), ("changes", false));
    assert_eq!(
        next.notes,
        [format!(
            "run {} had brought everything in before it was cut off, and 1 of its 1 partitions were not compared: a \
             full load settles that",
            report.run_id
        )]
    );
    assert_eq!(shop.commits(), 1);
}

/// Makes the state look as if the run had been killed before it could say that it was over.
fn unfinish(shop: &Shop, report: &SyncReport) {
    let path = State::path(&shop.folder.path().join("state"));
    let connection = rusqlite::Connection::open(path).expect("the state");
    connection
        .execute(
            "update runs set status = 'running' where run_id = ?",
            [report.run_id.as_str()],
        )
        .expect("a change");
    connection
        .execute("update partitions set status = 'planned'", [])
        .expect("a change");
    connection.execute("delete from pipelines", []).expect("a change");
}

#[test]
fn metrics_and_log_are_written_as_documented() {
    let shop = Shop::new(100);
    let report = shop.run(None);
    let metrics = shop.folder.path().join("state/metrics/orders");
    let read = |name: &str| std::fs::read_to_string(metrics.join(name)).expect("a report");
    assert_eq!(read("latest_run.json"), read(&format!("{}.json", report.run_id)));
    let json = latest(&shop);
    for key in [
        "run_id",
        "pipeline",
        "strategy",
        "status",
        "started_at",
        "completed_at",
        "duration_seconds",
        "rows_processed",
        "rows_inserted",
        "rows_updated",
        "rows_deleted",
        "partitions_total",
        "partitions_processed",
        "partitions_skipped",
        "errors",
        "watermark",
        "parity",
        "resources",
        "partition_times",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
    assert_eq!(json["parity"]["source"], "streamed");
    let log = std::fs::read_to_string(
        shop.folder
            .path()
            .join(format!("state/logs/orders/{}.log", report.run_id)),
    )
    .expect("a log");
    let messages: Vec<String> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["message"].to_string())
        .collect();
    assert_eq!(
        messages,
        [
            "\"sync started\"",
            "\"partition read\"",
            "\"committed\"",
            "\"sync ended\""
        ]
    );
}

/// A shop of 1,000 orders in ten partitions, whose first full load was stopped after three of them.
fn half_loaded_shop() -> (Shop, String) {
    let mut shop = Shop::new(1000);
    shop.partitions = Some(10);
    shop.spec.max_concurrent_partitions = Some(1);
    stopped(&shop, None, 3, None);
    let run = latest(&shop)["run_id"].as_str().expect("an id").to_owned();
    shop.later(60);
    (shop, run)
}

#[test]
fn a_full_load_goes_on_with_what_it_staged_and_catches_up() {
    let (shop, run) = half_loaded_shop();
    shop.change(
        "update orders set item = 'changed', updated_at = '2024-01-15T14:00:30Z' where id % 100 = 50;
         insert into orders values (2000, 'new', 1, '2024-01-15T14:00:31Z')",
    );
    let plan = shop.plan(None);
    assert_eq!(
        plan.partitions
            .iter()
            .filter(|partition| partition.staged.is_some())
            .count(),
        3
    );
    let report = shop.run(None);
    assert_eq!((report.run_id.as_str(), report.resumed), (run.as_str(), true));
    assert_eq!(
        (
            report.partitions_total,
            report.partitions_processed,
            report.partitions_skipped
        ),
        (11, 8, 3)
    );
    assert_eq!(
        report.notes,
        [
            format!("run {run} goes on: 3 of its 10 partitions are staged, and what changed since is read again"),
            "rows whose `updated_at` did not move with a change since then are as they were when they were staged"
                .to_owned()
        ]
    );
    assert_eq!(
        report.rows_processed,
        701 + 11,
        "what was left, and what may have changed"
    );
    assert_eq!(
        (
            report.rows_inserted,
            report.parity.status,
            report.parity.rows_counted
        ),
        (1001, ParityStatus::Ok, 1001)
    );
    assert_eq!(report.watermark.as_deref(), Some("2024-01-15 14:01:00.999000+00"));
    assert_eq!((shop.differences().as_str(), shop.commits()), ("0", 1));
    let referenced = shop.ask("from ducklake_list_files('lake', 'orders')").len();
    assert_eq!(shop.files(), referenced);
    shop.later(60);
    assert_eq!(shop.run(None).strategy, "changes");
}

#[test]
fn a_row_that_was_stamped_late_is_not_taken_from_what_was_staged() {
    let (mut shop, _) = half_loaded_shop();
    // The bound of the first attempt is 14:00:00.999, and this is committed after it with a stamp in whole seconds.
    shop.change("update orders set item = 'rounded', updated_at = '2024-01-15T14:00:00Z' where id = 7");
    shop.delta(|delta| delta.lookback = std::time::Duration::from_secs(2));
    let report = shop.run(None);
    assert_eq!((report.resumed, report.partitions_skipped), (true, 3));
    assert_eq!(
        (report.parity.status, shop.differences().as_str()),
        (ParityStatus::Ok, "0")
    );
}

#[test]
fn staged_partitions_are_thrown_away_when_rows_were_deleted() {
    let (shop, run) = half_loaded_shop();
    shop.change("delete from orders where id = 7");
    let report = shop.run(None);
    assert_eq!(
        (report.run_id.as_str(), report.partitions_skipped),
        (run.as_str(), 0)
    );
    assert_eq!(
        report.notes[2],
        "the staged partitions are not used after all, and the load starts again: together they are 1000 rows, and the \
         source has 999"
    );
    assert_eq!(
        (report.rows_inserted, report.parity.status),
        (999, ParityStatus::Ok)
    );
    assert_eq!(shop.differences(), "0");
    let referenced = shop.ask("from ducklake_list_files('lake', 'orders')").len();
    assert_eq!(shop.files(), referenced);
}

#[test]
fn a_staged_file_that_was_damaged_is_not_used() {
    let (shop, _) = half_loaded_shop();
    let staged = std::fs::read_dir(shop.folder.path().join("lake/main/orders"))
        .expect("a folder")
        .flat_map(|run| std::fs::read_dir(run.expect("a run").path()).expect("a folder"))
        .map(|file| file.expect("a file").path())
        .max()
        .expect("a staged file");
    let mut bytes = std::fs::read(&staged).expect("a file");
    let middle = bytes.len() / 4;
    bytes[middle..middle + 8].fill(0x5a);
    std::fs::write(&staged, bytes).expect("a damaged file");
    let report = shop.run(None);
    assert!(report.notes[2].contains("staged file `"), "{:?}", report.notes);
    assert_eq!(report.parity.status, ParityStatus::Ok);
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_staged_file_that_is_gone_is_read_again() {
    let (shop, _) = half_loaded_shop();
    for run in std::fs::read_dir(shop.folder.path().join("lake/main/orders")).expect("a folder") {
        std::fs::remove_dir_all(run.expect("a run").path()).expect("it is gone");
    }
    let report = shop.run(None);
    assert_eq!((report.resumed, report.parity.status), (false, ParityStatus::Ok));
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_full_load_without_a_cursor_starts_again_and_says_so() {
    let mut shop = Shop::new(1000);
    shop.spec.strategies.truncate(1);
    shop.partitions = Some(10);
    shop.spec.max_concurrent_partitions = Some(1);
    stopped(&shop, None, 3, None);
    assert_eq!(shop.files(), 0, "what cannot be used is not kept");
    let report = shop.run(None);
    assert_eq!((report.resumed, report.partitions_processed), (false, 10));
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_full_load_can_be_stopped_again_and_again() {
    let (mut shop, run) = half_loaded_shop();
    for round in 0..3 {
        shop.change(&format!(
            "update orders set item = 'round {round}', updated_at = '2024-01-15T14:0{}:30Z' where id % 100 = {round}",
            round
        ));
        stopped(&shop, None, 2, None);
        shop.later(60);
    }
    shop.partitions = None;
    let report = shop.run(None);
    assert_eq!(
        (report.run_id.as_str(), report.partitions_skipped),
        (run.as_str(), 9)
    );
    assert_eq!(
        (report.parity.status, shop.differences().as_str()),
        (ParityStatus::Ok, "0")
    );
}

#[test]
fn a_run_that_fails_before_it_reads_is_reported_too() {
    let shop = Shop::empty();
    shop.change("create table other (id bigint)");
    let error = shop.try_run(None).expect_err("there is no such table");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let report = latest(&shop);
    assert_eq!(
        (report["status"].as_str(), report["errors"].as_u64()),
        (Some("failed"), Some(1))
    );
    assert_eq!(report["error"]["kind"], "not_found");
}

/// Breaks the state while a run makes its plan.
struct Breaker(std::path::PathBuf);

impl Progress for Breaker {
    fn phase(&self, phase: Phase) {
        if phase == Phase::Planning {
            let state = rusqlite::Connection::open(&self.0).expect("the state");
            state
                .execute_batch("drop table partitions")
                .expect("it is broken");
        }
    }
}

#[test]
fn a_run_whose_plan_cannot_be_frozen_is_reported_too() {
    let shop = Shop::new(10);
    let breaker = Breaker(State::path(&shop.folder.path().join("state")));
    pintail_sync::run(&shop.request(None), &breaker, &StopSignal::new()).expect_err("the state is broken");
    let report = latest(&shop);
    assert_eq!(
        (report["status"].as_str(), report["strategy"].as_str()),
        (Some("failed"), Some("everything"))
    );
    assert_eq!(shop.files(), 0);
}

#[test]
fn the_second_of_two_runs_ends_at_once_and_leaves_the_report_of_the_first() {
    let shop = Shop::new(100);
    shop.run(None);
    let state = shop.folder.path().join("state");
    let now = "2024-01-15T14:00:00Z".parse().expect("an instant");
    let _first = pintail_sync::lock::PipelineLock::take(&state, "orders", now).expect("a lock");
    let error = shop.try_run(None).expect_err("another run holds the lock");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(latest(&shop)["status"], "completed");
}
