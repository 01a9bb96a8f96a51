//! The line to the source breaks once, at a chosen place.

use std::time::Duration;

use pintail_model::ErrorKind;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{PartitionSpec, StepUnit};
use pintail_sync::{Phase, SyncReport};
use pintail_testkit::{Fault, Trap};

use super::line::{AtRetry, Line};
use crate::lakes::Kind;

/// 20,000 orders, stamped by one minute each up to a day ago, which is beyond every lookback.
const ORDERS: &str =
    "create table orders (id bigint primary key, item text, version int, updated_at timestamptz not null);
     insert into orders
     select id, 'item-' || id, 1, now() - interval '1 day' - (20000 - id) * interval '1 minute'
     from generate_series(1, 20000) as ids (id);
     analyze orders";

/// What only the session that opened the snapshot has said.
const EXPORT: &str = "pg_export_snapshot";
/// What only sessions that joined it have said.
const JOIN: &str = "set transaction snapshot";

fn cut_after(bytes: u64, query: &str) -> Trap {
    Trap::new(Fault::CutAfterBytes(bytes)).after_query(query)
}

#[track_caller]
fn assert_retried(report: &SyncReport, phase: Phase) {
    let retries = &report.retries;
    let known = retries
        .of
        .iter()
        .any(|step| (step.phase, step.kind) == (phase, ErrorKind::Unavailable));
    assert!(known && retries.count > 0, "{retries:?}");
    assert_eq!(
        (report.parity.status, report.errors),
        (ParityStatus::Ok, 0),
        "{report:?}"
    );
}

#[test]
fn a_table_is_read_again_where_its_connection_broke() {
    let line = Line::new(Kind::Sqlite, ORDERS);
    line.source.arm(cut_after(60_000, EXPORT));
    let report = line.run(None);
    assert!(line.source.fired());
    assert_retried(&report, Phase::Reading);
    assert_eq!((report.rows_inserted, report.rows_processed), (20_000, 20_000));
    line.served.assert_equal();
}

#[test]
fn a_look_at_the_source_is_repeated() {
    let line = Line::new(Kind::Sqlite, ORDERS);
    for bytes in [1, 300, 2_000, 5_000] {
        line.source.arm(Fault::CutAfterBytes(bytes));
        let report = line.run(Some("everything"));
        assert!(line.source.fired());
        assert_retried(&report, Phase::Planning);
        assert_eq!(report.rows_inserted, 20_000);
    }
    line.served.assert_equal();
}

#[test]
fn a_partition_is_read_again_in_the_same_snapshot_where_only_its_own_connection_broke() {
    let mut line = Line::new(Kind::Sqlite, ORDERS);
    line.served.partitions = Some(6);
    line.source.arm(cut_after(60_000, JOIN));
    let change = "insert into orders values (30000, 'later', 1, now() - interval '2 days')";
    let progress = AtRetry::new(|| line.served.database.execute(change));
    let report = line.watched(None, &progress);
    assert!(line.source.fired());
    assert_retried(&report, Phase::Reading);
    // The row that came in meanwhile is not in the snapshot.
    assert_eq!((report.rows_inserted, report.retries.count), (20_000, 1));
    assert!(
        report.notes.iter().all(|note| !note.contains("started again")),
        "{:?}",
        report.notes
    );
}

#[test]
fn a_load_whose_snapshot_is_lost_starts_again_and_says_so() {
    let mut line = Line::new(Kind::Sqlite, ORDERS);
    line.served.partitions = Some(6);
    // Without a cursor nobody knows what changed since.
    line.served.spec.strategies.truncate(1);
    line.source.arm(cut_after(200_000, EXPORT));
    let change = "insert into orders values (30000, 'later', 1, now() - interval '2 days');
                  delete from orders where id = 1";
    let progress = AtRetry::new(|| line.served.database.execute(change));
    let report = line.watched(None, &progress);
    assert!(line.source.fired());
    assert_retried(&report, Phase::Reading);
    let said = report.notes.iter().any(|note| note.contains("started again"));
    assert!(said, "{:?}", report.notes);
    assert_eq!((report.rows_inserted, report.partitions_skipped), (20_000, 0));
    line.served.assert_equal();
}

#[test]
fn a_load_with_a_cursor_keeps_what_it_had_staged_when_its_snapshot_is_lost() {
    let mut line = Line::new(Kind::Sqlite, ORDERS);
    line.served.partitions = Some(8);
    line.served.spec.max_concurrent_partitions = Some(1);
    line.source.arm(cut_after(500_000, EXPORT));
    let change = "update orders set version = 2, updated_at = now() where id % 500 = 0;
                  insert into orders values (30000, 'later', 1, now())";
    let progress = AtRetry::new(|| line.served.database.execute(change));
    let report = line.watched(None, &progress);
    assert!(line.source.fired());
    assert_retried(&report, Phase::Reading);
    assert!(report.partitions_skipped > 0, "{report:?}");
    assert_eq!(report.rows_inserted, 20_001);
    line.served.assert_equal();
}

#[test]
fn a_load_that_cannot_prove_what_it_had_staged_reads_everything_again() {
    let mut line = Line::new(Kind::Sqlite, ORDERS);
    line.served.partitions = Some(8);
    line.served.spec.max_concurrent_partitions = Some(1);
    line.source.arm(cut_after(500_000, EXPORT));
    // A row that goes leaves no trace in the cursor.
    let progress = AtRetry::new(|| line.served.database.execute("delete from orders where id = 1"));
    let report = line.watched(None, &progress);
    assert!(line.source.fired());
    assert_retried(&report, Phase::Reading);
    let said = report.notes.iter().any(|note| note.contains("starts again"));
    assert!(said, "{:?}", report.notes);
    assert_eq!(report.rows_inserted, 19_999);
    line.served.assert_equal();
}

#[test]
fn a_delta_goes_on_behind_its_last_commit() {
    for bytes in [100, 20_000, 60_000, 120_000] {
        let mut line = Line::new(Kind::Sqlite, ORDERS);
        line.served.spec.strategies[1].primary_partitions = vec![PartitionSpec {
            column: "updated_at".to_owned(),
            step: Some(1),
            step_unit: StepUnit::Hour,
            data_type: None,
            bounded: false,
        }];
        line.served.delta(|delta| delta.margin = Duration::from_hours(24));
        line.run(None);
        line.served.delta(|delta| delta.margin = Duration::ZERO);
        line.served.database.execute(
            "update orders set version = 2, updated_at = now() - (id % 12) * interval '1 hour' where id % 4 = 0",
        );
        line.source.arm(cut_after(bytes, EXPORT));
        let report = line.run(None);
        assert!(line.source.fired(), "{bytes}");
        assert_retried(&report, Phase::Reading);
        assert_eq!((report.kind.as_str(), report.rows_updated), ("delta", 5_000));
        assert_eq!(report.partitions_processed, report.partitions_total, "{report:?}");
        assert_eq!(report.partitions_skipped, 0);
        line.served.assert_equal();
    }
}
