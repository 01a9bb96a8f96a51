//! SQLite → lake → SQLite, and values that one of them would change in silence.

use insta::assert_snapshot;
use pintail_sync::report::Failure;
use pintail_testkit::PostgresServer;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::journey::{Journey, LAKE};

/// What a number is refused with, by runs that compare nothing as well.
#[track_caller]
fn refused(declared: &str, value: &str) -> String {
    let (database, journey) = (PostgresServer::shared().fresh_database(), Journey::new());
    database.execute(&format!(
        "create table orders (id int primary key, v {declared}); insert into orders values (1, {value}), (2, 0), (3, null)"
    ));
    let mut request = journey.request(&database.url(), "sqlite:copy.sqlite?table=orders");
    request.parity = false;
    let run = pintail_sync::run(
        &request,
        &pintail_sync::Unwatched,
        &pintail_sync::StopSignal::new(),
    );
    let error = run.expect_err("it is refused");
    format!("{:?}: {}", error.kind(), Failure::of(&error).message)
}

#[test]
fn numbers_that_sqlite_would_change_are_refused() {
    assert_snapshot!(refused("float8", "'NaN'"), @r#"Data: cannot commit partition `all`: column `v` of table "orders" holds NaN, which SQLite cannot hold"#);
    assert_snapshot!(refused("float8", "'-0'"), @r#"Data: cannot commit partition `all`: column `v` of table "orders" holds -0.0, of which SQLite would make 0"#);
    assert_snapshot!(refused("real", "'-0'"), @r#"Data: cannot commit partition `all`: column `v` of table "orders" holds -0.0, of which SQLite would make 0"#);
}

/// Declared types, and values of them as SQLite's own literals.
fn types() -> Vec<(&'static str, BoxedStrategy<String>)> {
    let day = "(000[1-9]|[1-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])";
    let time = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";
    let of = |pattern: &str| {
        let strategy = proptest::string::string_regex(pattern).expect("a pattern");
        strategy.prop_map(|text| quoted(&text))
    };
    let double = || prop::num::f64::NORMAL.prop_map(|number| format!("{number:e}"));
    vec![
        ("boolean", (0..=1_i64).prop_map(|bit| bit.to_string()).boxed()),
        ("integer", any::<i64>().prop_map(integer).boxed()),
        ("tinyint", any::<i64>().prop_map(integer).boxed()),
        ("unsigned big int", any::<i64>().prop_map(integer).boxed()),
        ("double precision", double().boxed()),
        (
            "decimal(15,4)",
            (-99_999_999_999_i64..=99_999_999_999, 0..10_000)
                .prop_map(|(whole, part)| format!("{whole}.{part:04}"))
                .boxed(),
        ),
        (
            "numeric(18)",
            (-999_999_999_999_999_999..=999_999_999_999_999_999_i64)
                .prop_map(|number| number.to_string())
                .boxed(),
        ),
        (
            "varchar(20)",
            any::<String>().prop_map(|text| quoted(&text)).boxed(),
        ),
        (
            "text",
            prop_oneof![
                any::<String>().prop_map(|text| quoted(&text)),
                Just("''".to_owned())
            ]
            .boxed(),
        ),
        (
            "blob",
            prop::collection::vec(any::<u8>(), 0..40)
                .prop_map(|bytes| {
                    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                    format!("x'{digits}'")
                })
                .boxed(),
        ),
        ("date", of(day).boxed()),
        ("time", of(&format!("{time}[.][0-9]{{5}}[1-9]")).boxed()),
        (
            "datetime",
            of(&format!("{day} {time}([.][0-9]{{0,5}}[1-9])?")).boxed(),
        ),
        (
            "timestamp with time zone",
            of(&format!("{day} {time}[+]00")).boxed(),
        ),
        (
            "uuid",
            of("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").boxed(),
        ),
        (
            "json",
            any::<i32>()
                .prop_map(|number| format!("'{{\"a\": [{number}, null], \"a\": 1.0}}'"))
                .boxed(),
        ),
    ]
}

fn integer(number: i64) -> String {
    match number {
        // Its digits without the sign are one too many for a literal.
        i64::MIN => "(-9223372036854775807 - 1)".to_owned(),
        number => number.to_string(),
    }
}

fn quoted(text: &str) -> String {
    // A zero byte ends a text of SQLite.
    format!("'{}'", text.replace('\0', "").replace('\'', "''"))
}

#[test]
fn values_of_every_declared_type_come_back_from_a_lake_as_they_were() {
    let types = types();
    let row = types
        .iter()
        .map(|(_, value)| prop::option::weighted(0.9, value.clone()))
        .collect::<Vec<_>>();
    let mut runner = TestRunner::new(Config {
        cases: 8,
        max_shrink_iters: 8,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&prop::collection::vec(row, 60), |rows| {
            there_and_back(&types, &rows);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

fn there_and_back(types: &[(&'static str, BoxedStrategy<String>)], rows: &[Vec<Option<String>>]) {
    let columns: Vec<String> = types
        .iter()
        .enumerate()
        .map(|(index, (declared, _))| format!("c{index} {declared}"))
        .collect();
    let values: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(id, row)| {
            let cells: Vec<&str> = row.iter().map(|cell| cell.as_deref().unwrap_or("null")).collect();
            format!("({id}, {})", cells.join(", "))
        })
        .collect();
    let journey = Journey::new();
    let made = format!(
        "create table orders (id integer primary key, {}); insert into orders values {}",
        columns.join(", "),
        values.join(", ")
    );
    let source = rusqlite::Connection::open(journey.path("from.sqlite")).expect("a file");
    source
        .execute_batch(&made)
        .unwrap_or_else(|error| panic!("{made}: {error}"));
    journey.copy("sqlite:from.sqlite", LAKE, &[]);
    journey.copy(LAKE, "sqlite:back.sqlite", &[]);
    journey.copy("sqlite:from.sqlite", "sqlite:over.sqlite", &[]);
    for copy in ["back.sqlite", "over.sqlite"] {
        let copied = rusqlite::Connection::open(journey.path(copy)).expect("a file");
        for (index, (declared, _)) in types.iter().enumerate() {
            assert_eq!(
                shown(&source, index, declared),
                shown(&copied, index, declared),
                "{declared} in {copy}"
            );
        }
    }
}

/// A column as SQLite itself writes it. Numbers of more digits than a float has become texts.
fn shown(file: &rusqlite::Connection, index: usize, declared: &str) -> Vec<Option<String>> {
    let value = match declared {
        "numeric(18)" => format!("cast(c{index} as text)"),
        _ => format!("quote(c{index})"),
    };
    let sql = format!("select {value} from orders order by id");
    let mut statement = file.prepare(&sql).expect("a query");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

#[test]
fn the_year_0_is_refused_and_not_moved() {
    let refused = |declared: &str, value: &str| {
        let journey = Journey::new();
        let file = rusqlite::Connection::open(journey.path("from.sqlite")).expect("a file");
        let made = format!(
            "create table orders (id integer primary key, v {declared}); insert into orders values (1, '{value}')"
        );
        file.execute_batch(&made).expect("a table");
        let error = journey
            .try_copy("sqlite:from.sqlite", LAKE, &[])
            .expect_err("it is refused");
        journey.copy("sqlite:from.sqlite", LAKE, &["v".to_owned()]);
        crate::served::described(&error)
    };
    const REFUSED: &str =
        "cannot read column `v` of table \"main.orders\", partition `all`: a value has no lossless home";
    assert!(refused("date", "0000-03-01").starts_with(REFUSED));
    assert!(refused("timestamp", "0000-03-01 10:00:00").starts_with(REFUSED));
    assert!(refused("timestamptz", "0000-03-01 10:00:00+00").starts_with(REFUSED));
}
