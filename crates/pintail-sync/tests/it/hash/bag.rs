//! Tables without a key, whose rows are compared as a bag.

use insta::assert_snapshot;
use pintail_model::{ErrorKind, LogicalType};
use pintail_sync::plan::Task;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{Compare, DeletePolicy, HashSpec, StrategyKind};

use super::places::{Copied, Kind, counts};
use super::{compare, shop_of};

/// Rows that stand there three times and more, and NULL in all columns.
const ORDERS: &str = "create table orders (n int, item text, price numeric(10,2));
     insert into orders select nullif(i % 5, 3), nullif('item ' || i % 3, 'item 2'), nullif(i % 2, 0) / 4.0
     from generate_series(1, 120) as i; analyze orders";

const COLUMNS: &[(&str, LogicalType)] = &[
    ("n", LogicalType::Int32),
    ("item", LogicalType::Text),
    (
        "price",
        LogicalType::Decimal {
            precision: 10,
            scale: 2,
        },
    ),
];

/// Takes one copy of a row away, or more.
fn delete(copied: &Copied, which: &str, copies: usize) {
    copied.source.execute(&format!(
        "delete from orders where ctid in (select ctid from orders where {which} limit {copies})"
    ));
}

/// Fails unless both sides hold every row as often.
#[track_caller]
fn assert_equal(copied: &Copied) {
    let sql = "select concat_ws(' ', coalesce(n::text, '-'), coalesce(item, '-'), coalesce(price::text, '-')) from orders";
    let rows = copied.source.client().query(sql, &[]).expect("a table");
    let mut source: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut copy = copied.rows(COLUMNS);
    source.sort_unstable();
    copy.sort_unstable();
    assert_eq!(source, copy, "{:?}", copied.kind);
}

#[test]
fn every_row_is_there_as_often_as_in_the_source() {
    for kind in Kind::ALL {
        let copied = Copied::new(kind, ORDERS);
        copied.run(&copied.request(None));
        assert_equal(&copied);
        let request = copied.request(Some("compare"));
        assert_eq!(counts(&copied.run(&request)), (0, 0, 0), "{kind:?}");

        delete(&copied, "n = 1 and item = 'item 1'", 1);
        delete(&copied, "n is null and item is null", 2);
        copied.source.execute(
            "insert into orders values (1, 'item 0', 0.25), (null, null, null), (null, null, null), (7, 'new', 1), (7, 'new', 1)",
        );
        let report = copied.run(&request);
        assert_eq!(report.kind, "hash", "{}", report.reason);
        assert_equal(&copied);
        assert_eq!(report.rows_updated, 0, "{kind:?}");
        let (inserted, deleted) = (report.rows_inserted, report.rows_deleted);
        assert_eq!(inserted - deleted, 2, "{kind:?}: {inserted} new, {deleted} gone");
        assert!(
            inserted <= 5 && deleted <= 3,
            "{kind:?}: {inserted} new, {deleted} gone"
        );
        assert_eq!(counts(&copied.run(&request)), (0, 0, 0), "{kind:?}");

        // All copies of a row.
        copied
            .source
            .execute("delete from orders where n = 2 and item = 'item 0'");
        copied.run(&request);
        assert_equal(&copied);
    }
}

/// A lake's history shows the copy that went, and none that stayed.
#[test]
fn a_lake_tells_copies_apart() {
    let shop = shop_of(
        "create table orders (n integer, item varchar);
         insert into orders select i % 2, 'twin' from range(10) as r (i)",
    );
    shop.change("delete from orders where rowid = 4; insert into orders values (null, 'new')");
    let before = shop.ask_one("select max(snapshot_id) from lake.snapshots()");
    assert_eq!(counts(&compare(&shop)), (1, 0, 1));
    let after = shop.ask_one("select max(snapshot_id) from lake.snapshots()");
    let first = before.parse::<i64>().expect("a number") + 1;
    let changes = shop.ask(&format!(
        "select change_type, n, item from lake.table_changes('orders', {first}, {after}) order by all"
    ));
    let changes: Vec<String> = changes
        .into_iter()
        .map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(changes, ["delete 0 twin", "insert new"]);
}

#[test]
fn more_rows_than_a_sketch_tells_apart_are_counted() {
    let shop = shop_of(
        "create table orders (n integer, item varchar);
         insert into orders select i // 3, 'item' from range(300000) as r (i)",
    );
    shop.change("delete from orders where rowid % 3 = 0 and rowid < 150000; insert into orders select i, 'new' from range(10) as r (i)");
    let mut shop = shop;
    shop.spec.deletes.guard.share_percent = 100;
    assert_eq!(counts(&compare(&shop)), (10, 0, 50_000));
}

#[test]
fn random_changes_of_a_bag_are_brought_in() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for kind in [Kind::Lake, Kind::Postgres, Kind::MariaDb, Kind::Files] {
        let copied = Copied::new(kind, ORDERS);
        copied.run(&copied.request(None));
        let mut request = copied.request(Some("compare"));
        request.allow_deletes = true;
        for _ in 0..4 {
            for _ in 0..random.usize(1..6) {
                let (n, item) = (random.u8(0..6), random.u8(0..3));
                match random.u8(0..4) {
                    0 => delete(&copied, &format!("n = {n}"), random.usize(1..4)),
                    1 => copied.source.execute(&format!(
                        "insert into orders select nullif({n}, 5), 'item {item}', null from generate_series(1, {})",
                        random.usize(1..4)
                    )),
                    2 => copied.source.execute(&format!("update orders set price = {n} where item = 'item {item}'")),
                    _ => copied.source.execute(&format!("update orders set item = null where n = {n}")),
                }
            }
            let report = copied.run(&request);
            assert_eq!(report.parity.status, ParityStatus::Ok, "seed {seed}");
            assert_equal(&copied);
        }
    }
}

#[test]
fn values_that_look_alike_are_told_apart() {
    let floats = "create table orders (price float8, note json);
         insert into orders values ('0', '[1]'), ('-0', '[1]'), ('NaN', '[1, 2]'), ('NaN', '[1, 2]'), (null, null)";
    for kind in [Kind::Lake, Kind::Files, Kind::Postgres, Kind::DuckDb] {
        let copied = Copied::new(kind, floats);
        copied.run(&copied.request(None));
        let mut request = copied.request(Some("compare"));
        request.allow_deletes = true;
        for change in [
            "delete from orders where price::text = '-0'",
            "delete from orders where ctid in (select ctid from orders where price = 'NaN' limit 1)",
            "update orders set price = '-0' where price = 0",
            "delete from orders where price is null",
        ] {
            copied.source.execute(change);
            let report = copied.run(&request);
            assert_eq!(report.parity.status, ParityStatus::Ok, "{kind:?}: {change}");
            assert_eq!(counts(&copied.run(&request)), (0, 0, 0), "{kind:?}: {change}");
        }
    }
}

#[test]
fn verify_counts_what_differs() {
    let mut shop =
        shop_of("create table orders (n integer); insert into orders select i % 3 from range(9) as r (i)");
    shop.change("insert into orders values (1); delete from orders where n = 2");
    shop.task = Task::Verify { keys_named: 5 };
    let report = shop.run(None);
    assert_eq!(report.parity.status, ParityStatus::Mismatch);
    let drift = report.drift.expect("both sides were compared");
    assert_eq!(
        (drift.missing, drift.changed, drift.extra, drift.keys.len()),
        (1, 0, 3, 0)
    );
}

#[test]
fn what_needs_a_key_is_refused() {
    let copied = Copied::new(Kind::Lake, ORDERS);
    copied.run(&copied.request(None));
    let refused = |request| {
        let error = copied.try_run(&request).expect_err("there is no key");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        crate::served::described(&error)
    };
    let mut request = copied.request(Some("compare"));
    request.spec.deletes.policy = DeletePolicy::Ignore;
    assert_snapshot!(refused(request), @r#"table "public.orders" cannot be compared with `policy: ignore` in `deletes`: its rows have no key, so nobody can tell one that is gone from one that changed"#);
    let mut request = copied.request(None);
    request.task = Task::Deletes;
    assert_snapshot!(refused(request), @r#"deleted rows of table "public.orders" cannot be told: its rows have no key"#);
    let mut request = copied.request(Some("compare"));
    request.spec.strategies.last_mut().expect("a strategy").kind = StrategyKind::Hash(HashSpec {
        compare: Compare::Pushdown,
    });
    assert_snapshot!(refused(request), @r#"strategy `compare` cannot compare table "public.orders" by `pushdown`: its rows have no key"#);
}
