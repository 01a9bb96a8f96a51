//! What becomes of the table that is there.

use insta::assert_snapshot;
use pintail_model::ErrorKind;
use pintail_sync::report::Failure;
use pintail_sync::{StopSignal, Unwatched};

use super::Pair;

const ORDERS: &str = "create table orders (id bigint primary key, item varchar(40), updated_at timestamptz not null default now());
     insert into orders select id, 'item ' || id, now() - interval '1 day' from generate_series(1, 500) as ids (id);
     analyze orders";

#[test]
fn a_table_that_is_absent_is_made_with_the_types_of_the_source() {
    let pair = Pair::new(ORDERS);
    let report = pair.run(None);
    assert_eq!((report.kind.as_str(), report.rows_inserted), ("full", 500));
    pair.assert_equal();
    let columns = pair.ask(
        "select string_agg(format('%s %s%s', attname, format_type(atttypid, atttypmod), case when attnotnull then '!' end), ', ' order by attnum)
         from pg_attribute where attrelid = 'shop.orders'::regclass and attnum > 0",
    );
    assert_snapshot!(columns, @"id bigint!, item character varying(40), updated_at timestamp with time zone!");
    let index = pair.ask("select indexdef from pg_indexes where schemaname = 'shop'");
    assert_snapshot!(index, @"CREATE UNIQUE INDEX orders_pkey ON shop.orders USING btree (id)");
}

#[test]
fn a_delta_replaces_by_key_and_leaves_other_columns_alone() {
    let pair = Pair::new(ORDERS);
    pair.run(None);
    pair.target
        .execute("alter table shop.orders add remark text default 'ours'; update shop.orders set remark = 'seen' where id = 7");
    pair.source.execute(
        "update orders set item = 'changed', updated_at = now() where id % 50 = 7;
         insert into orders values (1000, null, now())",
    );
    let report = pair.run(None);
    assert_eq!(
        (report.kind.as_str(), report.rows_updated, report.rows_inserted),
        ("delta", 10, 1)
    );
    assert_eq!(
        pair.ask("select item || ' ' || remark from shop.orders where id = 7"),
        "changed seen"
    );
    assert_eq!(pair.ask("select remark from shop.orders where id = 1000"), "ours");
}

#[test]
fn a_delta_works_without_a_unique_constraint() {
    let pair = Pair::new(ORDERS);
    pair.run(None);
    pair.target
        .execute("alter table shop.orders drop constraint orders_pkey");
    pair.source
        .execute("update orders set item = 'changed', updated_at = now() where id <= 3; insert into orders values (1000)");
    let report = pair.run(None);
    assert_eq!((report.rows_updated, report.rows_inserted), (3, 1));
    pair.assert_equal();
}

#[test]
fn a_delta_exchanges_unique_values() {
    let pair = Pair::new(ORDERS);
    pair.run(None);
    pair.target
        .execute("create unique index items on shop.orders (item)");
    pair.source.execute(
        "update orders set item = case id when 1 then 'item 2' else 'item 1' end, updated_at = now() where id in (1, 2)",
    );
    let report = pair.run(None);
    assert_eq!((report.kind.as_str(), report.rows_updated), ("delta", 2));
    pair.assert_equal();
    // Without an index on the key, too.
    pair.target
        .execute("alter table shop.orders drop constraint orders_pkey");
    pair.source.execute(
        "update orders set item = case id when 3 then 'item 4' else 'item 3' end, updated_at = now() where id in (3, 4);
         insert into orders values (1000, 'new')",
    );
    let report = pair.run(None);
    assert_eq!((report.rows_updated, report.rows_inserted), (2, 1));
    pair.assert_equal();
}

#[test]
fn a_full_load_keeps_what_belongs_to_the_table() {
    let pair = Pair::new(ORDERS);
    pair.run(None);
    pair.target.execute(
        "create index orders_item on shop.orders (item);
         alter table shop.orders add constraint positive check (id > 0), alter item set default 'none'",
    );
    let report = pair.run(Some("full"));
    assert_eq!((report.rows_deleted, report.rows_inserted), (500, 500));
    pair.assert_equal();
    let kept = pair.ask(
        "select concat_ws(' ',
            (select count(*) from pg_indexes where schemaname = 'shop'),
            (select count(*) from pg_constraint where conrelid = 'shop.orders'::regclass and conname = 'positive'),
            (select column_default from information_schema.columns where table_schema = 'shop' and column_name = 'item'))",
    );
    assert_eq!(kept, "2 1 'none'::character varying");
}

#[test]
fn a_table_that_others_refer_to_stays_and_changes_its_rows() {
    let pair = Pair::new(ORDERS);
    pair.run(None);
    pair.target.execute(
        "create view shop.few as select * from shop.orders where id < 10;
         create table shop.notes (id bigint references shop.orders deferrable initially deferred);
         insert into shop.notes values (3)",
    );
    let before = pair.ask("select 'shop.orders'::regclass::oid::text");
    pair.source
        .execute("update orders set item = 'x'; delete from orders where id = 5");
    pair.run(Some("full"));
    assert_eq!(pair.ask("select 'shop.orders'::regclass::oid::text"), before);
    assert_eq!(
        pair.ask("select count(*) || ' ' || min(item) from shop.few"),
        "8 x"
    );
    pair.assert_equal();
}

#[test]
fn a_load_that_would_take_rows_of_other_tables_with_it_is_refused() {
    let pair = Pair::new(ORDERS);
    pair.run(None);
    for action in ["cascade", "set null", "set default"] {
        pair.target.execute(&format!(
            "create table shop.notes (id bigint default 1 constraint of_order references shop.orders on delete {action});
             insert into shop.notes values (3)"
        ));
        pair.source
            .execute("update orders set item = item || '!', updated_at = now()");
        let error = pair.try_run(Some("full")).expect_err("it would lose rows");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let failure = Failure::of(&error);
        insta::allow_duplicates! {
            assert_snapshot!(failure.message, @"cannot commit partition `all`: cannot replace all rows of table \"shop.orders\": the foreign key `of_order` of table \"shop.notes\" would delete or change the rows that refer to them");
        }
        assert!(
            failure
                .hint
                .is_some_and(|hint| hint.contains("`delta` or `hash`"))
        );
        assert_eq!(pair.ask("select id::text from shop.notes"), "3");
        // A delta leaves rows in place.
        pair.run(None);
        pair.assert_equal();
        assert_eq!(pair.ask("select id::text from shop.notes"), "3");
        pair.target.execute("drop table shop.notes");
    }
    // What refers to rows of its own table goes and comes with them.
    pair.target.execute(
        "alter table shop.orders add parent bigint default 3 references shop.orders on delete cascade",
    );
    pair.run(Some("full"));
    pair.target.execute("alter table shop.orders drop parent");
    pair.assert_equal();
}

#[test]
fn a_table_of_somebody_else_that_cannot_take_the_rows_is_refused_by_column() {
    let pair = Pair::new(ORDERS);
    pair.target.execute(
        "create schema shop; create table shop.orders (id int primary key, item varchar(40), other text);
         insert into shop.orders values (1, 'theirs')",
    );
    let error = pair.try_run(None).expect_err("it does not fit");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_snapshot!(Failure::of(&error).message, @"cannot commit partition `all`: table \"shop.orders\" cannot take all rows as they are: it needs `id` as `bigint`, `updated_at` as `timestamp with time zone`");
    assert_eq!(pair.ask("select item from shop.orders"), "theirs");
}

#[test]
fn a_key_that_stands_twice_is_a_data_error_and_nothing_changes() {
    let pair = Pair::new(ORDERS);
    pair.run(None);
    pair.source.execute(
        "alter table orders drop constraint orders_pkey; insert into orders select * from orders where id = 4",
    );
    let mut request = pair.request(&pair.target.url(), Some("full"));
    request.spec.columns = Vec::new();
    let report = pintail_sync::run(
        &request,
        &pintail_sync::Unwatched,
        &pintail_sync::StopSignal::new(),
    );
    // The table keeps its primary key, which refuses the second row.
    let error = report.expect_err("a primary key refuses it");
    assert_eq!(error.kind(), ErrorKind::Data, "{error:?}");
    assert_eq!(pair.ask("select count(*)::text from shop.orders"), "500");
}

#[test]
fn a_table_that_its_statistics_take_for_filled_may_be_filled_again() {
    let pair = Pair::new(
        "create table orders (id bigint primary key);
         insert into orders select generate_series(1, 1000)",
    );
    pair.run(None);
    pair.target
        .execute("analyze shop.orders; delete from shop.orders");
    let run = || {
        let mut request = pair.request(&pair.target.url(), Some("full"));
        request.spec.destination.supports_update = Some(false);
        pintail_sync::run(&request, &Unwatched, &StopSignal::new())
    };
    let report = run().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.rows_inserted, 1000);
    let error = run().expect_err("it is filled");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
}
