//! Full loads from end to end.

use pintail_lake::connector::OldestTransaction;
use pintail_model::ErrorKind;
use pintail_sync::report::{ParitySource, ParityStatus};
use pintail_sync::spec::{ColumnSource, ColumnSpec, DeclaredType};
use pintail_sync::state::RunStatus;

use crate::shop::Shop;

#[test]
fn first_run_copies_everything_and_proves_it() {
    let shop = Shop::new(1000);
    let report = shop.run(None);
    assert_eq!(
        (report.strategy.as_str(), report.reason.as_str()),
        ("everything", "the table is not in the lake yet")
    );
    assert_eq!(report.status, RunStatus::Completed);
    assert_eq!(
        (
            report.rows_processed,
            report.rows_inserted,
            report.rows_updated,
            report.rows_deleted
        ),
        (1000, 1000, 0, 0)
    );
    assert_eq!(
        (
            report.partitions_total,
            report.partitions_processed,
            report.partitions_skipped
        ),
        (1, 1, 0)
    );
    assert_eq!(
        (report.parity.status, report.parity.source),
        (ParityStatus::Ok, Some(ParitySource::Streamed))
    );
    assert_eq!(
        (
            report.parity.rows_counted,
            report.parity.rows_read,
            report.parity.rows_committed
        ),
        (1000, 1000, 1000)
    );
    assert_eq!((report.parity.leaves, report.parity.mismatched), (1, 0));
    assert_eq!(report.watermark.as_deref(), Some("2024-01-15 14:00:00.999000+00"));
    assert_eq!(shop.differences(), "0");
}

#[test]
fn full_load_replaces_the_table_in_one_snapshot() {
    let shop = Shop::new(100);
    shop.run(None);
    shop.change("delete from orders where id <= 40; update orders set price = 0 where id = 50");
    let report = shop.run(Some("full"));
    assert_eq!((report.rows_inserted, report.rows_deleted), (60, 100));
    assert_eq!(shop.commits(), 2);
    assert_eq!(shop.differences(), "0");
}

#[test]
fn forced_partitions_are_read_at_once_and_committed_as_one() {
    let mut shop = Shop::new(10_000);
    shop.partitions = Some(7);
    let report = shop.run(None);
    assert_eq!((report.partitions_total, report.commits.count), (7, 1));
    assert_eq!(report.parity.status, ParityStatus::Ok);
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_source_without_pages_is_cut_by_its_key() {
    let mut shop = Shop::new(10_000);
    shop.script(|script| {
        script.capabilities.page_ranges = false;
        script.capabilities.shared_snapshot = false;
    });
    shop.partitions = Some(4);
    let plan = shop.plan(None);
    let ids: Vec<&str> = plan
        .partitions
        .iter()
        .map(|partition| partition.id.as_str())
        .collect();
    assert_eq!(ids, ["id__2501", "id_2501_5001", "id_5001_7500", "id_7500_"]);
    assert_eq!(shop.run(None).parity.status, ParityStatus::Ok);
    assert_eq!(shop.differences(), "0");
}

#[test]
fn without_parity_a_report_says_unproven() {
    let mut shop = Shop::new(100);
    shop.parity = false;
    let report = shop.run(None);
    assert_eq!(
        (report.parity.status, report.parity.source),
        (ParityStatus::Unproven, None)
    );
    assert_eq!(report.rows_processed, 100);
    assert_eq!(shop.differences(), "0");
}

#[test]
fn rows_that_were_lost_on_the_way_keep_the_old_table() {
    let shop = Shop::new(100);
    shop.run(None);
    shop.script(|script| script.miscounts_by = 1);
    shop.change("update orders set price = 7 where id = 1");
    let report = shop.run(Some("full"));
    assert_eq!(
        (report.status, report.parity.status),
        (RunStatus::ParityMismatch, ParityStatus::Mismatch)
    );
    assert_eq!(
        report.parity.mismatches,
        ["the whole table: the source counts 101 rows, and 100 were read"]
    );
    assert_eq!(shop.commits(), 1);
    assert_eq!(shop.files(), 1, "what was staged is gone");
}

#[test]
fn an_empty_table_is_a_table() {
    let shop = Shop::new(0);
    let report = shop.run(None);
    assert_eq!(
        (report.rows_processed, report.parity.status),
        (0, ParityStatus::Ok)
    );
    assert_eq!(shop.differences(), "0");
    shop.change("insert into orders values (1, 'late', 1, '2024-01-15T14:00:02Z')");
    shop.later(10);
    let report = shop.run(None);
    assert_eq!((report.strategy.as_str(), report.rows_inserted), ("changes", 1));
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_value_that_does_not_fit_is_named_by_column_and_nothing_is_committed() {
    let mut shop = Shop::new(100);
    shop.change(
        "update orders set item = 'hunter2' where id = 77; update orders set item = '5' where id <> 77",
    );
    shop.spec.columns = ["id", "item", "updated_at"].map(|name| column(name, None)).into();
    shop.spec.columns[1].data_type = Some(DeclaredType::BigInt);
    let error = shop.try_run(None).expect_err("a text is no number");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(
        error.to_string(),
        "cannot read column `item` of table \"main.orders\", partition `all`: a value has no lossless home"
    );
    assert!(
        !pintail_sync::report::Failure::of(&error)
            .message
            .contains("hunter2")
    );
    assert_eq!((shop.commits(), shop.files()), (0, 0));
}

#[test]
fn a_full_load_under_a_held_watermark_keeps_the_old_one() {
    let shop = Shop::new(100);
    shop.run(None);
    shop.later(60);
    shop.script(|script| {
        let reason = "a prepared transaction waits".to_owned();
        script.oldest = OldestTransaction::Held { reason };
    });
    let report = shop.run(Some("full"));
    assert_eq!(report.watermark.as_deref(), Some("2024-01-15 14:00:00.999000+00"));
    shop.script(|script| script.oldest = OldestTransaction::None);
    let report = shop.run(None);
    assert_eq!((report.strategy.as_str(), report.rows_processed), ("changes", 0));
}

#[test]
fn a_declared_not_null_is_checked() {
    let mut shop = Shop::new(100);
    shop.change("update orders set item = null where id = 7");
    shop.spec.columns = ["id", "item", "updated_at"].map(|name| column(name, None)).into();
    shop.spec.columns[1].nullable = Some(false);
    let error = shop.try_run(None).expect_err("there is a NULL");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(
        error.to_string(),
        "column `item` of table \"main.orders\" is declared `nullable: false`, and is NULL in 1 row of partition `all`"
    );
    assert_eq!((shop.commits(), shop.files()), (0, 0));
}

fn column(name: &str, data_type: Option<DeclaredType>) -> ColumnSpec {
    ColumnSpec {
        hash_column: true,
        source: ColumnSource::Column(name.to_owned()),
        dest: name.to_owned(),
        roles: std::collections::BTreeSet::new(),
        data_type,
        length: None,
        nullable: None,
    }
}
