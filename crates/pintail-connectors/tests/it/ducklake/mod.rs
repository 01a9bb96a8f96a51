mod fixture;

use fixture::{Kind, LakeFixture, connect};
use pintail_model::{ErrorKind, NativeType};
use pintail_testkit::conformance::{Attached, Fixture};

mod sqlite_catalogue {
    use super::*;

    pintail_testkit::conformance!(LakeFixture::new(Kind::Sqlite));
}

mod duckdb_catalogue {
    use super::*;

    pintail_testkit::conformance!(LakeFixture::new(Kind::DuckDb));
}

mod postgres_catalogue {
    use super::*;

    pintail_testkit::conformance!(LakeFixture::new(Kind::Postgres));
}

#[test]
fn a_column_remembers_its_origin_until_somebody_else_comments_on_it_or_changes_its_type() {
    let fixture = LakeFixture::new(Kind::Sqlite);
    fixture.execute(
        "create table addresses (a varchar, b varchar, c integer, d varchar);
         comment on column addresses.a is 'origin: postgres inet = varchar';
         comment on column addresses.b is 'origin: postgres inet = varchar';
         comment on column addresses.c is 'origin: postgres positive = integer';
         comment on column addresses.b is 'what customers gave';
         alter table addresses alter column c type bigint;
         alter table addresses rename column a to address",
    );
    let attached = Attached::new(fixture.connector());
    let columns = attached.describe("addresses").columns;
    let origins: Vec<_> = columns
        .into_iter()
        .map(|column| (column.name, column.origin))
        .collect();
    let inet = NativeType {
        system: "postgres".to_owned(),
        name: "inet".to_owned(),
    };
    let expected = [("address", Some(inet)), ("b", None), ("c", None), ("d", None)];
    assert_eq!(origins, expected.map(|(name, origin)| (name.to_owned(), origin)));
}

#[test]
fn pintails_own_tables_are_not_listed() {
    let fixture = LakeFixture::new(Kind::Sqlite);
    fixture.execute(
        "create schema pintail; create table pintail.ledger (i integer); create table shop (i integer)",
    );
    let attached = Attached::new(fixture.connector());
    let names: Vec<_> = attached
        .tables()
        .into_iter()
        .map(|table| table.name.table)
        .collect();
    assert_eq!(names, ["shop"]);
}

#[test]
fn a_lake_that_does_not_exist_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    for url in [
        "ducklake:sqlite:missing.sqlite?data_path=files",
        "ducklake:duckdb:missing.duckdb?data_path=files",
    ] {
        let error = Attached::try_new(connect(url, folder.path())).err().unwrap();
        let error = connect(url, folder.path()).explain(error);
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
        assert!(error.to_string().contains("does not exist"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
