//! Fewer files for the same rows, and nothing that somebody needs is touched.

use std::time::Duration;

use pintail_lake::{Call, Change, Compacted, Lake, Maintained, Maintenance};
use pintail_model::{ErrorKind, TableName};

use crate::lakes::{
    KINDS, Kind, Place, assert_sound, commit, contents, metadata_table, numbers, parquet_files, shown, stage,
    upsert,
};

/// Everything that can be done, however young.
fn thorough() -> Maintenance {
    Maintenance {
        expire_older_than: Some(Duration::ZERO),
        clean_older_than: Duration::ZERO,
        ..Maintenance::default()
    }
}

fn maintain(lake: &Lake, asked: &Maintenance) -> Maintained {
    lake.maintain(asked).unwrap_or_else(|error| shown(&error))
}

fn run(lake: &Lake, sql: &str) {
    let session = lake.session().expect("a session");
    session
        .batch(Call::new("do something"), sql)
        .unwrap_or_else(|error| shown(&error));
}

/// 1,000 rows in ten files, of which one is mostly deleted.
fn filled(place: &Place) -> Lake {
    let lake = place.open();
    commit(
        &lake,
        Change::ReplaceAll,
        vec![stage(&lake, "r0", "a", 0..100, 1, 1)],
    );
    for number in 1..10 {
        let rows = number * 100..number * 100 + 100;
        let part = stage(&lake, &format!("r{number}"), "a", rows, 1, 1);
        commit(&lake, Change::Append, vec![part]);
    }
    commit(&lake, upsert(), vec![stage(&lake, "r10", "a", 0..60, 1, 2)]);
    lake
}

const ROWS: (i64, i64, i64, i64) = (1000, 1000, 499_500, 1060);

#[test]
fn small_files_become_one_and_old_ones_go() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = filled(&place);
        let planned = lake
            .plan_maintenance(&thorough())
            .unwrap_or_else(|error| shown(&error));
        let [table] = planned.tables.as_slice() else {
            panic!("{kind:?}: {planned:?}");
        };
        assert_eq!(table.table, "shop.numbers");
        assert_eq!((table.files, table.deleted_rows), (11, 60), "{kind:?}");
        assert_eq!(table.rewritten, Compacted { from: 1, to: 1 }, "{kind:?}");
        assert_eq!(table.merged, Compacted { from: 11, to: 1 }, "{kind:?}");
        assert!(
            planned.snapshots_expired > 10 && planned.snapshots_kept == 1,
            "{planned:?}"
        );
        assert_eq!(contents(&lake.session().expect("a session")), ROWS, "{kind:?}");

        let done = maintain(&lake, &thorough());
        let [table] = done.tables.as_slice() else {
            panic!("{kind:?}: {done:?}");
        };
        assert_eq!(table.rewritten, Compacted { from: 1, to: 1 }, "{kind:?}");
        assert_eq!(table.merged, Compacted { from: 11, to: 1 }, "{kind:?}");
        assert!(
            done.snapshots_expired >= planned.snapshots_expired,
            "{kind:?}: {done:?}"
        );
        assert!(done.files_removed >= 12, "{kind:?}: {done:?}");
        assert_eq!(done.files_waiting, 0, "{kind:?}");
        let session = lake.session().expect("a session");
        assert_eq!(contents(&session), ROWS, "{kind:?}");
        let left = parquet_files(&lake.location().data_path);
        assert_eq!(left.len(), 1, "{kind:?}: {left:?}");
        assert_sound(&lake, &format!("{kind:?}"));

        let again = maintain(&lake, &thorough());
        assert_eq!(again.tables[0].merged, Compacted::default(), "{kind:?}");
        assert_eq!(again.files_removed, 0, "{kind:?}: {again:?}");
        // Commits go on as if nothing had been.
        commit(&lake, upsert(), vec![stage(&lake, "r11", "a", 990..1010, 1, 3)]);
        assert_eq!(contents(&lake.session().expect("a session")).0, 1010, "{kind:?}");
    }
}

#[test]
fn what_is_young_stays() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = filled(&place);
        let careful = Maintenance {
            expire_older_than: Some(Duration::from_hours(1)),
            clean_older_than: Duration::from_hours(1),
            ..Maintenance::default()
        };
        let done = maintain(&lake, &careful);
        assert_eq!((done.snapshots_expired, done.files_removed), (0, 0), "{kind:?}");
        assert!(
            done.files_waiting > 0 && done.snapshots_kept > 11,
            "{kind:?}: {done:?}"
        );
        // Every earlier state can be read still.
        let session = lake.session().expect("a session");
        let first = "select count(note) from lake.shop.numbers at (version => 4)";
        assert!(session.query(Call::new("look back"), first).is_ok(), "{kind:?}");
        assert_sound(&lake, &format!("{kind:?}"));
    }
}

#[test]
fn what_was_the_newest_until_now_stays_however_old_it_is() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = filled(&place);
        let snapshots = metadata_table(&lake, "snapshot");
        run(
            &lake,
            &format!("update {snapshots} set snapshot_time = '2020-01-01 00:00:00+00'"),
        );
        let session = lake.session().expect("a session");
        let newest = session
            .query(
                Call::new("look"),
                &format!("select max(snapshot_id)::bigint from {snapshots}"),
            )
            .unwrap_or_else(|error| shown(&error))[0]
            .integer(0)
            .expect("a number");
        // Somebody begins to read it here.
        commit(&lake, upsert(), vec![stage(&lake, "r11", "a", 990..1010, 1, 3)]);
        let asked = Maintenance {
            expire_older_than: Some(Duration::from_hours(1)),
            clean_older_than: Duration::from_hours(1),
            ..Maintenance::default()
        };
        let done = maintain(&lake, &asked);
        assert!(done.snapshots_expired > 10, "{kind:?}: {done:?}");
        let rows = session
            .query(
                Call::new("look back"),
                &format!("select count(note) from lake.shop.numbers at (version => {newest})"),
            )
            .unwrap_or_else(|error| shown(&error));
        assert_eq!(rows[0].integer(0), Some(1000), "{kind:?}");
    }
}

#[test]
fn the_ledger_is_left_where_it_is() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = filled(&place);
        maintain(&lake, &thorough());
        let session = lake.session().expect("a session");
        let rows = session
            .query(Call::new("count"), "select count(*) from lake.pintail.ledger")
            .unwrap_or_else(|error| shown(&error));
        assert_eq!(rows[0].integer(0), Some(11), "{kind:?}");
        let files = "select count(*) from ducklake_list_files('lake', 'ledger', schema => 'pintail')";
        let rows = session
            .query(Call::new("list"), files)
            .unwrap_or_else(|error| shown(&error));
        assert_eq!(rows[0].integer(0), Some(0), "{kind:?}: the ledger has files");
        let alone = Maintenance {
            table: Some(TableName::new("pintail", "ledger")),
            ..Maintenance::default()
        };
        let error = lake
            .maintain(&alone)
            .expect_err("the ledger is no table like others");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
}

#[test]
fn one_table_is_compacted_alone() {
    let place = Place::new(Kind::Sqlite);
    let lake = filled(&place);
    run(
        &lake,
        "create table lake.shop.other as select 1 as id; insert into lake.shop.other values (2)",
    );
    let asked = Maintenance {
        table: Some(numbers()),
        ..thorough()
    };
    let done = maintain(&lake, &asked);
    assert_eq!(done.tables.len(), 1);
    assert_eq!((done.snapshots_expired, done.files_removed), (0, 0));
    let error = lake
        .maintain(&Maintenance {
            table: Some(TableName::new("shop", "nubmers")),
            ..Maintenance::default()
        })
        .expect_err("there is no such table");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn a_table_with_rows_in_the_catalogue_is_left_alone() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = filled(&place);
        run(
            &lake,
            "set global ducklake_default_data_inlining_row_limit = 10;
             create table lake.shop.foreign_rows (id bigint);
             insert into lake.shop.foreign_rows values (1), (2);
             create table lake.shop.foreign_deletes as select id from range(100) as r(id);
             delete from lake.shop.foreign_deletes where id = 7;
             set global ducklake_default_data_inlining_row_limit = 0",
        );
        let done = maintain(&lake, &thorough());
        let skipped: Vec<&str> = done
            .tables
            .iter()
            .filter(|table| table.skipped.is_some())
            .map(|table| table.table.as_str())
            .collect();
        assert_eq!(skipped, ["shop.foreign_deletes", "shop.foreign_rows"], "{kind:?}");
        let session = lake.session().expect("a session");
        let counts = "select (select sum(id) from lake.shop.foreign_rows)::bigint, (select count(id) from lake.shop.foreign_deletes)";
        let rows = session
            .query(Call::new("count"), counts)
            .unwrap_or_else(|error| shown(&error));
        assert_eq!(
            (rows[0].integer(0), rows[0].integer(1)),
            (Some(3), Some(99)),
            "{kind:?}"
        );
    }
}

#[test]
fn the_same_keys_come_and_go_between_merges_and_clean_ups() {
    for kind in KINDS {
        let lake = Place::new(kind);
        let (place, lake) = (&lake, lake.open());
        commit(
            &lake,
            Change::ReplaceAll,
            vec![stage(&lake, "r0", "a", 0..100, 1, 1)],
        );
        for round in 1..=6_i64 {
            let context = format!("{kind:?}, round {round}");
            let check = |rows: i64, versions: i64| {
                let session = lake.session().expect("a session");
                let sum = (0..rows).sum::<i64>();
                assert_eq!(contents(&session), (rows, rows, sum, versions), "{context}");
                // Nothing of an engine's own memory: as another reader sees it.
                if kind != Kind::DuckDb {
                    let other = place.open().session().expect("a session");
                    assert_eq!(contents(&other), (rows, rows, sum, versions), "{context}");
                }
            };
            let before = if round == 1 { 1 } else { 2 * round - 1 };
            run(&lake, "delete from lake.shop.numbers where id >= 50");
            check(50, 50 * before);
            let part = stage(&lake, &format!("a{round}"), "a", 40..100, 1, 2 * round);
            commit(&lake, upsert(), vec![part]);
            check(100, 40 * before + 60 * 2 * round);
            maintain(&lake, &thorough());
            check(100, 40 * before + 60 * 2 * round);
            let part = stage(&lake, &format!("b{round}"), "a", 0..100, 1, 2 * round + 1);
            commit(&lake, upsert(), vec![part]);
            check(100, 100 * (2 * round + 1));
            maintain(&lake, &thorough());
            check(100, 100 * (2 * round + 1));
            assert_sound(&lake, &context);
        }
    }
}
