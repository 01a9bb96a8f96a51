//! Tables that the engine holds itself: DuckDB files, lakes, and files.

use std::path::Path;

use pintail_lake::{Access, Call, Catalogue, Engine, EngineSettings, Lake, LakeLocation};

use super::elsewhere::{Load, ROWS};

/// Where a table lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    DuckDb,
    Lake,
    Parquet,
    Csv,
}

const PLACES: [Place; 4] = [Place::DuckDb, Place::Lake, Place::Parquet, Place::Csv];

/// A load of what a SELECT says. Where there are keys, `key` is one.
fn load(place: Place, key: &str, rows: &str) -> Load {
    Load::new(|folder| make(folder, place, key, rows))
}

fn make(folder: &Path, place: Place, key: &str, rows: &str) -> String {
    let engine = Engine::open(&EngineSettings::default()).expect("an engine");
    let path = |name: &str| folder.join(name).display().to_string();
    let run = |sql: &str| {
        let session = engine.session().expect("a session");
        session
            .batch(Call::new("make a table"), sql)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    };
    match place {
        Place::DuckDb => {
            let constraint = match key {
                "" => String::new(),
                key => format!("alter table d.orders add primary key ({key});"),
            };
            run(&format!(
                "attach '{}' as d; create table d.orders as {rows}; {constraint} checkpoint d; detach d",
                path("shop.duckdb")
            ));
            "duckdb:shop.duckdb".to_owned()
        }
        Place::Lake => {
            let location = LakeLocation {
                catalogue: Catalogue::Sqlite(folder.join("from.sqlite")),
                data_path: folder.join("from"),
                bucket: None,
            };
            let lake = Lake::attach(&engine, &location, Access::ReadWrite).expect("a lake");
            run(&format!("create table lake.orders as {rows}"));
            lake.detach().expect("nobody else uses this engine");
            "ducklake:sqlite:from.sqlite?data_path=from".to_owned()
        }
        Place::Parquet => {
            run(&format!(
                "copy ({rows}) to '{}' (format parquet)",
                path("orders.parquet")
            ));
            "files:orders.parquet".to_owned()
        }
        Place::Csv => {
            run(&format!(
                "copy ({rows}) to '{}' (format csv, header)",
                path("orders.csv")
            ));
            "files:orders.csv".to_owned()
        }
    }
}

/// Texts that are hard to quote or order, and what makes them differ.
const HOSTILE: &str = "select (['Ärger ', 'zebra', 'it''s \\', 'Z', 'a ', '', '\"q\",', '🐟', 'A', 'İ'])[1 + i % 10] || md5(i::varchar) as id,
     i::varchar as item from range(20000) as numbers (i)";

#[test]
fn texts_are_cut_by_their_bytes() {
    for place in PLACES {
        let mut load = load(place, "id", HOSTILE);
        load.by = &["id"];
        load.check_even();
    }
}

#[test]
fn texts_of_a_column_with_an_order_of_its_own_are_cut_by_their_bytes() {
    let mut load = Load::new(|folder| {
        let url = make(folder, Place::DuckDb, "", "select null::varchar as id limit 0");
        let engine = Engine::open(&EngineSettings::default()).expect("an engine");
        let session = engine.session().expect("a session");
        let sql = format!(
            "attach '{}' as d; create or replace table d.orders (id varchar collate nocase, item varchar);
             insert into d.orders {HOSTILE}; detach d",
            folder.join("shop.duckdb").display()
        );
        session.batch(Call::new("make a table"), &sql).expect("a table");
        url
    });
    load.by = &["id"];
    load.check_even();
}

#[test]
fn a_key_that_holds_the_letter_0_is_read() {
    for place in [Place::DuckDb, Place::Lake, Place::Parquet] {
        let rows = "select chr((i % 3)::integer) || 'k' || i as id from range(20000) as numbers (i)";
        let mut load = load(place, "id", rows);
        load.by = &["id"];
        load.check();
    }
}

#[test]
fn uuids_and_keys_of_several_columns_are_cut() {
    for place in PLACES {
        let mut uuids = load(
            place,
            "id",
            "select md5(i::varchar)::uuid as id, i as item from range(20000) as numbers (i)",
        );
        uuids.by = &["id"];
        uuids.check_even();
        let mut several = load(
            place,
            "tenant, day, id",
            "select case when i % 10 = 0 then 'Small' else 'large' end as tenant, date '2024-01-01' + (i % 90)::integer as day,
             i as id from range(20000) as numbers (i)",
        );
        several.by = &["tenant", "day", "id"];
        several.check_even();
    }
}

#[test]
fn gaps_of_a_billion_make_no_giant() {
    for place in PLACES {
        let mut load = load(
            place,
            "id",
            "select case when i < 10000 then i else i * 1000000000 end as id from range(20000) as numbers (i)",
        );
        load.by = &["id"];
        load.partitions = 4;
        let sizes = load.check().sizes;
        assert!(sizes.iter().all(|rows| *rows <= 8_000), "{place:?} {sizes:?}");
    }
    // By the key alone, as nobody says more.
    let mut load = load(
        Place::DuckDb,
        "id",
        "select case when i < 10000 then i else i * 1000000000 end as id from range(20000) as numbers (i)",
    );
    load.partitions = 4;
    load.check_even();
}

#[test]
fn a_value_that_fills_a_table_is_not_divided_and_null_is_not_lost() {
    for place in PLACES {
        let mut load = load(
            place,
            "",
            "select i, case when i % 2 = 0 then 'hot' when i % 7 <> 0 then 'k' || i end as kind, null::varchar as nothing
             from range(20000) as numbers (i)",
        );
        load.by = &["kind"];
        let sizes = load.check().sizes;
        assert!((4..8).contains(&sizes.len()), "{place:?} {sizes:?}");
        let giants = sizes.iter().filter(|rows| **rows >= ROWS / 2).count();
        assert_eq!(giants, 1, "{place:?} {sizes:?}");
        load.by = &["nothing"];
        load.check_parts(1);
    }
}

#[test]
fn empty_tables_views_and_enums_are_one_partition() {
    for place in PLACES {
        let mut empty = load(
            place,
            "id",
            "select i::varchar as id from range(0) as numbers (i)",
        );
        empty.by = &["id"];
        empty.rows = 0;
        empty.check_parts(1);
    }
    let mut view = Load::new(|folder| {
        let url = make(folder, Place::DuckDb, "", "select 1 as nothing");
        let engine = Engine::open(&EngineSettings::default()).expect("an engine");
        let session = engine.session().expect("a session");
        let sql = format!(
            "attach '{}' as d; drop table d.orders; create view d.orders as select 'k' || i as id from range(20000) as numbers (i);
             detach d",
            folder.join("shop.duckdb").display()
        );
        session.batch(Call::new("make a view"), &sql).expect("a view");
        url
    });
    view.by = &["id"];
    view.check_parts(1);
    // An enum compares in the order of its declaration.
    let mut moods = load(
        Place::DuckDb,
        "",
        "select (['sad', 'ok', 'happy'])[1 + i % 3]::enum('sad', 'ok', 'happy') as mood from range(20000) as numbers (i)",
    );
    moods.by = &["mood"];
    moods.check_parts(1);
}

#[test]
fn what_the_pipeline_calls_the_key_cuts_a_table_without_one() {
    for place in [Place::Lake, Place::Parquet] {
        let mut load = load(place, "", HOSTILE);
        load.unique = &["id"];
        load.check_even();
    }
}
