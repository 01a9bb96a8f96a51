//! Comparisons in which a server sums its own rows up.

use std::path::Path;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_model::ErrorKind;
use pintail_sync::report::Drift;
use pintail_sync::spec::{Compare, StrategyKind};
use pintail_sync::{StopSignal, SyncReport, Unwatched};
use pintail_testkit::{PostgresServer, TcpProxy};

use super::served::{assert_follows, compare, drift, loaded, orders_by, request, try_compare};
use super::{counts, shop_of};
use crate::postgres::Copy;

fn pushdown(copy: &Copy<'_>) -> SyncReport {
    let report = compare(copy, Compare::Pushdown);
    assert_eq!(
        report.compare.as_deref(),
        Some("pushdown, because it was asked for")
    );
    report
}

#[test]
fn only_leaves_that_differ_are_read() {
    let copy = loaded(
        "create table orders (id bigint primary key, item text, price numeric(12,2));
         insert into orders select i, 'item ' || i, i * 1.25 from generate_series(1, 50000) as i; analyze orders",
    );
    let report = pushdown(&copy);
    assert_eq!((counts(&report), report.commits.count), ((0, 0, 0), 0));
    assert_eq!((report.rows_processed, report.parity.rows_read), (50_000, 50_000));
    assert_eq!(report.parity.rows_committed, 50_000);

    copy.database.execute(
        "update orders set price = price + 1 where id in (7, 20000, 49999);
         delete from orders where id = 31000; insert into orders values (60000, 'new', 1)",
    );
    let report = pushdown(&copy);
    assert_eq!((counts(&report), report.commits.count), ((1, 3, 1), 1));
    assert_eq!(report.rows_processed, 50_000);
    let note = report
        .notes
        .iter()
        .find(|note| note.contains("leaves differ"))
        .unwrap_or_else(|| panic!("{:?}", report.notes));
    let read: u64 = note
        .split("their ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("{note}"));
    assert!((4..500).contains(&read), "{note}");
    assert_eq!(drift(&copy), Drift::default());
}

#[test]
fn where_many_leaves_differ_all_rows_are_read() {
    let copy = loaded(
        "create table orders (id bigint primary key, n integer);
         insert into orders select i, i from generate_series(1, 5000) as i; analyze orders",
    );
    copy.database.execute("update orders set n = -n where id % 2 = 0");
    let report = pushdown(&copy);
    assert_eq!(counts(&report), (0, 2_500, 0));
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("so that all rows were")),
        "{:?}",
        report.notes
    );
    assert_eq!(drift(&copy), Drift::default());
}

#[test]
fn keys_may_be_texts_uuids_or_several_columns_and_tables_without_statistics() {
    for (table, change) in [
        (
            "create table orders (id text collate \"und-x-icu\" primary key, n integer);
             insert into orders select 'Köy ' || i, i from generate_series(1, 3000) as i; analyze orders",
            "insert into orders values ('KÖY 5', 1), ('', 2)",
        ),
        (
            "create table orders (id uuid primary key, n integer);
             insert into orders select md5(i::text)::uuid, i from generate_series(1, 3000) as i; analyze orders",
            "insert into orders values ('00000000-0000-0000-0000-000000000000', 1), ('ffffffff-ffff-ffff-ffff-ffffffffffff', 2)",
        ),
        (
            "create table orders (region text, day date, n integer, primary key (region, day));
             insert into orders select 'r' || i % 7, date '2024-01-01' + i / 7, i from generate_series(1, 3000) as i; analyze orders",
            "insert into orders values ('', 'infinity', 1), ('r', '0044-03-15 BC', 2)",
        ),
        (
            "create table orders (id bigint primary key, n integer);
             insert into orders select i * 1000000000000, i from generate_series(1, 3000) as i",
            "insert into orders values (-9223372036854775808, 1), (9223372036854775807, 2)",
        ),
    ] {
        let copy = loaded(table);
        copy.database.execute(change);
        copy.database
            .execute("update orders set n = -1 where n % 1000 = 5; delete from orders where n = 17");
        let report = pushdown(&copy);
        assert_eq!(counts(&report), (2, 3, 1), "{table}: {:?}", report.notes);
        assert_eq!(drift(&copy), Drift::default(), "{table}");
        assert_eq!(counts(&pushdown(&copy)), (0, 0, 0), "{table}");
    }
}

#[test]
fn values_are_framed_and_typed() {
    let copy = loaded(
        "create table orders (id bigint primary key, a text, b text, f double precision, t timestamptz, c char(4));
         insert into orders values (1, 'ab', 'c', 0, '2024-01-01T00:00:00Z', 'x'), (2, null, '', 'nan', null, null),
             (3, E'\\u00e9', 'x', 1.5, 'infinity', '')",
    );
    for (change, changed) in [
        ("update orders set a = 'a', b = 'bc' where id = 1", 1),
        ("update orders set a = '', b = null where id = 2", 1),
        ("update orders set f = '-0' where id = 1", 1),
        ("update orders set f = -'nan'::double precision where id = 2", 0),
        ("update orders set a = E'e\\u0301' where id = 3", 1),
        (
            "update orders set t = '2024-01-01T01:00:00+01:00' where id = 1",
            0,
        ),
        ("update orders set t = '-infinity' where id = 3", 1),
        ("update orders set c = 'x   ' where id = 1", 0),
        ("update orders set c = null where id = 3", 1),
    ] {
        copy.database.execute(change);
        assert_eq!(counts(&pushdown(&copy)), (0, changed, 0), "{change}");
        assert_eq!(drift(&copy), Drift::default(), "{change}");
    }
}

#[test]
fn random_histories_are_followed_as_by_a_comparison_of_all_rows() {
    assert_follows(loaded, pushdown);
}

#[test]
fn as_much_travels_as_the_plan_expects() {
    let copy = loaded(&orders_by("bigint").replace("4000", "200000"));
    let proxy = TcpProxy::start(PostgresServer::shared().address());
    let here = Location::parse(&proxy.url(copy.database.name()), Path::new("/")).expect("an address");
    let far = || {
        let mut request = request(&copy, Compare::Pushdown);
        request.source = registry::source(&here.datastore).expect("a connector");
        request
    };
    // A plan expects as many differences as the last comparison found, and a thousand where none was made.
    for (differing, foreseen) in [(1_000, true), (100, false), (100, true)] {
        copy.database.execute(&format!(
            "select setseed(0.5);
             update orders set price = price + 1
                 where id in (select (random() * 199999)::int + 1 from generate_series(1, {differing}))"
        ));
        let plan = pintail_sync::plan(&far()).expect("a plan");
        let before = proxy.bytes_answered();
        pintail_sync::plan(&far()).expect("a plan");
        let looked = proxy.bytes_answered() - before;
        let report = pintail_sync::run(&far(), &Unwatched, &StopSignal::new()).expect("a comparison");
        assert_eq!(
            report.compare.as_deref(),
            Some("pushdown, because it was asked for")
        );
        let travelled = proxy.bytes_answered() - before - 2 * looked;
        let expected = plan.comparison.expected_bytes.expect("an estimate");
        let share = travelled as f64 / expected as f64;
        assert!(
            !foreseen || (0.9..=1.1).contains(&share),
            "{differing} rows: {travelled} bytes instead of {expected}; {:?}",
            report.notes
        );
    }
}

#[test]
fn what_cannot_be_summed_up_is_named() {
    let copy = loaded(
        "create table orders (id bigint primary key, tags text[], scores integer[], item text);
         insert into orders values (1, '{a}', '{1}', 'x')",
    );
    let error = try_compare(&copy, Compare::Pushdown).expect_err("arrays");
    assert_eq!(
        error.to_string(),
        "strategy `compare` cannot compare table \"public.orders\" by `pushdown`: the source and the engine have no common form of \
         `tags` (text[]), `scores` (integer[])"
    );
    assert_eq!(
        error.hint().as_deref(),
        Some("Take `compare: stream`, or leave the choice to Pintail with `compare: auto`.")
    );

    let mut shop = shop_of("create table orders (id bigint primary key); insert into orders values (1)");
    for strategy in &mut shop.spec.strategies {
        if let StrategyKind::Hash(hash) = &mut strategy.kind {
            hash.compare = Compare::Pushdown;
        }
    }
    let error = shop.try_run(Some("compare")).expect_err("no server");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        error.to_string(),
        "strategy `compare` cannot compare table \"main.orders\" by `pushdown`: the source has no function for that"
    );
}

#[test]
fn a_value_that_cannot_be_carried_ends_the_run_by_name() {
    let copy = loaded(
        "create table orders (id bigint primary key, price numeric(12,2));
         insert into orders select i, i from generate_series(1, 1000) as i; analyze orders",
    );
    copy.database
        .execute("update orders set price = 'nan' where id = 500");
    let error = try_compare(&copy, Compare::Pushdown).expect_err("a NaN");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(format!("{error}").contains("price"), "{error}");
}
