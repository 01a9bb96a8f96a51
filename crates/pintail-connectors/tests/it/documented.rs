//! `docs/types.md` says what becomes of every type, and is right.
//!
//! A line of its tables is `` | `type` | `what it becomes` | remarks | ``, or `refused` instead of the second.

use std::collections::BTreeSet;
use std::path::Path;

use pintail_config::Location;
use pintail_connectors::mysql::MySqlDestination;
use pintail_lake::database::DatabaseWriter;
use pintail_model::{Column, LogicalType};
use pintail_testkit::conformance::{Attached, Fixture};

use crate::duckdb::fixture::DuckDbFixture;
use crate::files::fixture::FilesFixture;
use crate::mysql::fixture::MySqlFixture;
use crate::postgres::fixture::PostgresFixture;
use crate::sqlite::fixture::SqliteFixture;

#[test]
fn types_of_postgres_become_what_the_documentation_says() {
    check("Postgres", &PostgresFixture::new());
}

#[test]
fn types_of_sqlite_become_what_the_documentation_says() {
    check("SQLite", &SqliteFixture::new());
}

#[test]
fn types_of_duckdb_become_what_the_documentation_says() {
    check("DuckDB", &DuckDbFixture::new());
}

#[test]
fn types_of_files_become_what_the_documentation_says() {
    check("Files", &FilesFixture::in_folder());
}

#[test]
fn types_of_mysql_become_what_the_documentation_says() {
    check("MySQL", &MySqlFixture::new());
}

#[test]
fn types_that_go_to_mysql_become_what_the_documentation_says() {
    let location = Location::parse("mysql://db/shop", Path::new("/")).unwrap();
    let writer = MySqlDestination::new(&location.datastore).unwrap();
    let homes: Vec<(String, String)> = HOMES
        .iter()
        .map(|home| {
            let column = Column {
                name: "value".to_owned(),
                logical_type: *home,
                nullable: true,
                origin: None,
            };
            (home.to_string(), writer.column_type(&column))
        })
        .collect();
    assert_eq!(table("MySQL", Some("lake")), homes);
}

/// A type of every kind but lists.
const HOMES: &[LogicalType] = &[
    LogicalType::Boolean,
    LogicalType::Int8,
    LogicalType::Int16,
    LogicalType::Int32,
    LogicalType::Int64,
    LogicalType::UInt8,
    LogicalType::UInt16,
    LogicalType::UInt32,
    LogicalType::UInt64,
    LogicalType::Float32,
    LogicalType::Float64,
    LogicalType::Decimal {
        precision: 38,
        scale: 10,
    },
    LogicalType::Text,
    LogicalType::Bytes,
    LogicalType::Date,
    LogicalType::Time,
    LogicalType::Timestamp,
    LogicalType::TimestampTz,
    LogicalType::Uuid,
    LogicalType::Json,
];

fn check(system: &str, fixture: &dyn Fixture) {
    let documented = table(system, None);
    let columns: Vec<String> = documented
        .iter()
        .enumerate()
        .map(|(index, (declared, _))| format!("c{index} {declared}"))
        .collect();
    fixture.execute(&format!("create table documented ({})", columns.join(", ")));
    let attached = Attached::new(fixture.connector());
    let described = attached.describe("documented").columns;
    assert_eq!(described.len(), documented.len());
    for (column, (declared, becomes)) in described.iter().zip(&documented) {
        let found = column
            .logical_type
            .map_or_else(|| "refused".to_owned(), |home| home.to_string());
        assert_eq!(&found, becomes, "`{declared}` of {system}");
    }

    let listed: BTreeSet<&str> = documented.iter().map(|(declared, _)| declared.as_str()).collect();
    let samples = fixture.samples();
    let tested = samples
        .iter()
        .map(|sample| sample.declared)
        .chain(fixture.homeless());
    let missing: Vec<&str> = tested
        .filter(|declared| !declared.is_empty() && !listed.contains(declared))
        .collect();
    assert!(missing.is_empty(), "not in the table of {system}: {missing:?}");
}

/// What the first two columns of a table say, under the heading of a system: the table whose first column is headed `first`,
/// or else the first one.
fn table(system: &str, first: Option<&str>) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/types.md");
    let text = std::fs::read_to_string(path).unwrap();
    let heading = format!("\n## {system}\n");
    let (_, section) = text.split_once(&heading).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let head = first.map_or_else(|| "\n| ".to_owned(), |first| format!("\n| {first} |"));
    let (_, section) = section.split_once(&head).unwrap();
    let section = section.split("\n\n").next().unwrap();
    let cell = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let line = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        Some((cell(cells.next()?), cell(cells.next()?)))
    };
    section.lines().filter_map(line).collect()
}
