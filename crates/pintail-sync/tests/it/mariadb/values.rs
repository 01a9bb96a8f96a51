//! Values of every kind of column come through unchanged: between two databases of MariaDB, over a lake, and from Postgres
//! and back.

use mysql::prelude::Queryable;
use pintail_sync::{StopSignal, Unwatched};
use pintail_testkit::PostgresServer;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Pair, types};

/// A type of MariaDB, and values of it.
struct Kind {
    declared: &'static str,
    value: BoxedStrategy<String>,
}

fn kind(declared: &'static str, value: impl Strategy<Value = String> + 'static) -> Kind {
    Kind {
        declared,
        value: value.boxed(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}

fn text(letters: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::collection::vec(any::<char>(), 0..letters).prop_map(String::from_iter),
        2 => "[a \\\\'\"`%_\n\0\u{1a}NUL]{0,8}",
    ]
    .prop_map(move |text| text.chars().take(letters).collect::<String>())
    .prop_map(|text| format!("convert({} using utf8mb4)", hex(text.as_bytes())))
}

fn bytes(most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(any::<u8>(), 0..most).prop_map(|bytes| hex(&bytes))
}

fn number(pattern: &str) -> impl Strategy<Value = String> + use<> {
    proptest::string::string_regex(pattern)
        .expect("a pattern")
        .prop_map(|digits| format!("'{digits}'"))
}

fn choice(values: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(values).prop_map(str::to_owned)
}

fn time() -> impl Strategy<Value = String> {
    (0_u64..86_400_000_000).prop_map(|micros| {
        let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
        format!(
            "{:02}:{:02}:{:02}.{rest:06}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    })
}

fn day(years: std::ops::RangeInclusive<u32>) -> impl Strategy<Value = String> {
    (years, 1_u32..=12, 1_u32..=28).prop_map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"))
}

fn kinds() -> Vec<Kind> {
    let quoted = |text: String| format!("'{text}'");
    vec![
        kind("tinyint", any::<i8>().prop_map(|value| value.to_string())),
        kind("tinyint(1)", any::<i8>().prop_map(|value| value.to_string())),
        kind(
            "tinyint unsigned",
            any::<u8>().prop_map(|value| value.to_string()),
        ),
        kind("smallint", any::<i16>().prop_map(|value| value.to_string())),
        kind(
            "smallint unsigned",
            any::<u16>().prop_map(|value| value.to_string()),
        ),
        kind(
            "mediumint",
            (-8_388_608_i32..=8_388_607).prop_map(|value| value.to_string()),
        ),
        kind(
            "mediumint unsigned",
            (0_u32..=16_777_215).prop_map(|value| value.to_string()),
        ),
        kind("int", any::<i32>().prop_map(|value| value.to_string())),
        kind(
            "int(7) unsigned zerofill",
            any::<u32>().prop_map(|value| value.to_string()),
        ),
        kind("bigint", any::<i64>().prop_map(|value| value.to_string())),
        kind(
            "bigint unsigned",
            any::<u64>().prop_map(|value| value.to_string()),
        ),
        kind(
            "float",
            prop::num::f32::NORMAL.prop_map(|value| format!("{:e}", f64::from(value))),
        ),
        kind(
            "double",
            (prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL).prop_map(|value| format!("{value:e}")),
        ),
        kind("decimal(12,2)", number("-?[0-9]{1,10}[.][0-9]{2}")),
        kind("decimal(38,10)", number("-?[0-9]{1,28}[.][0-9]{1,10}")),
        kind("decimal(65,30)", number("-?[0-9]{1,35}[.][0-9]{1,30}")),
        kind("bit(1)", choice(&["b'0'", "b'1'"])),
        kind("bit(9)", (0_u16..512).prop_map(|value| value.to_string())),
        kind("bit(64)", any::<u64>().prop_map(|value| value.to_string())),
        kind("varchar(20)", text(20)),
        kind(
            "varchar(9) character set latin1",
            choice(&["'Straße'", "''", "'a '"]),
        ),
        kind("char(5)", choice(&["'ab'", "''", "'数'"])),
        kind("tinytext", text(60)),
        kind("longtext", text(300)),
        kind(
            "enum('sad','it''s, ok','back\\\\slash')",
            choice(&["'sad'", "2", "3"]),
        ),
        kind("set('a','b','c')", choice(&["''", "'a'", "'c,a'"])),
        kind("binary(4)", bytes(4)),
        kind("varbinary(40)", bytes(40)),
        kind("longblob", bytes(300)),
        kind(
            "point",
            (any::<i16>(), any::<i16>()).prop_map(|(x, y)| format!("point({x}, {y})")),
        ),
        kind("date", day(1..=9999).prop_map(quoted)),
        kind(
            "datetime",
            day(1..=9999).prop_map(|day| format!("'{day} 23:59:59'")),
        ),
        kind(
            "datetime(6)",
            (day(1..=9999), time()).prop_map(|(day, time)| format!("'{day} {time}'")),
        ),
        kind(
            "timestamp(6) null",
            (day(1971..=2037), time()).prop_map(|(day, time)| format!("'{day} {time}'")),
        ),
        kind("time", choice(&["'00:00:00'", "'23:59:59'"])),
        kind("time(6)", time().prop_map(quoted)),
        kind("year", choice(&["0", "1901", "2155"])),
        kind(
            "inet6",
            any::<u128>().prop_map(|value| format!("'{}'", std::net::Ipv6Addr::from(value))),
        ),
        kind("uuid", any::<u128>().prop_map(|value| format!("'{value:032x}'"))),
        kind(
            "json",
            choice(&[
                "'null'",
                "'{\"a\" :  1, \"a\": [null, 1.0, \"\\\\u00e4 ü\"]}'",
                "'\"x\\\\\\\\\"'",
            ]),
        ),
    ]
}

/// A table with a column of each kind, and rows of random values.
fn orders(kinds: &[Kind], rows: &[Vec<Option<String>>]) -> String {
    let columns: Vec<String> = kinds
        .iter()
        .enumerate()
        .map(|(index, kind)| format!("c{index} {}", kind.declared))
        .collect();
    let values: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(id, row)| {
            let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "null".to_owned());
            let cells: Vec<String> = row.iter().map(cell).collect();
            format!("({id}, {})", cells.join(", "))
        })
        .collect();
    format!(
        "set sql_mode = 'STRICT_ALL_TABLES'; create table orders (id int primary key, {}) default charset = utf8mb4; \
         insert into orders values {}",
        columns.join(", "),
        values.join(", ")
    )
}

fn each_table(kinds: &[Kind], rows: usize, check: impl Fn(String)) {
    let row = kinds
        .iter()
        .map(|kind| prop::option::weighted(0.9, kind.value.clone()))
        .collect::<Vec<_>>();
    let mut runner = TestRunner::new(Config {
        cases: 3,
        max_shrink_iters: 8,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&prop::collection::vec(row, rows), |rows| {
            check(orders(kinds, &rows));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn values_of_every_type_of_mariadb_come_through_with_their_types() {
    each_table(&kinds(), 40, |statements| {
        let pair = Pair::mariadb(&statements);
        pair.run(None);
        pair.assert_equal();
        // The second time the table is there, and its rows are exchanged.
        pair.run(Some("full"));
        pair.assert_equal();
    });
}

#[test]
fn values_and_types_of_mariadb_come_back_from_a_lake() {
    // What needs a carrier has none to a lake.
    let kinds: Vec<Kind> = kinds()
        .into_iter()
        .filter(|kind| kind.declared != "decimal(65,30)")
        .collect();
    each_table(&kinds, 40, |statements| {
        let pair = Pair::mariadb(&statements);
        let lake = "ducklake:sqlite:lake.sqlite?data_path=lake";
        pair.copied(&pair.source.url(), &format!("{lake}&table=orders"));
        pair.copied(lake, &pair.place());
        pair.assert_equal();
    });
}

/// Types of Postgres that come back as the same types, and the text in which a value is compared.
const THERE_AND_BACK: &[(&str, &str)] = &[
    ("boolean", "(i % 3 = 0)"),
    ("smallint", "(i * 7919 % 65536 - 32768)::int"),
    ("integer", "(i * 2147483 - 2000000000)::int"),
    ("bigint", "(9223372036854775807 - i * 3)"),
    ("real", "(1.1::real * i - 7)"),
    ("double precision", "(1.1::float8 / (i + 1))"),
    ("numeric(12,2)", "(i * 1.01 - 500)"),
    ("numeric(38,10)", "(i * 1234567890123456789.0123456789)"),
    ("text", r"(E'tab\t \\ '' \n \u0001 🦆 ' || i || ' ')"),
    (
        "bytea",
        r"(decode(lpad(to_hex(i * 997), 6, '0'), 'hex') || '\x00275c'::bytea)",
    ),
    ("date", "(date '0001-01-01' + (i * 36500 % 3652058)::int)"),
    ("time", "(time '00:00' + i * interval '431.000001 s')"),
    (
        "timestamp",
        "(timestamp '0001-01-01' + i * interval '1560000001.000001 s')",
    ),
    (
        "timestamptz",
        "(timestamptz '0001-01-01 UTC' + i * interval '1560000001.000001 s')",
    ),
    (
        "uuid",
        "(overlay(overlay(md5(i::text) placing '4' from 13) placing 'a' from 17)::uuid)",
    ),
    (
        "json",
        r#"(('{"a" :  ' || i || ', "a": [null, 1.0, "\\ü"]}')::json)"#,
    ),
];

#[test]
fn values_and_types_of_postgres_come_back_from_mariadb() {
    let columns: Vec<String> = THERE_AND_BACK
        .iter()
        .enumerate()
        .map(|(index, (declared, value))| format!("nullif({value}::text, case when i % 11 = {index} then {value}::text end)::{declared} as c{index}"))
        .collect();
    let statements = format!(
        "create table orders as select i::int as id, {} from generate_series(0, 200) as numbers (i); \
         alter table orders add primary key (id); analyze orders",
        columns.join(", ")
    );
    let pair = Pair::postgres(&statements);
    pair.run(None);
    let back = PostgresServer::shared().fresh_database();
    pair.copied(&pair.target.url(), &format!("{}?table=public.orders", back.url()));
    let super::From::Postgres(source) = &pair.source else {
        panic!("the source is Postgres");
    };
    let shown = |database: &pintail_testkit::Database<'_>, sql: &str| -> Vec<String> {
        let rows = database.client().query(sql, &[]).expect("a table");
        rows.iter().map(|row| row.get(0)).collect()
    };
    let of_columns = "select attname || ' ' || format_type(atttypid, atttypmod) from pg_attribute \
                      where attrelid = 'orders'::regclass and attnum > 0 order by attnum";
    assert_eq!(shown(source, of_columns), shown(&back, of_columns));
    let rows = "select o::text from orders as o order by id";
    assert_eq!(shown(source, rows), shown(&back, rows));
}

#[test]
fn a_lax_server_changes_nothing() {
    let server = pintail_testkit::MariaDbOptions::default()
        .with_setting("sql-mode", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT")
        .with_setting("default-time-zone", "+05:00")
        .with_setting("character-set-server", "latin1")
        .with_setting("transaction-isolation", "READ-COMMITTED")
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let pair = Pair::postgres(
        r"create table orders (id int primary key, t text, at timestamptz not null default '2024-01-01 12:00:00.000001+00');
          insert into orders (id, t) values (1, E'back\\slash '' '), (2, '🦆'), (3, null); analyze orders",
    );
    server.create_database("lax");
    let request = pair.request("orders", &format!("{}?table=orders", server.url("lax")), None);
    pintail_sync::run(&request, &Unwatched, &StopSignal::new())
        .unwrap_or_else(|error| panic!("{}", crate::served::described(&error)));
    let mut client = server.client("lax");
    let rows: Vec<(i32, Option<String>, String)> = client
        .query("select id, t, cast(`at` as char) from orders order by id")
        .expect("a table");
    let at = || "2024-01-01 12:00:00.000001".to_owned();
    assert_eq!(
        rows,
        [
            (1, Some("back\\slash ' ".to_owned()), at()),
            (2, Some("🦆".to_owned()), at()),
            (3, None, at())
        ]
    );
}

#[test]
fn a_value_that_no_statement_can_hold_is_named_and_one_below_comes_through() {
    let server = pintail_testkit::MariaDbOptions::default()
        .with_setting("max-allowed-packet", "4M")
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    server.create_database("small");
    let place = format!("{}?table=orders", server.url("small"));
    let pair = Pair::postgres(
        "create table orders (id int primary key, t text, b bytea);
         insert into orders values (1, repeat('''', 1900000), null), (2, null, decode(repeat('00', 1900000), 'hex')), (3, repeat('x', 3800000), null);
         analyze orders",
    );
    let run = || {
        pintail_sync::run(
            &pair.request("orders", &place, None),
            &Unwatched,
            &StopSignal::new(),
        )
    };
    run().unwrap_or_else(|error| panic!("{}", crate::served::described(&error)));
    let lengths: Option<String> = server
        .client("small")
        .query_first("select group_concat(ifnull(length(t), length(b)) order by id) from orders")
        .expect("a table");
    assert_eq!(lengths.as_deref(), Some("1900000,1900000,3800000"));
    pair.source
        .execute("update orders set t = repeat('''', 2200000) where id = 1");
    let error = run().expect_err("it is too long");
    insta::assert_snapshot!(pintail_sync::report::Failure::of(&error).message, @r#"cannot commit partition `all`: a row for table "small.orders" takes 4400064 bytes in a statement, and `max_allowed_packet` of the server is 4194304"#);
}

#[test]
fn the_comment_of_instants_is_known_again() {
    let pair = Pair::postgres(
        "create table orders (id int primary key, at timestamptz, plain timestamp);
         insert into orders values (1, '2100-01-01 00:00:00.000001+00', '2100-01-01'); analyze orders",
    );
    pair.run(None);
    insta::assert_snapshot!(types(&pair.target), @"id int(11)!, at datetime(6), plain datetime(6)");
    assert_eq!(
        pair.ask("select group_concat(column_comment order by ordinal_position) from information_schema.columns where table_schema = database() and table_name = 'orders'"),
        ",instants in UTC,"
    );
    // The table fits a second time.
    let report = pair.run(Some("full"));
    assert_eq!((report.rows_deleted, report.rows_inserted), (1, 1));
}
