//! Deltas from end to end: what they bring in.

mod reach;
mod standing;

use pintail_sync::report::ParityStatus;
use pintail_sync::spec::NullCursor;
use pintail_sync::state::RunStatus;

use crate::lakes::Kind;
use crate::served::Served;
use crate::shop::Shop;

/// Stamps and shows times a number of seconds after the start of the tests.
fn at(seconds: u32) -> String {
    format!(
        "'2024-01-15T14:{:02}:{:02}Z'::timestamptz",
        seconds / 60,
        seconds % 60
    )
}

#[test]
fn delta_brings_new_and_changed_rows_and_nothing_else() {
    let shop = Shop::new(1000);
    shop.run(None);
    shop.change(&format!(
        "update orders set price = 0, updated_at = {} where id % 100 = 0;
         insert into orders values (2000, 'new', 1, {})",
        at(10),
        at(11)
    ));
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.strategy.as_str(), report.reason.as_str()),
        ("changes", "an earlier run left a watermark")
    );
    assert_eq!(
        (report.rows_processed, report.rows_inserted, report.rows_updated),
        (11, 1, 10)
    );
    assert_eq!(
        (
            report.parity.status,
            report.parity.rows_counted,
            report.parity.rows_committed
        ),
        (ParityStatus::Ok, 11, 11)
    );
    assert_eq!(report.watermark.as_deref(), Some("2024-01-15 14:01:00.999000+00"));
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_run_that_finds_nothing_commits_nothing_and_moves_the_watermark() {
    let shop = Shop::new(100);
    shop.run(None);
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.status, report.rows_processed, report.commits.count),
        (RunStatus::Completed, 0, 0)
    );
    assert_eq!(report.watermark.as_deref(), Some("2024-01-15 14:01:00.999000+00"));
    assert_eq!((shop.commits(), shop.files()), (1, 1));
    let plan = shop.plan(None);
    assert_eq!(
        plan.low.map(pintail_model::CursorValue::text).as_deref(),
        Some("2024-01-15 14:01:00.999000+00")
    );
    assert!(plan.partitions.is_empty(), "the clock stands still");
}

#[test]
fn many_rows_are_cut_into_partitions_that_come_in_in_order() {
    let mut shop = Shop::new(600);
    shop.run(None);
    shop.change("update orders set updated_at = (updated_at::timestamp + to_hours(20))::timestamptz");
    shop.spec.strategies[1].primary_partitions = vec![pintail_sync::spec::PartitionSpec {
        column: "updated_at".to_owned(),
        step: Some(2),
        step_unit: pintail_sync::spec::StepUnit::Hour,
        data_type: None,
        bounded: false,
    }];
    shop.later(24 * 3600);
    let report = shop.run(None);
    let ids: Vec<(&str, u64)> = report
        .partition_times
        .iter()
        .map(|time| (time.partition_id.as_str(), time.rows))
        .collect();
    assert_eq!(ids.len(), 13);
    assert_eq!(
        ids[0],
        ("updated_at_2024-01-15T14:00:00.999000_2024-01-15T16:00:00", 0)
    );
    assert_eq!(
        ids[6],
        ("updated_at_2024-01-16T02:00:00_2024-01-16T04:00:00", 120)
    );
    assert_eq!(
        (report.rows_updated, report.parity.status),
        (600, ParityStatus::Ok)
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn negative_zero_is_a_change() {
    // DuckDB's own tables take it for the same number, so that a test's file cannot hold both.
    let mut served = Served::new(
        Kind::Sqlite,
        "create table orders (id bigint primary key, price double precision, updated_at timestamptz);
         insert into orders values (1, 0, now() - interval '1 hour'), (2, 'NaN', null), (3, 0, null)",
    );
    served.delta(|delta| delta.null_cursor = NullCursor::Include);
    served.run(None);
    served
        .database
        .execute("update orders set price = '-0' where id = 3");
    let report = served.run(None);
    assert_eq!(
        (report.rows_processed, report.rows_updated, report.parity.status),
        (2, 1, ParityStatus::Ok)
    );
    assert!(
        served.lake_rows().contains(&"(3,-0.0)".to_owned()),
        "{:?}",
        served.lake_rows()
    );
    assert_eq!(served.run(None).commits.count, 0);
}

#[test]
fn the_ledger_has_the_checksum_of_what_was_committed() {
    let mut shop = Shop::empty();
    shop.change(
        "create table orders (id bigint primary key, item varchar, updated_at timestamptz);
         insert into orders values (1, 'a', '2024-01-15T13:00:00Z'), (2, 'b', null)",
    );
    shop.delta(|delta| delta.null_cursor = NullCursor::Include);
    shop.run(None);
    shop.change("insert into orders values (3, 'c', null)");
    let report = shop.run(None);
    assert_eq!((report.rows_processed, report.rows_inserted), (2, 1));
    // A table of that one row alone has the same checksum.
    let only = Shop::empty();
    only.change(
        "create table orders (id bigint primary key, item varchar, updated_at timestamptz);
         insert into orders values (3, 'c', null)",
    );
    only.run(None);
    let newest = "select row_count::varchar || ' ' || checksum from lake.pintail.ledger order by fence desc, position desc";
    assert_eq!(shop.ask_one(newest), only.ask_one(newest));
}

#[test]
fn a_folder_that_looks_like_a_column_is_none() {
    let mut shop = Shop::new(100);
    shop.data = "item=wrong".to_owned();
    shop.delta(|delta| delta.lookback = std::time::Duration::from_secs(2));
    shop.run(None);
    shop.change(&format!(
        "update orders set price = 0, updated_at = {} where id = 1",
        at(0)
    ));
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.rows_processed, report.rows_updated, report.parity.status),
        (2, 1, ParityStatus::Ok)
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn rows_of_the_lake_with_a_later_cursor_stay() {
    let shop = Shop::new(100);
    shop.run(None);
    shop.change(&format!(
        "update orders set updated_at = {}, item = 'new' where id = 1",
        at(20)
    ));
    shop.later(60);
    shop.run(None);
    // A restored source: the row is an older one, and another one was changed.
    shop.change(&format!("update orders set updated_at = {}, item = 'old' where id = 1; update orders set updated_at = {} where id = 2", at(62), at(63)));
    shop.later(60);
    shop.run(None);
    shop.change(&format!(
        "update orders set updated_at = {} where id = 3",
        at(121)
    ));
    shop.later(60);
    assert_eq!(shop.run(None).parity.status, ParityStatus::Ok);
    assert_eq!(shop.differences(), "0");
}

#[test]
fn without_updates_of_equal_rows_every_partition_is_compared_first() {
    let mut shop = Shop::new(100);
    shop.run(None);
    shop.change("update orders set updated_at = '2024-01-15 14:00:30+00' where id < 9");
    shop.later(60);
    assert!(!shop.plan(None).partitions[0].changed_only);
    shop.spec.strategies[1].tuning.prevent_update_unless_changed = Some(true);
    assert!(shop.plan(None).partitions[0].changed_only);
    // Somebody brought half of them in already.
    shop.in_lake("update lake.main.orders set updated_at = '2024-01-15 14:00:30+00' where id < 5");
    let report = shop.run(None);
    assert_eq!(
        (report.rows_processed, report.rows_updated),
        (8, 4),
        "{:?}",
        report.notes
    );
    assert_eq!(shop.differences(), "0");
}
