//! What is pinned comes back into its lake, or into a DuckDB file; and what is in files comes into a lake.

use pintail_lake::{Access, Call};
use pintail_model::{ErrorKind, TableName};
use pintail_snapshot::{RestoreRequest, SnapshotType};

use crate::lake_place::{KINDS, Kind, LakePlace};
use crate::place::{NOW, Place, at, id, told};

const SUMS: &str = "select (select count(*) || ' ' || sum(id) || ' ' || sum(n) from lake.shop.orders),
                      (select count(*) || ' ' || sum(n) from lake.shop.notes)";

const BEFORE: [&str; 2] = ["1000 499500 0", "10 0"];

#[test]
fn a_pin_comes_back_into_its_lake_and_can_be_undone() {
    for kind in KINDS {
        let lake = LakePlace::shop(kind);
        lake.create("before");
        lake.execute(
            "update lake.shop.orders set n = 1; delete from lake.shop.orders where id < 500;
             drop table lake.shop.notes; create table lake.shop.notes (n varchar)",
        );
        lake.maintain();
        let newest = lake.newest();
        let restored = lake.restore("before");
        assert_eq!(lake.ask(SUMS), [BEFORE], "{kind:?}");
        assert_eq!(restored.not_restored, [""; 0], "{kind:?}");
        assert_eq!(restored.plan.warnings, [""; 0], "{kind:?}");
        // All tables in one commit.
        assert_eq!(lake.newest(), newest + 1, "{kind:?}");
        let comment =
            "select comment from duckdb_tables() where database_name = 'lake' and table_name = 'orders'";
        assert_eq!(lake.value(comment), "what they bought", "{kind:?}");
        lake.attempt("insert into lake.shop.orders (id) values (null)")
            .expect_err("it is never null");
        lake.execute("insert into lake.shop.orders (id) values (5000)");
        assert_eq!(
            lake.value("select n from lake.shop.orders where id = 5000"),
            "7",
            "{kind:?}"
        );
        assert_eq!(lake.place.verify().findings, [], "{kind:?}");
        assert_eq!(staged(&lake), [""; 0], "{kind:?}");

        let kept = restored.replaced_kept_in.expect("tables went");
        let manifest = lake.place.snapshots.manifest(&kept).expect("a snapshot");
        assert_eq!(manifest.snapshot_type, SnapshotType::PreDrop, "{kind:?}");
        lake.restore(kept.as_str());
        let columns = "select string_agg(column_name || ' ' || data_type) from duckdb_columns()
                       where database_name = 'lake' and table_name = 'notes'";
        assert_eq!(lake.value(columns), "n VARCHAR", "{kind:?}");
        let sums = "select count(*) || ' ' || sum(n) from lake.shop.orders";
        assert_eq!(lake.value(sums), "500 500", "{kind:?}");
    }
}

/// Files that were staged and that nobody needs.
fn staged(lake: &LakePlace) -> Vec<String> {
    fn walk(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&lake.location.data_path, &mut found);
    let needed = lake.attached(Access::ReadOnly, |_, session| {
        let sql = "select path from __ducklake_metadata_lake.ducklake_data_file";
        session.query(Call::new("list"), sql).expect("a catalogue")
    });
    let known = |path: &std::path::Path| {
        let name = path.to_string_lossy();
        needed
            .iter()
            .any(|row| row.text(0).is_some_and(|known| name.ends_with(known)))
    };
    found
        .iter()
        .filter(|path| path.to_string_lossy().contains("restored") && !known(path))
        .map(|path| path.display().to_string())
        .collect()
}

#[test]
fn one_table_comes_back_under_another_name() {
    let lake = LakePlace::shop(Kind::Sqlite);
    lake.create("before");
    let request = RestoreRequest {
        tables: vec![TableName::new("shop", "notes")],
        rename: Some(TableName::new("other place", "the notes")),
        ..RestoreRequest::default()
    };
    let restored = lake.restore_with("before", &request).expect("restored");
    assert_eq!(restored.replaced_kept_in, None);
    assert_eq!(
        lake.value("select count(*) from lake.\"other place\".\"the notes\""),
        "10"
    );
    let error = lake.restore_with("before", &request).expect_err("it is there");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let replace = RestoreRequest {
        replace: true,
        ..request
    };
    let restored = lake.restore_with("before", &replace).expect("restored");
    assert!(restored.replaced_kept_in.is_some());
}

#[test]
fn a_pin_comes_into_a_database_file_and_is_drilled() {
    for kind in KINDS {
        let lake = LakePlace::shop(kind);
        lake.execute("create view lake.shop.late as select * from shop.orders where id > 900");
        lake.create("before");
        lake.execute("drop view lake.shop.late; drop table lake.shop.orders");
        lake.maintain();
        lake.place.restore("new.duckdb", "before");
        let sums = "select (select sum(id) from shop.orders), (select count(*) from shop.notes)";
        assert_eq!(lake.place.ask("new.duckdb", sums), [["499500", "10"]], "{kind:?}");
        lake.place
            .attempt("new.duckdb", "insert into shop.orders (id) values (null)")
            .expect_err("it is never null");
        let scratch = lake.place.root().join("scratch.duckdb");
        let drilled = lake
            .place
            .snapshots
            .drill(
                &lake.place.engine,
                &id("before"),
                &scratch,
                at(NOW),
                &pintail_snapshot::Unwatched,
            )
            .expect("a scratch file");
        assert!(drilled.proven, "{kind:?}: {:?}", drilled.problems);
        assert_eq!(drilled.rows, 1010, "{kind:?}");
    }
}

#[test]
fn types_of_a_lake_come_back_as_they_were() {
    let lake = LakePlace::new(Kind::Sqlite);
    lake.execute(
        "create table lake.main.types (
             h hugeint, u uhugeint, iv interval, tz timetz, s timestamp_s, ms timestamp_ms, ns timestamp_ns,
             z timestamptz, g uuid, j json, b blob, d decimal(38, 3), l integer[], st struct(a integer, b date[]),
             m map(varchar, interval), f float, geo geometry, v variant
         );
         insert into lake.main.types values (
             7, 8, interval 1 day, '12:34:56.1+00', '2024-01-02 03:04:05', '2024-01-02 03:04:05.678',
             '2024-01-02 03:04:05.678901234', '2024-01-02 03:04:05.678901+00', '7c9e6679-7425-40de-944b-e07fc1f90ae7',
             '{\"a\": [1, 2.50]}', '\\x00\\xFF', 1.5, [1, null], {'a': 1, 'b': ['2024-01-01']},
             map {'k': interval 2 days}, 'nan', 'POINT (1 2)'::geometry, {'x': 1}::variant
         );
         insert into lake.main.types (h) values (null)",
    );
    let all = "select * from lake.main.types order by h nulls last";
    let rows = lake.ask(all);
    lake.create("before");
    lake.export("files");
    for snapshot in ["before", "files"] {
        lake.execute("delete from lake.main.types");
        lake.restore(snapshot);
        assert_eq!(lake.ask(all), rows, "{snapshot}");
        lake.execute("drop table lake.main.types");
        lake.restore(snapshot);
        assert_eq!(lake.ask(all), rows, "{snapshot}");
        lake.place.restore(&format!("{snapshot}.duckdb"), snapshot);
        let there = lake.place.ask(
            &format!("{snapshot}.duckdb"),
            "select * from types order by h nulls last",
        );
        assert_eq!(there, rows, "{snapshot}");
    }
}

#[test]
fn tables_of_a_database_file_come_into_a_lake_with_what_it_can_hold() {
    let lake = LakePlace::new(Kind::Sqlite);
    lake.place.execute(
        "shop.duckdb",
        "create schema in_c; create sequence in_c.ids;
         create table in_c.customers (id integer primary key, name varchar not null default 'it''s, (so)', kind enum('a', 'b'));
         create table in_c.orders (
             id bigint primary key default nextval('in_c.ids'), customer integer references in_c.customers (id), h hugeint,
             n integer default 7 check (n > 0), twice integer generated always as (n * 2), l integer[2],
             unique (customer, n)
         );
         create index by_customer on in_c.orders (customer);
         insert into in_c.customers values (1, 'ada', 'b'), (2, 'bob', null);
         insert into in_c.orders (customer, h, l) values (1, 170141183460469231731687303715884105727, [1, 2]), (2, null, null);
         comment on column in_c.orders.n is 'how many'; create view in_c.v as select name from in_c.customers",
    );
    lake.place.create("shop.duckdb", "files");
    let restored = lake.restore("files");
    insta::assert_snapshot!(restored.plan.warnings.join("\n"), @r#"
    table "in_c.customers" is restored without its primary key, which a lake does not hold
    column "in_c.customers.kind" is of type VARCHAR in the lake, and not of type ENUM('a', 'b')
    table "in_c.orders" is restored without its primary key, foreign keys, unique constraints, checks, indexes, which a lake does not hold
    column "in_c.orders.h" is of type VARCHAR in the lake, and not of type HUGEINT
    column "in_c.orders.twice" is computed from others, and left out
    column "in_c.orders.l" is of type INTEGER[] in the lake, and not of type INTEGER[2]
    column "in_c.orders.id" is restored without its default, which a lake cannot compute
    sequence "in_c.ids" is left out: a lake holds none
    "#);
    assert_eq!(restored.not_restored, [""; 0]);
    assert_eq!(
        lake.ask("select * from lake.in_c.orders order by id"),
        [
            ["1", "1", "170141183460469231731687303715884105727", "7", "[1, 2]"],
            ["2", "2", "NULL", "7", "NULL"]
        ]
    );
    lake.attempt("insert into lake.in_c.customers (id) values (null)")
        .expect_err("a key is never null");
    lake.execute("insert into lake.in_c.customers (id) values (3)");
    assert_eq!(
        lake.value("select name from lake.in_c.customers where id = 3"),
        "it's, (so)"
    );
    assert_eq!(lake.value("select count(*) from lake.in_c.v"), "3");
    // The tables are another database's.
    let error = lake
        .restore_with("files", &RestoreRequest::default())
        .expect_err("they are there");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

#[test]
fn a_pin_does_not_go_into_another_lake() {
    let lake = LakePlace::shop(Kind::Sqlite);
    lake.create("before");
    let mut other = lake.location.clone();
    other.catalogue = pintail_lake::Catalogue::Sqlite(lake.place.root().join("other.sqlite"));
    let Place {
        engine, snapshots, ..
    } = &lake.place;
    let error = snapshots
        .restore_into_lake(
            engine,
            &other,
            &id("before"),
            &RestoreRequest::default(),
            at(NOW),
            &pintail_snapshot::Unwatched,
        )
        .expect_err("it is pinned elsewhere");
    let folder = lake.place.root().display().to_string();
    insta::assert_snapshot!(told(&error).replace(&folder, "[FOLDER]"), @"
    cannot restore snapshot `before` into ducklake:sqlite:[FOLDER]/other.sqlite?data_path=[FOLDER]/data: it is pinned in ducklake:sqlite:[FOLDER]/lake.sqlite?data_path=[FOLDER]/data
    hint: What is pinned comes back into its own lake, or into a DuckDB file. `create --export` takes a snapshot that goes everywhere.
    ");
    assert!(!lake.place.root().join("other.sqlite").exists());
}

#[test]
fn rows_that_are_not_those_of_the_snapshot_are_not_restored() {
    let lake = LakePlace::shop(Kind::Sqlite);
    lake.create("before");
    let files = lake.data_files("orders");
    lake.execute("delete from lake.shop.orders where id < 10");
    // Rows of the same number, and others.
    let sql = format!(
        "copy (select id, n + 1 as n, note from '{0}') to '{0}.new' (format parquet)",
        files[0].display()
    );
    lake.execute(&sql);
    std::fs::rename(format!("{}.new", files[0].display()), &files[0]).expect("a file");
    let error = lake
        .restore_with("before", &RestoreRequest::default())
        .expect_err("they are others");
    assert_ne!(error.kind(), ErrorKind::Internal, "{}", told(&error));
    assert_eq!(lake.value("select count(*) from lake.shop.orders"), "990");
}
