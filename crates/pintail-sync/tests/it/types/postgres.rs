//! Postgres → lake → Postgres, and Postgres → Postgres.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::{Access, Call, Engine, EngineSettings, Lake};
use pintail_testkit::{Database, PostgresServer};

use super::values::{Shown, Type, types};
use crate::journey::{Journey, LAKE};

const MADE: &str = "create type mood as enum ('sad', 'ok'); create type pair as (a integer, b text); \
                    create domain amount as numeric(12,2);";

#[test]
fn values_of_every_type_go_to_a_lake_and_come_back_as_postgres_shows_them() {
    let types = types();
    let row = types
        .iter()
        .map(|of| prop::option::weighted(0.9, of.value.clone()))
        .collect::<Vec<_>>();
    let mut runner = TestRunner::new(Config {
        cases: 4,
        max_shrink_iters: 8,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&prop::collection::vec(row, 25), |rows| {
            there_and_back(&types, &rows);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

fn there_and_back(types: &[Type], rows: &[Vec<Option<String>>]) {
    let columns: Vec<String> = types
        .iter()
        .enumerate()
        .map(|(index, of)| format!("c{index} {}", of.declared))
        .collect();
    let values: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(id, row)| {
            let cell = |(cell, of): (&Option<String>, &Type)| match cell {
                Some(value) => format!("({value})::{}", of.declared),
                None => "null".to_owned(),
            };
            let cells: Vec<String> = row.iter().zip(types).map(cell).collect();
            format!("({id}, {})", cells.join(", "))
        })
        .collect();
    let server = PostgresServer::shared();
    let (source, back, over) = (
        server.fresh_database(),
        server.fresh_database(),
        server.fresh_database(),
    );
    source.execute(&format!(
        "{MADE} create table orders (id integer primary key, {}); insert into orders values {}",
        columns.join(", "),
        values.join(", ")
    ));
    over.execute(MADE);
    let journey = Journey::new();
    journey.copy(&source.url(), LAKE, &[]);
    journey.copy(LAKE, &back.url(), &[]);
    journey.copy(&source.url(), &over.url(), &[]);

    let lake = in_the_lake(&journey, types);
    for (index, of) in types.iter().enumerate() {
        let wanted = column(&source, index, of);
        for (place, found) in [
            ("the lake", lake[index].clone()),
            ("the database behind the lake", column(&back, index, of)),
            ("another database", column(&over, index, of)),
        ] {
            assert_eq!(wanted, found, "{} in {place}", of.declared);
        }
        // Between two databases a type stays what it is, also one that somebody made.
        assert_eq!(type_of(&source, index), type_of(&over, index));
    }
}

/// What a database shows of a column.
fn column(database: &Database<'_>, index: usize, of: &Type) -> Vec<Option<String>> {
    let mut client = database.client();
    client.batch_execute("set timezone = 'UTC'").expect("a setting");
    let shown = in_postgres(of.shown, &format!("c{index}"));
    let rows = client.query(&format!("select {shown} from orders order by id"), &[]);
    rows.expect("the table is read")
        .iter()
        .map(|row| row.get::<_, Option<String>>(0))
        .map(|text| text.map(|text| comparable(of.shown, &text)))
        .collect()
}

fn type_of(database: &Database<'_>, index: usize) -> String {
    let sql = format!(
        "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'orders'::regclass and attname = 'c{index}'"
    );
    let row = database.client().query_one(&sql, &[]);
    row.expect("a column").get(0)
}

/// The columns of the lake.
fn in_the_lake(journey: &Journey, types: &[Type]) -> Vec<Vec<Option<String>>> {
    let place = Location::parse(LAKE, &journey.path("")).unwrap_or_else(|error| panic!("{error}"));
    let location = registry::lake_location(&place.datastore).expect("a lake");
    let engine = Engine::open(&EngineSettings::default()).expect("an engine");
    let lake = Lake::attach(&engine, &location, Access::ReadOnly).expect("the lake is there");
    let session = lake.session().expect("a session");
    let column = |(index, of): (usize, &Type)| -> Vec<Option<String>> {
        let shown = in_lake(of.shown, &format!("c{index}"));
        let sql = format!("select {shown} from lake.main.orders order by id");
        let rows = session.query(Call::new("read the lake"), &sql);
        rows.expect("the lake is read")
            .iter()
            .map(|row| row.text(0).map(|text| comparable(of.shown, text)))
            .collect()
    };
    types.iter().enumerate().map(column).collect()
}

fn in_postgres(shown: Shown, column: &str) -> String {
    match shown {
        Shown::List(_) => format!("array_to_json({column}::text[])::text"),
        _ => format!("{column}::text"),
    }
}

fn in_lake(shown: Shown, column: &str) -> String {
    match shown {
        Shown::Bytes => format!(r"'\x' || lower(hex({column}))"),
        Shown::List(Shown::Bytes) => {
            format!(r"to_json(list_transform({column}, lambda x: '\x' || lower(hex(x))))::varchar")
        }
        Shown::List(_) => format!("to_json({column}::varchar[])::varchar"),
        _ => format!("{column}::varchar"),
    }
}

/// A text that is the same for the same value of either side.
fn comparable(shown: Shown, text: &str) -> String {
    match shown {
        Shown::Text | Shown::Bytes => text.to_owned(),
        Shown::Single => {
            let number: f32 = text.parse().expect("a number");
            comparable(Shown::Double, &f64::from(number).to_string())
        }
        Shown::Double => {
            let number: f64 = text.parse().expect("a number");
            if number.is_nan() {
                "NaN".to_owned()
            } else {
                format!("{:x}", number.to_bits())
            }
        }
        Shown::Time => {
            let era = if text.contains("BC") { " BC" } else { "" };
            format!("{}{era}", text.replace(" (BC)", "").replace(" BC", ""))
        }
        Shown::List(element) => {
            let elements: Vec<Option<String>> = serde_json::from_str(text).expect("a list of texts");
            let elements: Vec<Option<String>> = elements
                .into_iter()
                .map(|element_text| element_text.map(|text| comparable(*element, &text)))
                .collect();
            format!("{elements:?}")
        }
    }
}
