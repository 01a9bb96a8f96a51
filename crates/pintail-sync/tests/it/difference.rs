//! What a run makes of a comparison that found a difference, or that did not take place.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pintail_lake::Catalogue;
use pintail_model::ErrorKind;
use pintail_sync::report::{ParitySource, ParityStatus};
use pintail_sync::state::RunStatus;
use pintail_sync::{Phase, Progress, StopSignal, SyncReport};

use crate::shop::Shop;

/// Takes the newest data file out of the lake between its commit and its comparison.
struct Saboteur {
    catalogue: PathBuf,
    committed: AtomicBool,
}

impl Progress for Saboteur {
    fn phase(&self, phase: Phase) {
        if phase == Phase::Committing {
            self.committed.store(true, Ordering::Relaxed);
        }
        if phase == Phase::Comparing && self.committed.swap(false, Ordering::Relaxed) {
            let sql = "delete from ducklake_data_file
                       where data_file_id = (select max(data_file_id) from ducklake_data_file)";
            let catalogue = rusqlite::Connection::open(&self.catalogue).expect("the catalogue");
            assert_eq!(catalogue.execute(sql, []).expect("it is gone"), 1);
        }
    }
}

fn sabotaged(shop: &Shop) -> SyncReport {
    let Catalogue::Sqlite(catalogue) = shop.location().catalogue else {
        panic!("the shop's lake has its catalogue in SQLite");
    };
    let saboteur = Saboteur {
        catalogue,
        committed: AtomicBool::new(false),
    };
    let report = pintail_sync::run(&shop.request(None), &saboteur, &StopSignal::new());
    let report = report.unwrap_or_else(|error| panic!("{error}: {error:?}"));
    assert_eq!(
        (report.status, report.parity.status),
        (RunStatus::ParityMismatch, ParityStatus::Mismatch)
    );
    report
}

/// Stops the run when it compares for the `nth` time.
struct StopAtComparison<'a>(&'a StopSignal, AtomicUsize);

impl Progress for StopAtComparison<'_> {
    fn phase(&self, phase: Phase) {
        if phase == Phase::Comparing && self.1.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.stop();
        }
    }
}

fn stopped_at_comparison(shop: &Shop, nth: usize) {
    let stop = StopSignal::new();
    let error = pintail_sync::run(&shop.request(None), &StopAtComparison(&stop, nth.into()), &stop)
        .expect_err("it was stopped");
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
}

/// Stops the run after so many partitions with rows.
struct StopAfter<'a>(&'a StopSignal, AtomicUsize);

impl Progress for StopAfter<'_> {
    fn partition_done(&self, _: &str, rows: u64) {
        if rows > 0 && self.1.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.stop();
        }
    }
}

/// A shop that was copied, and half of whose orders then changed, in two partitions.
fn changed_shop() -> Shop {
    let mut shop = Shop::new(120);
    shop.run(None);
    shop.change(
        "update orders set item = 'changed', updated_at = (updated_at::timestamp + to_hours(4))::timestamptz
         where id % 2 = 0",
    );
    shop.spec.strategies[1].primary_partitions = vec![pintail_sync::spec::PartitionSpec {
        column: "updated_at".to_owned(),
        step: Some(1),
        step_unit: pintail_sync::spec::StepUnit::Hour,
        data_type: None,
        bounded: false,
    }];
    shop.later(5 * 3600);
    shop
}

#[test]
fn a_difference_after_a_full_load_leads_to_another_full_load() {
    let shop = Shop::new(100);
    sabotaged(&shop);
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.strategy.as_str(), report.reason.as_str()),
        ("everything", "the last comparison found a difference")
    );
    assert_eq!(report.parity.status, ParityStatus::Ok);
    assert_eq!(shop.differences(), "0");
    shop.later(60);
    assert_eq!(shop.run(None).strategy, "changes", "it is settled");
}

#[test]
fn a_difference_after_a_delta_leads_to_a_full_load_unless_somebody_insists() {
    let shop = changed_shop();
    let first = sabotaged(&shop);
    assert_eq!(first.strategy, "changes");
    shop.later(60);
    let insisted = shop.run(Some("changes"));
    assert_eq!(insisted.strategy, "changes");
    let note = "the last comparison found a difference, which only a full load settles";
    assert!(
        insisted.notes.iter().any(|said| said == note),
        "{:?}",
        insisted.notes
    );
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.strategy.as_str(), report.reason.as_str()),
        ("everything", "the last comparison found a difference")
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_partition_that_was_committed_and_not_compared_is_compared_by_the_next_run() {
    let shop = changed_shop();
    stopped_at_comparison(&shop, 1);
    let report = shop.run(None);
    assert!(report.resumed && report.partitions_skipped > 0, "{report:?}");
    assert_eq!(
        (report.parity.status, report.parity.source),
        (ParityStatus::Ok, Some(ParitySource::Rescanned))
    );
    assert_eq!(report.parity.rows_committed, 60, "{report:?}");
    assert_eq!(shop.differences(), "0");
}

#[test]
fn what_an_attempt_without_parity_committed_stays_unproven() {
    let mut shop = changed_shop();
    shop.parity = false;
    let stop = StopSignal::new();
    pintail_sync::run(&shop.request(None), &StopAfter(&stop, 1.into()), &stop).expect_err("it was stopped");
    shop.parity = true;
    let report = shop.run(None);
    assert_eq!(
        (report.resumed, report.parity.status),
        (true, ParityStatus::Unproven)
    );
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.ends_with("was not compared: an earlier attempt committed it")),
        "{:?}",
        report.notes
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn partitions_that_were_staged_without_a_checksum_are_read_again_where_both_sides_are_compared() {
    let mut shop = Shop::new(1000);
    shop.partitions = Some(4);
    shop.parity = false;
    let stop = StopSignal::new();
    let watcher = StopAfter(&stop, 4.into());
    pintail_sync::run(&shop.request(None), &watcher, &stop).expect_err("it was stopped");
    shop.parity = true;
    let report = shop.run(None);
    assert_eq!(
        (report.resumed, report.parity.status, report.parity.source),
        (false, ParityStatus::Ok, Some(ParitySource::Streamed))
    );
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("staged without a comparison")),
        "{:?}",
        report.notes
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_run_with_nothing_to_do_has_nothing_to_compare() {
    let mut shop = Shop::new(10);
    shop.run(None);
    // The clock stands still, so there is no window.
    assert_eq!(shop.run(None).parity.status, ParityStatus::Unchanged);
    shop.parity = false;
    assert_eq!(shop.run(None).parity.status, ParityStatus::Unproven);
}
