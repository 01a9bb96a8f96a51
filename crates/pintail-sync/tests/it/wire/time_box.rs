//! Runs whose time is up pause between two partitions, and the next one goes on. The clock moves with every partition.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use pintail_model::{Clock, FixedClock, SystemClock};
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{PartitionSpec, StepUnit};
use pintail_sync::state::RunStatus;
use pintail_sync::{Progress, StopSignal, SyncReport};
use pintail_testkit::{Database, MariaDbDatabase};

use super::line::{Line, held_back, orders};
use crate::lakes::Kind;
use crate::served::shown;
use crate::shared::Dialect;

/// Every partition takes ten minutes.
struct TenMinutes(Arc<FixedClock>);

impl Progress for TenMinutes {
    fn partition_done(&self, _id: &str, _rows: u64) {
        self.0.advance(SignedDuration::from_mins(10));
    }
}

/// Lines whose runs have 25 minutes, for one partition after the other.
fn boxed<D: Dialect>(mut line: Line<D>) -> Line<D> {
    line.served.spec.max_concurrent_partitions = Some(1);
    line.served.spec.limits.run_for = Some(Duration::from_mins(25));
    line
}

fn line() -> Line {
    boxed(Line::new(
        Kind::Sqlite,
        &orders::<Database<'static>>(20_000, ITEM),
    ))
}

fn mariadb() -> Line<MariaDbDatabase<'static>> {
    let statements = orders::<MariaDbDatabase<'static>>(20_000, ITEM);
    boxed(Line::mariadb(Kind::Sqlite, &statements))
}

const ITEM: &str = "concat('item-', id)";

fn run<D: Dialect>(line: &Line<D>) -> SyncReport {
    let clock = Arc::new(FixedClock::new(SystemClock.now()));
    let mut request = line.request(None);
    request.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    pintail_sync::run(&request, &TenMinutes(clock), &StopSignal::new()).unwrap_or_else(|error| shown(&error))
}

#[test]
fn a_delta_whose_time_is_up_is_gone_on_with() {
    a_delta_is_gone_on_with(line());
    a_delta_is_gone_on_with(mariadb());
}

fn a_delta_is_gone_on_with<D: Dialect>(mut line: Line<D>) {
    line.served.spec.strategies[1].primary_partitions = vec![PartitionSpec {
        column: "updated_at".to_owned(),
        step: Some(1),
        step_unit: StepUnit::Hour,
        data_type: None,
        bounded: false,
    }];
    line.served.delta(|delta| delta.margin = Duration::from_hours(8));
    run(&line);
    line.served.delta(|delta| delta.margin = Duration::ZERO);
    line.served.database.execute(&format!(
        "update orders set version = 2, updated_at = {} where id % 4 = 0",
        D::ago("id % 7 * 60")
    ));
    let report = run(&line);
    assert_eq!(
        (report.status, report.partitions_processed, report.errors),
        (RunStatus::Paused, 3, 0)
    );
    assert_eq!(report.parity.status, ParityStatus::Ok);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("time of the run was up"))
    );
    assert_eq!(line.report_on_disk()["status"], "paused");
    let (first, mut held) = (report.run_id.clone(), held_back(&report));
    let mut report = std::iter::repeat_with(|| run(&line))
        .inspect(|report| assert_eq!((report.resumed, &report.run_id), (true, &first)))
        .take(10)
        .find(|report| report.status == RunStatus::Completed)
        .expect("it comes to an end");
    assert_eq!(report.parity.status, ParityStatus::Ok);
    // While a transaction of another test is open on the server, the newest rows wait for a later run.
    while held || report.status == RunStatus::Paused {
        report = run(&line);
        held = held_back(&report);
    }
    line.served.assert_equal();
}

#[test]
fn a_load_whose_time_is_up_keeps_what_is_staged() {
    a_load_keeps_what_is_staged(line());
    a_load_keeps_what_is_staged(mariadb());
}

fn a_load_keeps_what_is_staged<D: Dialect>(mut line: Line<D>) {
    line.served.partitions = Some(8);
    let report = run(&line);
    assert_eq!(
        (report.status, report.commits.count, report.errors),
        (RunStatus::Paused, 0, 0)
    );
    let mut skipped = 0;
    let report = std::iter::repeat_with(|| run(&line))
        .inspect(|report| {
            assert!(
                report.resumed && report.partitions_skipped > skipped,
                "{report:?}"
            );
            skipped = report.partitions_skipped;
        })
        .take(10)
        .find(|report| report.status == RunStatus::Completed)
        .expect("it comes to an end");
    assert_eq!(
        (report.rows_inserted, report.parity.status),
        (20_000, ParityStatus::Ok)
    );
    line.served.assert_equal();
}

#[test]
fn a_load_that_cannot_keep_anything_says_so_when_its_time_is_up() {
    let mut line = line();
    line.served.partitions = Some(8);
    line.served.spec.strategies.truncate(1);
    let report = run(&line);
    assert_eq!(report.status, RunStatus::Paused);
    assert!(
        report.notes.iter().any(|note| note.contains("begins anew")),
        "{:?}",
        report.notes
    );
    line.served.spec.limits.run_for = None;
    let report = run(&line);
    assert_eq!(
        (report.status, report.rows_inserted),
        (RunStatus::Completed, 20_000)
    );
    line.served.assert_equal();
}
