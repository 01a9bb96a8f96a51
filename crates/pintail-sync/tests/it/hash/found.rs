//! Which differences are found, and what is done about them.

use pintail_sync::plan::Task;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{ColumnSource, ColumnSpec, Role};

use super::{compare, counts, loaded, shop_of};
use crate::shop::Shop;

#[test]
fn just_what_differs_comes_in_by_one_commit() {
    let shop = loaded(5_000);
    shop.change(
        "update orders set price = price + 1 where id % 500 = 7;
         delete from orders where id between 100 and 103;
         insert into orders values (9001, 'new', 1, '2024-01-15T14:00:00Z'), (9002, null, null, '2024-01-15T14:00:00Z')",
    );
    let before = shop.commits();
    let report = compare(&shop);
    assert_eq!(counts(&report), (2, 10, 4));
    assert_eq!(report.rows_processed, 4_998);
    assert_eq!(shop.commits(), before + 1);
    // The lake's history has these changes and no others.
    let newest = shop.ask_one("select max(snapshot_id) from lake.snapshots()");
    let changes = shop.ask(&format!(
        "select change_type, count(*) from lake.table_changes('orders', {newest}, {newest}) group by 1 order by 1"
    ));
    let text = format!("{changes:?}");
    assert_eq!(
        text,
        r#"[[Some("delete"), Some("14")], [Some("insert"), Some("12")]]"#
    );
}

#[test]
fn nothing_is_written_where_nothing_differs() {
    let shop = loaded(1_000);
    let before = shop.commits();
    let report = compare(&shop);
    assert_eq!(counts(&report), (0, 0, 0));
    assert_eq!(report.parity.rows_read, 1_000);
    assert!(report.parity.leaves > 0);
    assert_eq!(shop.commits(), before);
}

#[test]
fn a_change_that_moved_no_cursor_is_found() {
    let shop = loaded(1_000);
    shop.change("update orders set item = 'quietly' where id = 500");
    let delta = shop.run(Some("changes"));
    assert_eq!(counts(&delta), (0, 0, 0));
    assert_eq!(counts(&compare(&shop)), (0, 1, 0));
}

#[test]
fn a_delta_goes_on_after_a_comparison() {
    let shop = loaded(1_000);
    shop.change("update orders set item = 'quietly' where id = 500");
    compare(&shop);
    shop.later(3_600);
    shop.change("update orders set item = 'loudly', updated_at = '2024-01-15T14:30:00Z' where id = 7");
    let report = shop.run(None);
    assert_eq!(
        (report.kind.as_str(), counts(&report)),
        ("delta", (0, 1, 0)),
        "{}",
        report.reason
    );
    assert_eq!(shop.differences(), "0");
    assert_eq!(counts(&compare(&shop)), (0, 0, 0));
}

#[test]
fn what_somebody_else_did_to_the_lake_is_undone() {
    let shop = loaded(1_000);
    shop.in_lake("delete from lake.main.orders where id = 3; insert into lake.main.orders values (-5, 'stray', 1, now())");
    assert_eq!(counts(&compare(&shop)), (1, 0, 1));
}

#[test]
fn an_empty_destination_is_loaded_in_full_and_says_so() {
    let mut shop = crate::shop::Shop::new(100);
    super::with_hash(&mut shop);
    let report = shop.run(Some("compare"));
    assert_eq!(report.kind, "full");
    assert_eq!(
        report.reason,
        "strategy `compare` has nothing to compare: the table is not in the lake yet"
    );
}

#[test]
fn values_are_framed_and_typed() {
    let shop = shop_of(
        "create table orders (id bigint primary key, a varchar, b varchar, f double, t timestamptz);
         insert into orders values (1, 'ab', 'c', 0.0, '2024-01-01T00:00:00Z'), (2, null, '', 'nan', null), (3, 'é', 'x', 1.5, null)",
    );
    for (change, changed) in [
        // DuckDB does not take it for a change of a value.
        (
            "create or replace temp table t as select '-0.0'::double as f; delete from orders where id = 1; \
          insert into orders select 1, 'ab', 'c', f, '2024-01-01T00:00:00Z' from t",
            1,
        ),
        ("update orders set a = 'a', b = 'bc' where id = 1", 1),
        ("update orders set a = '', b = null where id = 2", 1),
        ("update orders set f = 'nan' where id = 2", 0),
        // The same text to a reader, another one to a database.
        ("update orders set a = 'e' || chr(769) where id = 3", 1),
        (
            "update orders set t = '2024-01-01T01:00:00+01:00' where id = 1",
            0,
        ),
    ] {
        shop.change(change);
        assert_eq!(counts(&compare(&shop)), (0, changed, 0), "{change}");
    }
}

#[test]
fn keys_may_be_texts_several_columns_or_far_apart() {
    for (table, changes) in [
        (
            "create table orders (id varchar primary key, n integer);
             insert into orders select 'key ' || i, i from range(3000) as r (i)",
            "update orders set n = -1 where n % 1000 = 5; delete from orders where n = 17; insert into orders values ('neu''s', 1)",
        ),
        (
            "create table orders (region varchar, day date, n integer, primary key (region, day));
             insert into orders select 'r' || (i % 7), '2024-01-01'::date + (i // 7)::integer, i from range(3000) as r (i)",
            "update orders set n = -1 where n % 1000 = 5; delete from orders where n = 17; insert into orders values ('', '1999-01-01', 1)",
        ),
        (
            "create table orders (a integer, b bigint, n integer, primary key (a, b));
             insert into orders select i % 5, i * 1000000007, i from range(3000) as r (i)",
            "update orders set n = -1 where n % 1000 = 5; delete from orders where n = 17; insert into orders values (-1, -1, 1)",
        ),
        (
            "create table orders (id bigint primary key, n integer);
             insert into orders select i * 1000000000000 - 5, i from range(3000) as r (i)",
            "update orders set n = -1 where n % 1000 = 5; delete from orders where n = 17; insert into orders values (-9223372036854775808, 1)",
        ),
    ] {
        let shop = shop_of(table);
        shop.change(changes);
        assert_eq!(counts(&compare(&shop)), (1, 3, 1), "{table}");
        assert_eq!(counts(&compare(&shop)), (0, 0, 0), "{table}");
    }
}

#[test]
fn more_differences_than_a_sketch_tells_apart_are_found_by_a_join() {
    for key in ["id bigint", "id varchar"] {
        let shop = shop_of(&format!(
            "create table orders ({key} primary key, n integer);
             insert into orders select i, i from range(100000) as r (i)"
        ));
        shop.change(
            "update orders set n = n + 1 where n % 2 = 0; delete from orders where n % 20 = 3;
             insert into orders select 200000 + i, i from range(1000) as r (i)",
        );
        let report = compare(&shop);
        assert_eq!(counts(&report), (1_000, 45_000, 10_000), "{key}");
    }
}

#[test]
fn the_key_of_a_row_may_change() {
    let shop = loaded(100);
    shop.change("update orders set id = 1000 where id = 50");
    assert_eq!(counts(&compare(&shop)), (1, 0, 1));
}

#[test]
fn a_difference_that_a_delta_left_is_settled() {
    let shop = loaded(100);
    shop.script(|script| script.miscounts_by = 1);
    shop.later(60);
    shop.change("update orders set price = 0, updated_at = '2024-01-15T14:00:30Z' where id = 1");
    let report = shop.run(Some("changes"));
    assert_eq!(report.parity.status, ParityStatus::Mismatch);
    shop.script(|script| script.miscounts_by = 0);
    assert_eq!(counts(&compare(&shop)), (0, 1, 0));
}

#[test]
fn rows_that_stand_twice_in_the_destination_differ() {
    let mut shop = loaded(1_000);
    shop.in_lake("insert into lake.main.orders from lake.main.orders");
    shop.task = Task::Verify { keys_named: 2 };
    let report = shop.run(None);
    assert_eq!(report.parity.status, ParityStatus::Mismatch);
    assert_eq!(report.drift.map(|drift| drift.changed), Some(1_000));
    shop.task = Task::Sync;
    compare(&shop);

    // One of two rows under a key is the source's: the key is not gone.
    shop.in_lake("insert into lake.main.orders select 7, 'another', 1, now()");
    let report = compare(&shop);
    assert_eq!(
        (report.rows_inserted, report.rows_deleted),
        (0, 0),
        "{:?}",
        report.notes
    );
}

#[test]
fn rows_without_a_key_cannot_be_compared() {
    let mut shop = Shop::empty();
    shop.change("create table orders (id bigint, n integer); insert into orders values (1, 1), (null, 2)");
    super::with_hash(&mut shop);
    shop.spec.strategies.remove(1);
    shop.spec.columns = ["id", "n"]
        .into_iter()
        .map(|name| ColumnSpec {
            source: ColumnSource::Column(name.to_owned()),
            dest: name.to_owned(),
            roles: (name == "id").then_some(Role::UniqueColumn).into_iter().collect(),
            data_type: None,
            length: None,
            nullable: None,
            hash_column: true,
        })
        .collect();
    shop.run(Some("everything"));
    let error = shop.try_run(Some("compare")).expect_err("a row has no key");
    assert_eq!(
        error.to_string(),
        "1 rows of table \"main.orders\" have no value in key (id)"
    );
}

#[test]
fn a_column_that_does_not_count_makes_no_row_differ_and_leaves_the_watermark() {
    let mut shop = loaded(100);
    shop.spec.columns = ["id", "item", "price", "updated_at"]
        .into_iter()
        .map(|name| ColumnSpec {
            source: ColumnSource::Column(name.to_owned()),
            dest: name.to_owned(),
            roles: Default::default(),
            data_type: None,
            length: None,
            nullable: None,
            hash_column: !matches!(name, "price" | "updated_at"),
        })
        .collect();
    shop.later(3_600);
    shop.change("update orders set price = 0, updated_at = '2024-01-15T14:30:00Z' where id = 7");
    let before = shop.state_watermark();
    assert_eq!(counts(&shop.run(Some("compare"))), (0, 0, 0));
    assert_eq!(shop.state_watermark(), before);
    let delta = shop.run(None);
    assert_eq!(
        (delta.kind.as_str(), counts(&delta)),
        ("delta", (0, 1, 0)),
        "{}",
        delta.reason
    );
    assert_eq!(shop.differences(), "0");
}
