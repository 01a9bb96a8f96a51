//! Statements that take something of a lake away are run after it was pinned, or not at all.

use pintail_model::ErrorKind;
use pintail_snapshot::{Error, Guarded, GuardedBy, SnapshotType, Unwatched};

use crate::lake_place::{KINDS, Kind, LakePlace};
use crate::place::{NOW, Place, at, told};

fn run(lake: &LakePlace, sql: &str) -> Result<Guarded, Error> {
    let by = GuardedBy {
        created_by: "ada".to_owned(),
        schema: "shop".to_owned(),
        now: at(NOW),
    };
    let Place {
        engine, snapshots, ..
    } = &lake.place;
    snapshots.run_guarded_on_lake(engine, &lake.location, sql, &by, &Unwatched)
}

fn kept(lake: &LakePlace, sql: &str) -> Vec<String> {
    let done = run(lake, sql).unwrap_or_else(|error| panic!("{sql}: {}", told(&error)));
    done.kept.into_iter().flat_map(|kept| kept.tables).collect()
}

#[test]
fn what_takes_rows_of_a_lake_away_is_pinned_first() {
    for (sql, tables) in [
        ("drop table notes", &["shop.notes"][..]),
        (
            "drop table lake.shop.notes; drop table orders",
            &["shop.notes", "shop.orders"],
        ),
        ("truncate notes", &["shop.notes"]),
        ("delete from notes", &["shop.notes"]),
        ("alter table shop.orders drop column n", &["shop.orders"]),
        ("create or replace table notes as select 1 as id", &["shop.notes"]),
        (
            "begin; insert into notes values (11, 11); delete from notes; drop table orders; commit",
            &["shop.notes", "shop.orders"],
        ),
        ("delete from notes where id = 1", &[]),
        ("drop table if exists nothing", &[]),
        ("begin; insert into notes values (12, 12); commit", &[]),
    ] {
        let lake = LakePlace::shop(Kind::Sqlite);
        assert_eq!(kept(&lake, sql), tables, "{sql}");
        assert_eq!(lake.place.verify_all(), [], "{sql}");
    }
}

#[test]
fn what_a_statement_took_from_a_lake_comes_back() {
    for kind in KINDS {
        let lake = LakePlace::shop(kind);
        lake.create("earlier");
        let done = run(
            &lake,
            "drop table notes; begin; update orders set n = 2; truncate orders; commit; select count(*) from orders",
        )
        .unwrap_or_else(|error| panic!("{kind:?}: {}", told(&error)));
        assert_eq!(done.answer.rows, [[Some("0".to_owned())]], "{kind:?}");
        assert_eq!(done.kept.len(), 2, "{kind:?}");
        lake.maintain();
        for kept in &done.kept {
            let manifest = lake.place.snapshots.manifest(&kept.snapshot).expect("a snapshot");
            assert_ne!(manifest.snapshot_type, SnapshotType::Manual, "{kind:?}");
            // Known from the earlier one, without a look at the rows.
            assert!(
                manifest.tables.iter().all(|table| table.same_as.is_some()),
                "{kind:?}"
            );
            lake.restore(kept.snapshot.as_str());
        }
        let counts = "select (select count(*) from lake.shop.notes), (select sum(n) from lake.shop.orders)";
        assert_eq!(lake.ask(counts), [["10", "0"]], "{kind:?}");
    }
}

#[test]
fn a_statement_that_cannot_be_kept_is_not_run() {
    let lake = LakePlace::shop(Kind::Sqlite);
    lake.create("earlier");
    // Nobody can make a file below a file.
    let folder = lake.place.snapshots.path().join(".work");
    std::fs::remove_dir_all(&folder).expect("a folder");
    std::fs::write(&folder, "").expect("a file");
    let error = run(&lake, "drop table notes").expect_err("it cannot be kept");
    assert!(matches!(error, Error::Kept { .. }), "{}", told(&error));
    assert_eq!(lake.value("select count(*) from lake.shop.notes"), "10");
}

#[test]
fn statements_that_would_take_pins_away_are_refused() {
    let lake = LakePlace::shop(Kind::Sqlite);
    lake.create("before");
    for sql in [
        "call ducklake_expire_snapshots('lake', older_than => now())",
        "from ducklake_cleanup_old_files('lake', cleanup_all => true)",
        "select * from ducklake_delete_orphaned_files('lake', cleanup_all => true)",
        "checkpoint lake",
        "force checkpoint",
        "delete from __ducklake_metadata_lake.main.pintail_pins",
        "use memory; drop table lake.shop.notes",
    ] {
        let error = run(&lake, sql).expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
    }
    assert_eq!(lake.pins().len(), 1);
    assert_eq!(lake.place.verify_all(), []);
}
