//! The clock and the oldest open transaction. Transactions belong to a server: each test has one of its own.

use jiff::{SignedDuration, Timestamp};
use mysql::Conn;
use mysql::prelude::Queryable;
use pintail_lake::connector::{OldestTransaction, ReadPoint};
use pintail_model::{CursorType, TableName};
use pintail_testkit::conformance::Attached;
use pintail_testkit::{MariaDbDatabase, MariaDbOptions, MariaDbServer};

use super::fixture::connect;

fn orders(server: &MariaDbServer) -> MariaDbDatabase<'_> {
    let database = server.fresh_database();
    database.execute(
        "create table orders (id int primary key, changed_at datetime(6)); insert into orders values (20, now(6))",
    );
    database
}

fn read_point(attached: &Attached, database: &MariaDbDatabase<'_>, cursor: (&str, CursorType)) -> ReadPoint {
    let table = TableName::new(database.name(), "orders");
    attached
        .connector()
        .read_point(
            attached.session(),
            "outside",
            &table.into(),
            cursor,
            Timestamp::UNIX_EPOCH,
        )
        .unwrap()
}

const TIME: (&str, CursorType) = ("changed_at", CursorType::Timestamp);

/// Begins a transaction that has read, and returns the server's clock before it.
fn begin(client: &mut Conn) -> Timestamp {
    let now = "select timestampdiff(microsecond, '1970-01-01', utc_timestamp(6))";
    let micros: i64 = client.query_first(now).unwrap().unwrap();
    client
        .query_drop("start transaction; select count(*) from orders")
        .unwrap();
    Timestamp::from_microsecond(micros).unwrap()
}

#[test]
fn the_oldest_open_transaction_is_found_even_if_it_only_read() {
    let server = MariaDbServer::start().unwrap();
    let database = orders(&server);
    let attached = Attached::new(connect(&database.url()));
    assert_eq!(
        read_point(&attached, &database, TIME).oldest,
        OldestTransaction::None
    );

    let mut open = database.client();
    let before = begin(&mut open);
    let point = read_point(&attached, &database, TIME);
    let OldestTransaction::At(began_at) = point.oldest else {
        panic!("a transaction is open: {point:?}");
    };
    // InnoDB knows the second.
    let apart = before.duration_since(began_at);
    assert!(apart.abs() <= SignedDuration::from_secs(1), "{apart}");
    assert!(point.now >= before && point.seen_at >= point.now);

    open.query_drop("rollback").unwrap();
    assert_eq!(
        read_point(&attached, &database, TIME).oldest,
        OldestTransaction::None
    );
}

#[test]
fn without_the_right_to_see_transactions_the_oldest_is_unknown() {
    let server = MariaDbServer::start().unwrap();
    let database = orders(&server);
    server.create_user("o'dd@reader", "reads");
    database.execute(
        "grant select on orders to \"o'dd@reader\""
            .replace('"', "`")
            .as_str(),
    );
    let attached = Attached::new(connect(&database.url_as("o'dd@reader", "reads")));
    let OldestTransaction::Unknown { reason } = read_point(&attached, &database, TIME).oldest else {
        panic!("transactions of other users are hidden");
    };
    insta::assert_snapshot!(reason, @"transactions of other users are hidden: grant the user PROCESS");
    database.execute("grant process on *.* to `o'dd@reader`");
    let attached = Attached::new(connect(&database.url_as("o'dd@reader", "reads")));
    assert_eq!(
        read_point(&attached, &database, TIME).oldest,
        OldestTransaction::None
    );
}

#[test]
fn a_prepared_transaction_counts_from_its_begin() {
    let server = MariaDbServer::start().unwrap();
    let database = orders(&server);
    let attached = Attached::new(connect(&database.url()));
    let mut writer = database.client();
    writer
        .query_drop("xa start 'two-phase'; insert into orders values (7, now(6)); xa end 'two-phase'; xa prepare 'two-phase'")
        .unwrap();
    assert_ne!(
        read_point(&attached, &database, TIME).oldest,
        OldestTransaction::None
    );
    // The session that began it is gone, and nobody knows any more when that was.
    drop(writer);
    let oldest = read_point(&attached, &database, TIME).oldest;
    assert!(
        !matches!(
            oldest,
            OldestTransaction::None | OldestTransaction::Unknown { .. }
        ),
        "{oldest:?}"
    );
    database.execute("xa rollback 'two-phase'");
    assert_eq!(
        read_point(&attached, &database, TIME).oldest,
        OldestTransaction::None
    );
}

#[test]
fn the_zone_of_the_server_is_told_and_instants_are_those_of_utc() {
    let server = MariaDbOptions::default()
        .with_setting("default-time-zone", "+05:45")
        .start()
        .unwrap();
    let database = orders(&server);
    database.execute(
        "create table stamps (id int primary key, at timestamp(6) not null); \
         insert into stamps values (1, '2024-06-01 05:45:00.000001')",
    );
    let attached = Attached::new(connect(&database.url()));
    let point = read_point(&attached, &database, TIME);
    assert_eq!(point.zone_offset_micros, (5 * 3_600 + 45 * 60) * 1_000_000);
    assert_eq!(point.time_zone.as_deref(), Some("+05:45"));
    let stamps = attached.request("stamps", pintail_model::Range::Whole);
    let sql = attached.connector().scan("outside", &stamps).sql;
    let rows = attached.reading(|session| {
        let call = pintail_lake::Call::new("read stamps");
        session.query(call, &format!("select \"at\"::varchar from ({sql})"))
    });
    assert_eq!(rows.unwrap()[0].text(0), Some("2024-06-01 00:00:00.000001+00"));
}

#[test]
fn the_largest_integer_is_what_is_visible() {
    let server = MariaDbServer::start().unwrap();
    let database = orders(&server);
    let attached = Attached::new(connect(&database.url()));
    let largest = || read_point(&attached, &database, ("id", CursorType::Integer)).cursor_max;
    assert_eq!(largest(), Some(20));
    let mut writer = database.client();
    writer
        .query_drop("start transaction; insert into orders (id) values (99)")
        .unwrap();
    assert_eq!(largest(), Some(20));
    writer.query_drop("commit").unwrap();
    assert_eq!(largest(), Some(99));
    database.execute("truncate table orders");
    assert_eq!(largest(), None);
}
