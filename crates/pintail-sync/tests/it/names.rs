//! Hostile names of schemas, tables and columns on the way between any two systems.

use std::cell::Cell;

use pintail_model::TableName;
use pintail_sync::report::ParityStatus;
use pintail_sync::{DataFolders, StopSignal, Unwatched};
use pintail_testkit::{Database, MariaDbDatabase, MariaDbServer, PostgresServer, S3Bucket, S3Server};

use crate::journey::Journey;

const SYSTEMS: [&str; 7] = ["postgres", "mysql", "sqlite", "duckdb", "ducklake", "files", "s3"];

/// Names that all systems take, the last one as long as the shortest limit allows.
const COLUMNS: [&str; 11] = [
    "select",
    "Größe 数",
    "a.b",
    "it's",
    "say \"hi\"",
    "back`tick",
    "back\\slash",
    "per%cent?",
    "-- no",
    "{0} $1 :x",
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
];
const TABLE: &str = "Or.ders ä 'q' \"&# %41";
const SCHEMA: &str = "sche.ma \"s\" ' ü";

struct Places {
    journey: Journey,
    postgres: Database<'static>,
    mysql: MariaDbDatabase<'static>,
    bucket: S3Bucket,
    runs: Cell<u32>,
}

impl Places {
    fn new() -> Self {
        Self {
            journey: Journey::new(),
            postgres: PostgresServer::shared().fresh_database(),
            mysql: MariaDbServer::shared().fresh_database(),
            bucket: S3Server::shared().fresh_bucket(),
            runs: Cell::new(0),
        }
    }

    fn address(&self, system: &str, role: &str) -> String {
        match system {
            "postgres" => self.postgres.url(),
            "mysql" => self.mysql.url(),
            "sqlite" => format!("sqlite:{role}.sqlite"),
            "duckdb" => format!("duckdb:{role}.duckdb"),
            "ducklake" => format!("ducklake:sqlite:{role}_lake.sqlite?data_path={role}_lake"),
            "files" => format!("files:{role}_files/"),
            "s3" => format!(
                "{}?{}",
                self.bucket.url(&format!("{role}/")),
                self.bucket.parameters("")
            ),
            other => panic!("{other} is no system of this test"),
        }
    }

    fn copy(&self, from: &str, table: &TableName, to: &str, copied: &TableName) {
        let number = self.runs.get();
        self.runs.set(number + 1);
        let mut request = self.journey.request(from, to);
        request.spec.source.table = table.clone();
        request.spec.destination.table = copied.clone();
        request.data = DataFolders::below(self.journey.path(&format!("data{number}")));
        let report = pintail_sync::run(&request, &Unwatched, &StopSignal::new())
            .unwrap_or_else(|error| panic!("{from} to {to}: {}", crate::served::described(&error)));
        assert_eq!(
            (report.parity.status, report.rows_inserted),
            (ParityStatus::Ok, 2),
            "{from} to {to}"
        );
    }
}

/// The table of a role in a system, in a schema where there are such.
fn table(system: &str, role: &str) -> TableName {
    let name = format!("{role} {TABLE}");
    match system {
        "mysql" | "sqlite" => TableName::bare(name),
        _ => TableName::new(SCHEMA, name),
    }
}

#[test]
fn names_come_through_between_any_two_systems() {
    let places = Places::new();
    let columns: Vec<String> = COLUMNS
        .iter()
        .map(|name| format!("\"{}\" text", name.replace('"', "\"\"")))
        .collect();
    let values: Vec<String> = (0..COLUMNS.len()).map(|number| format!("'v{number}'")).collect();
    let first = TableName::bare(TABLE);
    let file = rusqlite::Connection::open(places.journey.path("first.sqlite")).expect("a file");
    file.execute_batch(&format!(
        "create table \"{0}\" (id integer primary key, {1}); insert into \"{0}\" values (1, {2}), (2, {3})",
        TABLE.replace('"', "\"\""),
        columns.join(", "),
        values.join(", "),
        vec!["null"; COLUMNS.len()].join(", ")
    ))
    .expect("a table");
    for from in SYSTEMS {
        let (source, read) = (places.address(from, "from"), table(from, "from"));
        places.copy("sqlite:first.sqlite", &first, &source, &read);
        for to in SYSTEMS {
            let (destination, written) = (places.address(to, "to"), table(to, &format!("from {from}")));
            places.copy(&source, &read, &destination, &written);
            let back = TableName::bare(format!("{from} {to}"));
            places.copy(&destination, &written, "sqlite:back.sqlite", &back);
            assert_eq!(
                shown(&places.journey, &back.table),
                shown_of(&file, TABLE),
                "{from} to {to}"
            );
        }
    }
}

fn shown(journey: &Journey, table: &str) -> Vec<Vec<Option<String>>> {
    let file = rusqlite::Connection::open(journey.path("back.sqlite")).expect("a file");
    shown_of(&file, table)
}

/// The names of a table's columns, and its rows.
fn shown_of(file: &rusqlite::Connection, table: &str) -> Vec<Vec<Option<String>>> {
    let sql = format!("select * from \"{}\" order by id", table.replace('"', "\"\""));
    let mut statement = file.prepare(&sql).expect("a query");
    let names = statement.column_names();
    let mut lines: Vec<Vec<Option<String>>> = vec![names.map(|name| Some(name.to_owned())).collect()];
    let width = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..width)
            .map(|index| {
                use rusqlite::types::ValueRef;
                Ok(match row.get_ref(index)? {
                    ValueRef::Null => None,
                    ValueRef::Integer(number) => Some(number.to_string()),
                    ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                    other => Some(format!("{other:?}")),
                })
            })
            .collect::<rusqlite::Result<Vec<_>>>()
    });
    lines.extend(rows.expect("rows").map(|row| row.expect("a row")));
    lines
}
