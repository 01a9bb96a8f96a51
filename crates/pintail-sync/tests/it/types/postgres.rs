//! Postgres → lake.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use pintail_lake::{Access, Call, Engine, EngineSettings, Lake};
use pintail_sync::report::ParityStatus;

use super::values::{Shown, Type, types};
use crate::postgres::Copy;

const MADE: &str = "create type mood as enum ('sad', 'ok'); create type pair as (a integer, b text); \
                    create domain amount as numeric(12,2);";

#[test]
fn values_of_every_type_arrive_in_the_lake_as_postgres_shows_them() {
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
            copied(&types, &rows);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

fn copied(types: &[Type], rows: &[Vec<Option<String>>]) {
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
    let copy = Copy::new(&format!(
        "{MADE} create table orders (id integer primary key, {}); insert into orders values {}",
        columns.join(", "),
        values.join(", ")
    ));
    assert_eq!(copy.run().parity.status, ParityStatus::Ok);

    let mut client = copy.database.client();
    client.batch_execute("set timezone = 'UTC'").expect("a setting");
    let engine = Engine::open(&EngineSettings::default()).expect("an engine");
    let lake = Lake::attach(&engine, &copy.lake(), Access::ReadOnly).expect("the lake is there");
    let session = lake.session().expect("a session");
    for (index, of) in types.iter().enumerate() {
        let name = format!("c{index}");
        let sql = format!("select {} from orders order by id", in_postgres(of.shown, &name));
        let source: Vec<Option<String>> = client
            .query(&sql, &[])
            .expect("the source is read")
            .iter()
            .map(|row| row.get(0))
            .collect();
        let sql = format!(
            "select {} from lake.main.orders order by id",
            in_lake(of.shown, &name)
        );
        let found = session
            .query(Call::new("read the lake"), &sql)
            .expect("the lake is read");
        for (source, found) in source.iter().zip(&found) {
            let found = found.text(0);
            assert_eq!(
                source.as_deref().map(|text| comparable(of.shown, text)),
                found.map(|text| comparable(of.shown, text)),
                "{}: {source:?} became {found:?}",
                of.declared
            );
        }
        assert_eq!(source.len(), found.len());
    }
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
