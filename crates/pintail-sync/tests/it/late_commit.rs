//! Transactions that began before a delta run and commit after it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pintail_sync::report::ParityStatus;
use pintail_sync::spec::StepUnit;
use pintail_sync::{Phase, Progress};
use pintail_testkit::{PostgresOptions, PostgresServer};
use postgres::Client;

use crate::lakes::Kind;
use crate::served::Served;

const ORDERS: &str =
    "create table orders (id bigint primary key, item text, updated_at timestamptz not null default now());
     insert into orders select id, 'old', now() - interval '1 hour' from generate_series(1, 100) as ids (id);
     analyze orders";

fn execute(client: &mut Client, sql: &str) {
    client
        .batch_execute(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

#[test]
fn late_commit_is_picked_up_by_the_next_delta_run() {
    let served = Served::new(Kind::Sqlite, ORDERS);
    served.run(None);
    let mut late = served.database.client();
    execute(&mut late, "begin; insert into orders values (201, 'late')");
    // This one has not written anything yet: it has no number and no lock, but the time it began.
    let mut idle = served.database.client();
    execute(&mut idle, "begin; select now()");
    served.database.execute("insert into orders values (301, 'soon'); update orders set item = 'soon', updated_at = now() where id = 1");

    let report = served.run(None);
    assert_eq!(
        (report.kind.as_str(), report.rows_processed),
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

    execute(
        &mut late,
        "update orders set item = 'late', updated_at = now() where id = 2; commit",
    );
    execute(&mut idle, "insert into orders values (202, 'late'); commit");
    let report = served.run(None);
    assert_eq!(
        (report.kind.as_str(), report.rows_inserted, report.rows_updated),
        ("delta", 3, 2)
    );
    assert_eq!(report.parity.status, ParityStatus::Ok);
    served.assert_equal();
}

#[test]
fn what_was_stamped_before_the_oldest_transaction_does_not_wait_for_it() {
    let served = Served::new(Kind::Postgres, ORDERS);
    served.run(None);
    served.database.execute("insert into orders values (301, 'soon')");
    let mut late = served.database.client();
    execute(&mut late, "begin; insert into orders values (201, 'late')");
    assert_eq!(served.run(None).rows_inserted, 1);
    assert_eq!(served.run(None).rows_processed, 0);
    execute(&mut late, "commit");
    assert_eq!(served.run(None).rows_inserted, 1);
    served.assert_equal();
}

#[test]
fn a_late_commit_is_picked_up_after_a_full_load_as_well() {
    let served = Served::new(Kind::DuckDb, ORDERS);
    let mut late = served.database.client();
    execute(&mut late, "begin; insert into orders values (201, 'late')");
    // Rows of the full load that are newer than its watermark are read again, and found to be the same.
    served.database.execute("insert into orders values (301, 'soon')");
    let report = served.run(None);
    assert_eq!((report.kind.as_str(), report.rows_inserted), ("full", 101));
    execute(
        &mut late,
        "update orders set item = 'late', updated_at = now() where id = 3; commit",
    );
    let report = served.run(None);
    assert_eq!(
        (report.kind.as_str(), report.rows_inserted, report.rows_updated),
        ("delta", 1, 2)
    );
    served.assert_equal();
}

/// Commits when a run has made its plan, and is about to open its snapshot.
struct CommitsBeforeSnapshot {
    late: Mutex<Client>,
    done: AtomicBool,
}

impl Progress for CommitsBeforeSnapshot {
    fn phase(&self, phase: Phase) {
        if phase == Phase::Reading && !self.done.swap(true, Ordering::Relaxed) {
            execute(&mut self.late.lock().expect("no holder panics"), "commit");
        }
    }
}

#[test]
fn a_commit_between_the_bound_and_the_snapshot_is_not_lost() {
    let served = Served::new(Kind::Sqlite, ORDERS);
    served.run(None);
    let mut late = served.database.client();
    execute(&mut late, "begin; insert into orders values (201, 'late')");
    let commits = CommitsBeforeSnapshot {
        late: Mutex::new(late),
        done: AtomicBool::new(false),
    };
    served.database.execute("insert into orders values (301, 'soon')");
    served.watched(Some("full"), &commits);
    assert!(commits.done.load(Ordering::Relaxed));
    // Both rows are in the snapshot, and above the watermark: the delta finds them again.
    served.assert_equal();
    let report = served.run(None);
    assert_eq!(
        (report.kind.as_str(), report.rows_inserted, report.rows_updated),
        ("delta", 0, 2)
    );
    served.assert_equal();
}

#[test]
fn late_numbers_are_picked_up_by_the_next_delta_run() {
    let mut served = Served::new(
        Kind::Sqlite,
        "create sequence versions;
         create table orders (id bigint primary key, item text, version bigint not null default nextval('versions'));
         insert into orders select id, 'old' from generate_series(1, 100) as ids (id);
         analyze orders",
    );
    served.delta(|delta| delta.column = Some("version".to_owned()));
    assert_eq!(served.run(None).watermark.as_deref(), Some("101"));
    let mut late = served.database.client();
    execute(
        &mut late,
        "begin; insert into orders values (201, 'late'); update orders set item = 'late', version = nextval('versions') where id = 1",
    );
    served.database.execute("insert into orders values (301, 'soon')");

    // Greater numbers are read at once; the watermark waits for the smaller ones.
    let report = served.run(None);
    assert_eq!(
        (report.rows_inserted, report.watermark.as_deref()),
        (1, Some("101")),
        "{:?}",
        report.notes
    );
    // The same row again: nothing has changed, so nothing is committed.
    let report = served.run(None);
    assert_eq!((report.rows_processed, report.commits.count), (1, 0));

    execute(&mut late, "commit");
    let report = served.run(None);
    assert_eq!(
        (
            report.rows_inserted,
            report.rows_updated,
            report.watermark.as_deref()
        ),
        (1, 2, Some("104"))
    );
    served.assert_equal();
    assert_eq!(served.run(None).rows_processed, 0);
}

#[test]
fn a_full_load_under_an_open_transaction_sets_no_watermark_of_numbers() {
    let mut served = Served::new(
        Kind::Sqlite,
        "create sequence versions;
         create table orders (id bigint primary key, version bigint not null default nextval('versions'));
         insert into orders select id from generate_series(1, 10) as ids (id)",
    );
    served.delta(|delta| delta.column = Some("version".to_owned()));
    let mut late = served.database.client();
    execute(&mut late, "begin; insert into orders values (201)");
    served.database.execute("insert into orders values (301)");
    let report = served.run(None);
    assert_eq!((report.kind.as_str(), report.watermark), ("full", None));
    execute(&mut late, "commit");
    let report = served.run(None);
    assert_eq!(
        (report.kind.as_str(), report.watermark.as_deref()),
        ("full", Some("13")),
        "{}",
        report.reason
    );
    served.assert_equal();
}

#[test]
fn prepared_transactions_hold_the_watermark() {
    let server = PostgresOptions::default()
        .with_setting("max_prepared_transactions", "2")
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    // It lives as long as the test process does; the kernel ends both together.
    let server: &'static PostgresServer = Box::leak(Box::new(server));
    let served = Served::on(server, Kind::Sqlite, ORDERS);
    let watermark = served.run(None).watermark;
    // The session is gone, and the transaction waits for its end all the same.
    served
        .database
        .execute("begin; insert into orders values (201, 'late'); prepare transaction 'late'");
    served.database.execute("insert into orders values (301, 'soon')");
    let report = served.run(None);
    assert_eq!(
        (report.rows_processed, &report.watermark),
        (0, &watermark),
        "{:?}",
        report.notes
    );
    served.database.execute("commit prepared 'late'");
    assert_eq!(served.run(None).rows_inserted, 2);
    served.assert_equal();
    server.stop();
}

#[test]
fn late_commits_fall_into_the_partitions_of_the_window() {
    let mut served = Served::new(Kind::Postgres, ORDERS);
    // An old transaction holds the watermark two days back; the window behind it is read in partitions.
    served.delta(|delta| delta.margin = Duration::from_hours(48));
    served.spec.strategies[1].primary_partitions = vec![pintail_sync::spec::PartitionSpec {
        column: "updated_at".to_owned(),
        step: Some(1),
        step_unit: StepUnit::Hour,
        data_type: None,
        bounded: false,
    }];
    served.run(None);
    let mut late = served.database.client();
    execute(
        &mut late,
        "begin; insert into orders select 200 + id, 'late', now() - id * interval '90 minutes' from generate_series(0, 30) as ids (id)",
    );
    served.delta(|delta| delta.margin = Duration::from_hours(47));
    assert_eq!(served.run(None).rows_processed, 0);
    execute(&mut late, "commit");
    served.delta(|delta| delta.margin = Duration::ZERO);
    let report = served.run(None);
    assert_eq!(
        (report.rows_processed, report.parity.status),
        (131, ParityStatus::Ok)
    );
    assert!(report.partitions_total >= 47, "{}", report.partitions_total);
    served.assert_equal();
}
