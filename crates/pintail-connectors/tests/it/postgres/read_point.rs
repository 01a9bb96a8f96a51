//! The clock and the oldest open transaction.

use jiff::{SignedDuration, Timestamp};
use pintail_lake::Relation;
use pintail_lake::connector::{OldestTransaction, ReadPoint};
use pintail_model::{CursorType, TableName};
use pintail_testkit::conformance::{Attached, Fixture};
use pintail_testkit::{Database, PostgresOptions};

use super::fixture::{PostgresFixture, connect};

fn read_point(attached: &Attached) -> ReadPoint {
    let (table, cursor) = (
        TableName::new("public", "orders").into(),
        ("changed_at", CursorType::Timestamp),
    );
    attached
        .connector()
        .read_point(
            attached.session(),
            "outside",
            &table,
            cursor,
            Timestamp::UNIX_EPOCH,
        )
        .unwrap()
}

/// Begins a transaction and returns its own `now()`.
fn begin(client: &mut postgres::Client) -> Timestamp {
    client.batch_execute("begin").unwrap();
    let row = client
        .query_one("select (extract(epoch from now()) * 1000000)::bigint", &[])
        .unwrap();
    Timestamp::from_microsecond(row.get(0)).unwrap()
}

#[test]
fn the_oldest_open_transaction_is_found_even_if_it_only_read() {
    let fixture = PostgresFixture::new();
    fixture.fill_orders(5);
    let attached = Attached::new(fixture.connector());
    assert_eq!(read_point(&attached).oldest, OldestTransaction::None);

    let (mut first, mut second) = (fixture.database().client(), fixture.database().client());
    let began_at = begin(&mut first);
    begin(&mut second);
    let point = read_point(&attached);
    assert_eq!(point.oldest, OldestTransaction::At(began_at));
    assert!(point.now > began_at);

    first.batch_execute("commit").unwrap();
    second.batch_execute("rollback").unwrap();
    assert_eq!(read_point(&attached).oldest, OldestTransaction::None);
}

#[test]
fn transactions_of_other_databases_do_not_matter() {
    let fixture = PostgresFixture::new();
    fixture.fill_orders(5);
    let other = PostgresFixture::new();
    let mut elsewhere = other.database().client();
    begin(&mut elsewhere);
    assert_eq!(
        read_point(&Attached::new(fixture.connector())).oldest,
        OldestTransaction::None
    );
}

#[test]
fn an_idle_session_of_this_process_does_not_matter() {
    let fixture = PostgresFixture::new();
    fixture.fill_orders(5);
    let attached = Attached::new(fixture.connector());
    // A scan leaves connections in the pool.
    attached.checksums_now(&attached.request("orders", pintail_model::Range::Whole));
    assert_eq!(read_point(&attached).oldest, OldestTransaction::None);
}

#[test]
fn hidden_transactions_make_the_oldest_unknown_while_they_are_open() {
    let fixture = PostgresFixture::new();
    fixture.fill_orders(5);
    fixture.execute(&format!("revoke pg_read_all_stats from {}", fixture.user()));
    let attached = Attached::new(fixture.connector());
    let mut other = fixture.database().client();
    assert_eq!(read_point(&attached).oldest, OldestTransaction::None);
    begin(&mut other);
    let OldestTransaction::Unknown { reason } = read_point(&attached).oldest else {
        panic!("the transaction of another user is hidden");
    };
    insta::assert_snapshot!(reason, @"transactions of other users are open and hidden: grant the role `pg_read_all_stats`");
    other.batch_execute("rollback").unwrap();
    assert_eq!(read_point(&attached).oldest, OldestTransaction::None);
}

#[test]
fn a_session_that_does_not_report_makes_the_oldest_unknown() {
    let fixture = PostgresFixture::new();
    fixture.fill_orders(5);
    let attached = Attached::new(fixture.connector());
    let mut silent = fixture.database().client();
    silent.batch_execute("set track_activities = off").unwrap();
    begin(&mut silent);
    assert!(matches!(
        read_point(&attached).oldest,
        OldestTransaction::Unknown { .. }
    ));
}

#[test]
fn a_prepared_transaction_holds_the_watermark() {
    let server = PostgresOptions::default()
        .with_setting("max_prepared_transactions", "2")
        .start()
        .unwrap();
    let database: Database<'_> = server.fresh_database();
    database.execute("create table orders (id integer, changed_at timestamp)");
    let attached = Attached::new(connect(&database.url()));
    database.execute("begin; insert into orders values (1, now()); prepare transaction 'two-phase'");
    assert!(matches!(
        read_point(&attached).oldest,
        OldestTransaction::Held { .. }
    ));
    database.execute("rollback prepared 'two-phase'");
    assert_eq!(read_point(&attached).oldest, OldestTransaction::None);
}

#[test]
fn a_database_that_subscribes_cannot_tell_its_oldest_transaction() {
    let server = PostgresOptions::default().start().unwrap();
    let database: Database<'_> = server.fresh_database();
    database.execute("create table orders (id integer, changed_at timestamp)");
    let attached = Attached::new(connect(&database.url()));
    database.execute(
        "create subscription news connection 'host=127.0.0.1 port=1 dbname=none' publication news with (connect = false)",
    );
    assert_eq!(read_point(&attached).oldest, OldestTransaction::None);
    database.execute("alter subscription news enable");
    let OldestTransaction::Unknown { reason } = read_point(&attached).oldest else {
        panic!("what a subscription applies was stamped elsewhere");
    };
    insta::assert_snapshot!(reason, @"the database subscribes to another one, whose transactions are applied with their own old stamps");
    database.execute("alter subscription news disable");
    database.execute("alter subscription news set (slot_name = none)");
    database.execute("drop subscription news");
    assert_eq!(read_point(&attached).oldest, OldestTransaction::None);
}

#[test]
fn the_clock_is_read_again_after_the_largest_number_was_seen() {
    let fixture = PostgresFixture::new();
    fixture.fill_orders(5);
    let attached = Attached::new(fixture.connector());
    let mut open = fixture.database().client();
    let began_at = begin(&mut open);
    let point = read_point(&attached);
    assert!(point.now > began_at && point.seen_at > point.now);
    open.batch_execute("rollback").unwrap();
    // Whoever begins now takes greater numbers.
    assert!(begin(&mut open) > point.seen_at);
}

#[test]
fn the_zone_of_the_server_is_told() {
    let fixture = PostgresFixture::new();
    fixture.fill_orders(5);
    assert_eq!(
        read_point(&Attached::new(fixture.connector())).zone_offset_micros,
        0
    );
    fixture.execute(&format!(
        "alter database {} set timezone = 'Asia/Kathmandu'",
        fixture.database().name()
    ));
    let point = read_point(&Attached::new(fixture.connector()));
    assert_eq!(point.time_zone.as_deref(), Some("Asia/Kathmandu"));
    assert_eq!(point.zone_offset_micros, (5 * 3_600 + 45 * 60) * 1_000_000);
    let clock: i64 = {
        let row = fixture.database().client().query_one(
            "select (extract(epoch from clock_timestamp()) * 1000000)::bigint",
            &[],
        );
        row.unwrap().get(0)
    };
    let apart = Timestamp::from_microsecond(clock)
        .unwrap()
        .duration_since(point.now);
    assert!(
        apart >= SignedDuration::ZERO && apart < SignedDuration::from_mins(5),
        "{apart}"
    );
}

#[test]
fn the_largest_integer_is_what_is_visible() {
    let fixture = PostgresFixture::new();
    fixture.fill_orders(20);
    let attached = Attached::new(fixture.connector());
    let table = TableName::new("public", "orders");
    let largest = || {
        let cursor = ("id", CursorType::Integer);
        let now = Timestamp::UNIX_EPOCH;
        attached
            .connector()
            .read_point(
                attached.session(),
                "outside",
                &Relation::from(&table),
                cursor,
                now,
            )
            .unwrap()
            .cursor_max
    };
    assert_eq!(largest(), Some(20));
    let mut writer = fixture.database().client();
    writer
        .batch_execute("begin; insert into orders (id) values (99)")
        .unwrap();
    assert_eq!(largest(), Some(20));
    writer.batch_execute("commit").unwrap();
    assert_eq!(largest(), Some(99));
    fixture.execute("truncate orders");
    assert_eq!(largest(), None);
}
