pub(crate) mod fixture;
mod overtaken;

use fixture::{DuckDbFixture, connect};
use pintail_model::ErrorKind;
use pintail_testkit::conformance::{Attached, Fixture};

pintail_testkit::conformance!(DuckDbFixture::new());

#[test]
fn the_key_is_the_primary_key_or_a_unique_constraint_without_null() {
    let fixture = DuckDbFixture::new();
    fixture.execute(
        "create table pair (b integer, a varchar, note varchar, primary key (b, a));
         create table maybe (a integer unique, b integer not null unique);
         create table none (a integer unique)",
    );
    let attached = Attached::new(fixture.connector());
    let key = |table: &str| attached.describe(table).key;
    assert_eq!(key("pair"), ["b", "a"]);
    assert_eq!(key("maybe"), ["b"]);
    assert!(key("none").is_empty());
}

#[test]
fn what_a_file_can_be_instead_of_a_database_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |file: &str| {
        let connector = connect(&folder.path().join(file));
        let error = Attached::try_new(connect(&folder.path().join(file)))
            .err()
            .unwrap();
        let error = connector.explain(error);
        let text = error.to_string().replace(folder.path().to_str().unwrap(), "…");
        (error.kind(), text, error.hint().unwrap_or_default().to_string())
    };
    assert_eq!(
        refused("missing.duckdb"),
        (
            ErrorKind::NotFound,
            "cannot open duckdb:…/missing.duckdb: there is no such file".to_owned(),
            "Check the path.".to_owned()
        )
    );
    std::fs::write(folder.path().join("text.duckdb"), "x".repeat(20_000)).unwrap();
    assert_eq!(
        refused("text.duckdb"),
        (
            ErrorKind::Invalid,
            "cannot open duckdb:…/text.duckdb: the file is no DuckDB database".to_owned(),
            "Check the path.".to_owned()
        )
    );
}
