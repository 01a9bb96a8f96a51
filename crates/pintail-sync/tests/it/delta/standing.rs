//! Whether a watermark still holds: for this source, this table, this cursor, and this pipeline.

use super::at;
use crate::shop::Shop;

#[test]
fn a_changed_type_of_the_cursor_leads_to_a_full_load_that_says_so() {
    let shop = Shop::new(10);
    shop.run(None);
    shop.change(
        "create table other as select id, item, price, updated_at::timestamp as updated_at from orders;
         drop table orders;
         create table orders (id bigint primary key, item varchar, price decimal(12,2), updated_at timestamp not null);
         insert into orders from other",
    );
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.strategy.as_str(), report.reason.as_str()),
        (
            "everything",
            "the cursor `updated_at` was of type timestamp_tz before, and is of type timestamp now"
        )
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_lost_state_costs_nothing_because_the_ledger_knows() {
    let shop = Shop::new(100);
    shop.run(None);
    shop.later(60);
    shop.change(&format!("update orders set updated_at = {} where id = 1", at(20)));
    shop.run(None);
    std::fs::remove_dir_all(shop.folder.path().join("state")).expect("the state is gone");
    shop.later(60);
    shop.change(&format!("update orders set updated_at = {} where id = 2", at(90)));
    let report = shop.run(None);
    assert_eq!(
        report.reason,
        "the lake's ledger says how far the source was read"
    );
    assert_eq!((report.rows_processed, report.rows_updated), (1, 1));
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_clock_that_went_back_is_noticed() {
    let mut shop = Shop::new(100);
    shop.delta(|delta| delta.lookback = std::time::Duration::from_secs(2));
    shop.later(60);
    shop.run(None);
    // By a second: what is stamped now lies below the watermark, and in the lookback.
    shop.later(-1);
    shop.change(&format!(
        "insert into orders values (200, 'stepped', 1, {})",
        at(60)
    ));
    let report = shop.run(None);
    assert_eq!(
        (
            report.kind.as_str(),
            report.rows_inserted,
            report.watermark.as_deref()
        ),
        ("delta", 1, Some("2024-01-15 14:01:00.999000+00"))
    );
    // By a minute.
    shop.later(-60);
    shop.change(&format!(
        "insert into orders values (201, 'stepped', 1, {})",
        at(0)
    ));
    let report = shop.run(None);
    assert_eq!(
        (report.kind.as_str(), report.reason.as_str()),
        (
            "full",
            "the clock of the source went back: everything below 2024-01-15 14:01:00.999000+00 was read before, which lies in the future now"
        )
    );
    assert_eq!(report.watermark.as_deref(), Some("2024-01-15 13:59:59.999000+00"));
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_lost_state_and_another_source_lead_to_a_full_load() {
    let mut shop = Shop::new(100);
    shop.run(None);
    std::fs::remove_dir_all(shop.folder.path().join("state")).expect("the state is gone");
    let other = shop.folder.path().join("other.duckdb");
    std::fs::copy(&shop.source.path, &other).expect("a copy");
    shop.source.path = other;
    shop.change("insert into orders values (101, 'older', 1, '2020-01-01T00:00:00Z')");
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.kind.as_str(), report.reason.as_str()),
        ("full", "the pipeline reads another table than before")
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_table_or_a_cursor_that_was_made_anew_is_loaded_in_full() {
    let check = |change: fn(&mut crate::source::Script), reason: &str| {
        let shop = Shop::new(100);
        shop.script(|script| {
            script.table_identity = Some("16384".to_owned());
            script.column_identity = Some("1".to_owned());
        });
        shop.run(None);
        shop.later(60);
        assert_eq!(shop.run(None).kind, "delta");
        shop.script(change);
        shop.later(60);
        let report = shop.run(None);
        assert_eq!((report.kind.as_str(), report.reason.as_str()), ("full", reason));
        shop.later(60);
        assert_eq!(shop.run(None).kind, "delta");
    };
    check(
        |script| script.table_identity = Some("16385".to_owned()),
        "the source's table was made anew, or another one took its name",
    );
    check(
        |script| script.column_identity = Some("2".to_owned()),
        "the cursor `updated_at` was made anew in the source",
    );
}

#[test]
fn two_pipelines_on_one_table_notice_each_other() {
    let mut shop = Shop::new(100);
    shop.run(None);
    shop.spec.name = "second".to_owned();
    let report = shop.run(None);
    assert_eq!(
        (report.kind.as_str(), report.reason.as_str()),
        (
            "full",
            "pipeline `orders` was the last to write to the lake's table"
        )
    );
    shop.later(60);
    assert_eq!(shop.run(None).kind, "delta");
    shop.spec.name = "orders".to_owned();
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.kind.as_str(), report.reason.as_str()),
        (
            "full",
            "pipeline `second` was the last to write to the lake's table"
        )
    );
}

#[test]
fn a_table_of_numbers_that_was_emptied_is_loaded_in_full() {
    let mut shop = Shop::empty();
    shop.change("create table orders (id bigint primary key, version bigint not null); insert into orders values (1, 1), (2, 2)");
    shop.delta(|delta| delta.column = Some("version".to_owned()));
    assert_eq!(shop.run(None).watermark.as_deref(), Some("3"));
    shop.change("delete from orders; insert into orders values (3, 1)");
    let report = shop.run(None);
    assert_eq!(
        (report.kind.as_str(), report.watermark.as_deref()),
        ("full", Some("2"))
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_reset_leads_to_a_full_load() {
    let shop = Shop::new(100);
    shop.run(None);
    let state = shop.folder.path().join("state");
    let reset = pintail_sync::reset(&state, "orders", None, shop.clock.as_ref()).expect("a reset");
    assert_eq!((reset.runs, reset.starts_fresh), (1, true));
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.strategy.as_str(), report.reason.as_str()),
        ("everything", "the state was reset")
    );
    shop.later(60);
    assert_eq!(shop.run(None).strategy, "changes");
}
