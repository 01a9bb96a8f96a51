//! Names and paths that mean something to somebody: they are names and paths, and nothing else.

use pintail_lake::{Access, Call, Engine, EngineSettings, Lake, SweepPolicy};
use pintail_model::{ErrorKind, LogicalType, RunId, TableName};

use crate::lakes::{
    KINDS, Kind, Place, columns, commit, contents, numbers, parquet_files, shown, stage, upsert,
};
use crate::loads::{Loads, column};

fn over(run: &str) -> SweepPolicy {
    SweepPolicy {
        own_runs: vec![RunId::from_stored(run)],
        older_than: None,
    }
}

#[test]
fn the_path_of_a_file_says_nothing_about_its_rows() {
    let place = Place::new(Kind::Sqlite);
    let mut location = place.location.clone();
    location.data_path = place.folder.path().join("tenant=acme/id=7/version=9");
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    let lake = Lake::attach(&engine, &location, Access::ReadWrite).unwrap();
    let columns = ["tenant", "id", "version"].map(|name| column(name, LogicalType::Text));
    let loads = Loads::new(&lake, TableName::new("shop", "orders"), columns.to_vec());
    loads.replace(
        "r1",
        "select * from (values ('acme', '1', '1'), ('globex', '1', '1')) as r(tenant, id, version)",
    );
    let outcome = loads.upsert(
        "r2",
        "select * from (values ('acme', '1', '0'), ('globex', '1', '2'), ('initech', '1', '2')) as r(tenant, id, version)",
        &["tenant", "id"],
        Some("version"),
    );
    assert_eq!((outcome.rows_inserted, outcome.rows_updated), (1, 1));
    assert_eq!(
        loads.rows(),
        [["acme", "1", "1"], ["globex", "1", "2"], ["initech", "1", "2"]]
    );
}

#[test]
fn a_data_path_that_is_a_pattern_is_refused() {
    for name in ["a*b", "a?b", "a[b]c"] {
        let place = Place::new(Kind::Sqlite);
        let mut location = place.location.clone();
        location.data_path = place.folder.path().join(name);
        let engine = Engine::open(&EngineSettings::default()).unwrap();
        let error = Lake::attach(&engine, &location, Access::ReadWrite).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert_eq!(std::fs::read_dir(place.folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn hostile_names_pass_through_a_lake() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        let hostile = [
            r#"it's "x" \y"#,
            "../../x",
            "a.b",
            "a=b",
            "drop table t; --",
            "größe",
            "$$ ? %s",
        ];
        for (number, name) in hostile.into_iter().enumerate() {
            let names = [name.to_owned(), format!("{name} too")];
            let columns = names.each_ref().map(|name| column(name, LogicalType::Text));
            let loads = Loads::new(&lake, TableName::new(name, name), columns.to_vec());
            let run = |attempt: u32| format!("run {number}-{attempt}");
            let select = |first: &str, second: &str| {
                let [one, two] = names.each_ref().map(|name| pintail_lake::quote::identifier(name));
                format!("select '{first}' as {one}, '{second}' as {two}")
            };
            loads.stage(&run(0), &select("x", "never committed"));
            loads.replace(&run(1), &select("k", "1"));
            let outcome = loads.upsert(&run(2), &select("k", "2"), &[name], Some(&names[1]));
            assert_eq!(outcome.rows_updated, 1, "{kind:?} {name}");
            assert_eq!(loads.rows(), [["k", "2"]], "{kind:?} {name}");
            let session = lake.session().unwrap();
            let table = lake.table(&session, &loads.table).unwrap().expect("the table");
            assert!(table.matches(&loads.columns), "{kind:?}: {table:?}");
            let newest = lake.ledger().newest(&session, &loads.table).unwrap();
            let newest = newest.map(|entry| (entry.pipeline, entry.watermark));
            assert_eq!(
                newest,
                Some((format!("loads of {}", loads.table), None)),
                "{kind:?} {name}"
            );
            for attempt in 0..=2 {
                let swept = lake
                    .sweep(&loads.table, &over(&run(attempt)))
                    .unwrap_or_else(|error| shown(&error));
                assert_eq!(swept.files, u64::from(attempt == 0), "{kind:?} {name} {attempt}");
            }
            assert_eq!(loads.rows(), [["k", "2"]], "{kind:?} {name}");
        }
        for file in parquet_files(place.folder.path()) {
            assert!(file.starts_with(&place.location.data_path), "{kind:?}: {file:?}");
        }
    }
}

#[test]
fn names_that_differ_in_case_are_one_table() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        let session = lake.session().unwrap();
        session
            .batch(Call::new("make"), "create schema lake.Shop")
            .unwrap();
        commit(
            &lake,
            pintail_lake::Change::ReplaceAll,
            vec![stage(&lake, "r1", "a", 0..100, 1, 1)],
        );
        let other = Loads::new(&lake, TableName::new("SHOP", "Numbers"), columns());
        let outcome = other.upsert(
            "r2",
            "select 5::bigint as id, 2::bigint as version, 'note 5' as note",
            &["id"],
            Some("version"),
        );
        assert_eq!((outcome.rows_inserted, outcome.rows_updated), (0, 1), "{kind:?}");
        commit(&lake, upsert(), vec![stage(&lake, "r3", "a", 6..7, 1, 2)]);
        assert_eq!(contents(&session), (100, 100, 4950, 102), "{kind:?}");
        assert_eq!(
            lake.table_id(&session, &other.table).unwrap(),
            lake.table_id(&session, &numbers()).unwrap(),
            "{kind:?}"
        );
        // Letters outside of ASCII are not the same in both cases, to DuckLake.
        for name in ["Ö", "ö"] {
            let loads = Loads::new(&lake, TableName::new("shop", name), columns());
            loads.replace(name, "select 1::bigint as id, 1::bigint as version, 'x' as note");
        }
    }
}

#[test]
fn what_was_staged_for_a_table_that_never_came_to_be_is_swept() {
    let place = Place::new(Kind::Sqlite);
    let lake = place.open();
    let tables = ["größe", "../../größe", "plain"].map(|name| TableName::new("shop", name));
    for table in &tables {
        let loads = Loads::new(&lake, table.clone(), columns());
        loads.stage("r1", "select 1 as id");
        loads.stage("r2", "select 1 as id");
    }
    let mut left = 6;
    for table in &tables {
        let swept = lake.sweep(table, &over("r1")).unwrap();
        left -= 1;
        assert_eq!(swept.files, 1, "{table}");
        assert_eq!(parquet_files(&place.location.data_path).len(), left, "{table}");
    }
    assert_eq!(parquet_files(place.folder.path()).len(), left);
}

#[test]
fn a_table_outside_of_the_data_path_is_left_alone() {
    let place = Place::new(Kind::Sqlite);
    let lake = place.open();
    commit(
        &lake,
        pintail_lake::Change::ReplaceAll,
        vec![stage(&lake, "r1", "a", 0..10, 1, 1)],
    );
    let outside = place.folder.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("precious.parquet"), "x").unwrap();
    let session = lake.session().unwrap();
    let everything = SweepPolicy {
        own_runs: vec![RunId::from_stored("r1")],
        older_than: Some(std::time::Duration::ZERO),
    };
    let absolute = format!("{}/", outside.display());
    for (path, relative) in [("../../outside/", 1), (absolute.as_str(), 0)] {
        let sql = format!(
            "update __ducklake_metadata_lake.main.ducklake_table set path = '{path}', path_is_relative = {relative}
             where table_name = 'numbers'"
        );
        session
            .batch(Call::new("move"), &sql)
            .unwrap_or_else(|error| shown(&error));
        let error = lake.sweep(&numbers(), &everything).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        let error = lake.stage(&numbers(), &RunId::from_stored("r2")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
}
