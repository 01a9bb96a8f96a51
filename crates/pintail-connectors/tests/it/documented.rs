//! `docs/types.md` says what becomes of every type, and is right.
//!
//! A line of its tables is `` | `type` | `what it becomes` | remarks | ``, or `refused` instead of the second.

use std::collections::BTreeSet;
use std::path::Path;

use pintail_testkit::conformance::{Attached, Fixture};

use crate::duckdb::fixture::DuckDbFixture;
use crate::files::fixture::FilesFixture;
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

fn check(system: &str, fixture: &dyn Fixture) {
    let documented = lines(system);
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

/// Declared types and what they become, from the table under the heading of a system.
fn lines(system: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/types.md");
    let text = std::fs::read_to_string(path).unwrap();
    let heading = format!("\n## {system}\n");
    let (_, section) = text.split_once(&heading).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let cell = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let line = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        Some((cell(cells.next()?), cell(cells.next()?)))
    };
    section.lines().filter_map(line).collect()
}
