//! What a commit promises, on every catalogue.

use std::time::Duration;

use pintail_lake::{
    Access, Call, Change, CommitPart, Engine, EngineSettings, Lake, LeaseSettings, Session, SweepPolicy,
};
use pintail_model::{ErrorKind, LogicalType, RunId, TableName};

use crate::lakes::{
    KINDS, Kind, Place, columns, commit, contents, numbers, parquet_files, shown, stage, try_commit, upsert,
};
use crate::loads::{Loads, column};

#[test]
fn a_table_appears_filled_and_is_replaced_at_once() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        let session = lake.session().unwrap();
        assert_eq!(lake.table(&session, &numbers()).unwrap(), None, "{kind:?}");

        let parts = vec![
            stage(&lake, "r1", "a", 0..1000, 1, 1),
            stage(&lake, "r1", "b", 1000..1500, 1, 1),
        ];
        let outcome = commit(&lake, Change::ReplaceAll, parts);
        assert_eq!(
            (
                outcome.rows_inserted,
                outcome.rows_deleted,
                outcome.committed.len()
            ),
            (1500, 0, 2),
            "{kind:?}"
        );
        assert_eq!(contents(&session), (1500, 1500, 1_124_250, 1500), "{kind:?}");

        let outcome = commit(
            &lake,
            Change::ReplaceAll,
            vec![stage(&lake, "r2", "a", 0..10, 1, 2)],
        );
        assert_eq!(
            (outcome.rows_inserted, outcome.rows_deleted),
            (10, 1500),
            "{kind:?}"
        );
        assert_eq!(contents(&session), (10, 10, 45, 20), "{kind:?}");
        let table = lake.table(&session, &numbers()).unwrap().unwrap();
        assert!(table.matches(&columns()), "{kind:?}: {table:?}");
        assert_eq!(table.rows, 10);
    }
}

#[test]
fn an_upsert_replaces_rows_of_the_same_key_only() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        let session = lake.session().unwrap();
        commit(
            &lake,
            Change::ReplaceAll,
            vec![stage(&lake, "r1", "a", 0..1000, 1, 1)],
        );
        let outcome = commit(&lake, upsert(), vec![stage(&lake, "r2", "a", 500..1500, 2, 2)]);
        assert_eq!(
            (outcome.rows_inserted, outcome.rows_updated),
            (250, 250),
            "{kind:?}"
        );
        assert_eq!(contents(&session).0, 1250, "{kind:?}");
        assert_eq!(contents(&session).1, 1250, "{kind:?}");
    }
}

#[test]
fn older_rows_never_win() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        let session = lake.session().unwrap();
        commit(
            &lake,
            Change::ReplaceAll,
            vec![stage(&lake, "r1", "a", 0..100, 1, 5)],
        );
        let outcome = commit(&lake, upsert(), vec![stage(&lake, "r2", "a", 50..150, 1, 4)]);
        assert_eq!((outcome.rows_inserted, outcome.rows_updated), (50, 0), "{kind:?}");
        assert_eq!(contents(&session), (150, 150, 11_175, 700), "{kind:?}");
        let outcome = commit(&lake, upsert(), vec![stage(&lake, "r3", "a", 0..10, 1, 4)]);
        assert_eq!(outcome.rows_inserted, 0, "{kind:?}");
        assert_eq!(contents(&session), (150, 150, 11_175, 700), "{kind:?}");
    }
}

#[test]
fn a_partition_is_committed_once_whatever_it_is_grouped_with() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        let session = lake.session().unwrap();
        commit(&lake, Change::Append, vec![stage(&lake, "r1", "a", 0..10, 1, 1)]);
        let again = vec![
            stage(&lake, "r1", "a", 0..10, 1, 1),
            stage(&lake, "r1", "b", 10..20, 1, 1),
        ];
        let outcome = commit(&lake, Change::Append, again);
        assert_eq!(
            (outcome.committed.len(), outcome.already.len()),
            (1, 1),
            "{kind:?}"
        );
        assert_eq!(contents(&session).0, 20, "{kind:?}");
        let outcome = commit(&lake, Change::Append, vec![stage(&lake, "r1", "b", 10..20, 1, 1)]);
        assert_eq!((outcome.snapshot, outcome.already.len()), (None, 1), "{kind:?}");
        assert_eq!(contents(&session).0, 20, "{kind:?}");
    }
}

#[test]
fn an_upsert_without_a_unique_key_is_refused_and_changes_nothing() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        let session = lake.session().unwrap();
        commit(
            &lake,
            Change::ReplaceAll,
            vec![stage(&lake, "r1", "a", 0..10, 1, 1)],
        );
        let snapshot = lake.snapshot(&session).unwrap();
        let mut twice = stage(&lake, "r2", "a", 0..10, 1, 2);
        twice.files.extend(stage(&lake, "r2", "b", 5..6, 1, 3).files);
        let error = try_commit(&lake, upsert(), vec![twice]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "{error}");
        assert_eq!(lake.snapshot(&session).unwrap(), snapshot, "{kind:?}");
        assert_eq!(contents(&session), (10, 10, 45, 10), "{kind:?}");
    }
}

#[test]
fn an_upsert_into_a_new_table_needs_a_unique_key_too() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        let mut twice = stage(&lake, "r1", "a", 0..10, 1, 1);
        twice.files.extend(stage(&lake, "r1", "b", 5..6, 1, 1).files);
        let error = try_commit(&lake, upsert(), vec![twice]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "{error}");
        let session = lake.session().unwrap();
        assert_eq!(lake.table(&session, &numbers()).unwrap(), None, "{kind:?}");
    }
}

#[test]
fn a_request_that_names_a_partition_or_a_file_twice_is_refused() {
    let place = Place::new(Kind::Sqlite);
    let lake = place.open();
    let part = stage(&lake, "r1", "a", 0..10, 1, 1);
    let again = stage(&lake, "r1", "b", 10..20, 1, 1);
    let same_key = CommitPart {
        entry: part.entry.clone(),
        files: again.files.clone(),
    };
    let same_file = CommitPart {
        entry: again.entry,
        files: part.files.clone(),
    };
    for second in [same_key, same_file] {
        let error = try_commit(&lake, Change::Append, vec![part.clone(), second]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
}

#[test]
fn a_sweep_leaves_what_snapshots_need_and_nothing_else() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        let session = lake.session().unwrap();
        commit(
            &lake,
            Change::ReplaceAll,
            vec![stage(&lake, "r1", "a", 0..1000, 1, 1)],
        );
        commit(&lake, upsert(), vec![stage(&lake, "r2", "a", 0..10, 1, 2)]);
        stage(&lake, "r2", "lost", 0..10, 1, 2);
        stage(&lake, "r3", "running", 0..10, 1, 2);
        let before = parquet_files(place.folder.path()).len();
        let over = vec![RunId::from_stored("r1"), RunId::from_stored("r2")];
        let swept = lake
            .sweep(
                &numbers(),
                &SweepPolicy {
                    own_runs: over,
                    older_than: None,
                },
            )
            .unwrap();
        assert_eq!(swept.files, 1, "{kind:?}");
        assert_eq!(parquet_files(place.folder.path()).len(), before - 1, "{kind:?}");
        assert_eq!(contents(&session).0, 1000, "{kind:?}");
    }
}

#[test]
fn a_sweep_leaves_files_that_a_running_query_may_still_read() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        let session = lake.session().unwrap();
        commit(
            &lake,
            Change::ReplaceAll,
            vec![stage(&lake, "r1", "a", 0..1000, 1, 1)],
        );
        commit(&lake, upsert(), vec![stage(&lake, "r2", "a", 0..10, 1, 2)]);
        let old = std::time::SystemTime::UNIX_EPOCH;
        for path in parquet_files(&lake.location().data_path) {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(old).unwrap();
        }
        // Its delete file takes the place of the one before, which is as old as can be.
        commit(&lake, upsert(), vec![stage(&lake, "r3", "a", 10..20, 1, 2)]);
        let sweep = |older_than| {
            let policy = SweepPolicy {
                own_runs: Vec::new(),
                older_than: Some(older_than),
            };
            lake.sweep(&numbers(), &policy).unwrap().files
        };
        assert_eq!(sweep(Duration::from_hours(1)), 0, "{kind:?}");
        assert_eq!(sweep(Duration::ZERO), 1, "{kind:?}");
        assert_eq!(contents(&session), (1000, 1000, 499_500, 1020), "{kind:?}");
    }
}

#[test]
fn a_sweep_that_does_not_get_the_lease_removes_nothing() {
    let place = Place::new(Kind::Sqlite);
    let lake = place.address.open(LeaseSettings {
        wait: Duration::from_millis(50),
        ..LeaseSettings::default()
    });
    commit(
        &lake,
        Change::ReplaceAll,
        vec![stage(&lake, "r1", "a", 0..10, 1, 1)],
    );
    stage(&lake, "r2", "lost", 0..10, 1, 2);
    let policy = SweepPolicy {
        own_runs: Vec::new(),
        older_than: Some(Duration::ZERO),
    };
    let holder = std::fs::File::open(place.folder.path().join("lake.sqlite.lease")).unwrap();
    holder.lock().unwrap();
    assert_eq!(lake.sweep(&numbers(), &policy).unwrap().files, 0);
    holder.unlock().unwrap();
    assert_eq!(lake.sweep(&numbers(), &policy).unwrap().files, 1);
}

#[test]
fn a_table_that_is_made_anew_counts_the_rows_that_went() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        commit(
            &lake,
            Change::ReplaceAll,
            vec![stage(&lake, "r1", "a", 0..100, 1, 1)],
        );
        let loads = Loads::new(&lake, numbers(), vec![column("id", LogicalType::Text)]);
        let outcome = loads.replace("r2", "select 'x' as id");
        assert_eq!(
            (outcome.rows_inserted, outcome.rows_deleted),
            (1, 100),
            "{kind:?}"
        );
        assert_eq!(loads.rows(), [["x"]], "{kind:?}");
    }
}

#[test]
fn another_program_inlines_nothing_in_our_tables() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = place.open();
        let session = lake.session().unwrap();
        let run = |sql: &str| {
            let ran = session.batch(Call::new("change"), sql);
            ran.unwrap_or_else(|error| shown(&error));
        };
        let text = Loads::new(&lake, numbers(), vec![column("id", LogicalType::Text)]);
        commit(
            &lake,
            Change::ReplaceAll,
            vec![stage(&lake, "r1", "a", 0..100, 1, 1)],
        );
        let snapshot = lake.snapshot(&session).unwrap();
        // As a program that does not know of us, with DuckLake's own default.
        run(
            "set global ducklake_default_data_inlining_row_limit = 10; delete from lake.shop.numbers where id = 5",
        );
        assert_eq!(delete_files(&session), 1, "{kind:?}");
        // The option took no snapshot.
        assert_eq!(lake.snapshot(&session).unwrap(), snapshot + 1, "{kind:?}");
        text.replace("r2", "select id::varchar as id from range(100) as r(id)");
        run("delete from lake.shop.numbers where id = '5'");
        assert_eq!(delete_files(&session), 1, "{kind:?}");

        // A table of somebody else, from the first commit on.
        run(
            "create table lake.shop.theirs (id varchar); insert into lake.shop.theirs select id::varchar from range(100) as r(id)",
        );
        let theirs = Loads::new(&lake, TableName::new("shop", "theirs"), text.columns.clone());
        theirs.upsert("r3", "select 'x' as id", &["id"], None);
        run("delete from lake.shop.theirs where id = '7'; insert into lake.shop.theirs values ('y')");
        let flushed = session
            .query(
                Call::new("flush"),
                "call ducklake_flush_inlined_data('lake', schema_name => 'shop')",
            )
            .unwrap_or_else(|error| shown(&error));
        let flushed: i64 = flushed.iter().filter_map(|row| row.integer(2)).sum();
        assert_eq!(flushed, 0, "{kind:?}");
        assert_eq!(theirs.rows().len(), 101, "{kind:?}");
    }
}

fn delete_files(session: &Session) -> i64 {
    let sql = "select count(delete_file) from ducklake_list_files('lake', 'numbers', schema => 'shop')";
    let rows = session.query(Call::new("list files"), sql);
    rows.unwrap_or_else(|error| shown(&error))[0].integer(0).unwrap()
}

#[test]
fn files_are_kept_with_relative_paths_so_that_a_lake_can_be_moved() {
    let place = Place::new(Kind::Sqlite);
    let lake = place.open();
    commit(
        &lake,
        Change::ReplaceAll,
        vec![stage(&lake, "r1", "a", 0..1000, 1, 1)],
    );
    let rows = lake
        .session()
        .unwrap()
        .query(
            Call::new("list files"),
            "select path from __ducklake_metadata_lake.main.ducklake_data_file",
        )
        .unwrap();
    assert_eq!(rows[0].text(0), Some("r1/a-1.parquet"));
}

#[test]
fn a_lake_that_does_not_exist_is_not_made_by_looking() {
    let place = Place::new(Kind::Sqlite);
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    let error = Lake::attach(&engine, &place.location, Access::ReadOnly).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(std::fs::read_dir(place.folder.path()).unwrap().count(), 0);
}
