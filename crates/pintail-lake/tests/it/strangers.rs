//! Another program maintains the lake while a run is between staging its files and committing them.

use std::fs;

use pintail_lake::{Call, Change, Lake, Session};
use pintail_model::ErrorKind;
use pintail_testkit::{Fault, PostgresServer, TcpProxy, Trap};

use crate::lakes::{
    KINDS, Kind, Place, assert_sound, commit, contents, parquet_files, shown, stage, try_commit, upsert,
};

/// A DuckDB of its own on the same lake; of a DuckDB file, whose second process would be refused, another session.
fn stranger(place: &Place, lake: &Lake) -> Session {
    let lake = match place.address.kind {
        Kind::DuckDb => lake.clone(),
        Kind::Sqlite | Kind::Postgres => place.open(),
    };
    lake.session().expect("a session")
}

fn run(session: &Session, sql: &str) {
    let ran = session.batch(Call::new("maintain from elsewhere"), sql);
    ran.unwrap_or_else(|error| shown(&error));
}

const CLEAN: &str = "call ducklake_delete_orphaned_files('lake', cleanup_all => true);
                     call ducklake_cleanup_old_files('lake', cleanup_all => true)";

fn filled(place: &Place) -> Lake {
    let lake = place.open();
    commit(
        &lake,
        Change::ReplaceAll,
        vec![stage(&lake, "r1", "a", 0..100, 1, 1)],
    );
    lake
}

#[test]
fn a_checkpoint_between_stage_and_commit_harms_nothing() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = filled(&place);
        let part = stage(&lake, "r2", "a", 50..150, 1, 2);
        run(&stranger(&place, &lake), "checkpoint lake");
        commit(&lake, upsert(), vec![part]);
        let session = lake.session().expect("a session");
        assert_eq!(contents(&session), (150, 150, 11_175, 250), "{kind:?}");
        run(&stranger(&place, &lake), "checkpoint lake");
        assert_eq!(contents(&session), (150, 150, 11_175, 250), "{kind:?}");
        assert_sound(&lake, &format!("{kind:?}"));
    }
}

#[test]
fn a_commit_whose_staged_files_were_removed_is_refused_and_can_be_repeated() {
    for kind in KINDS {
        let place = Place::new(kind);
        let lake = filled(&place);
        for change in [upsert(), Change::Append, Change::ReplaceAll] {
            let part = stage(&lake, "r2", "a", 50..150, 1, 2);
            run(&stranger(&place, &lake), CLEAN);
            assert!(!part.files[0].path.exists(), "{kind:?}");
            let error = try_commit(&lake, change, vec![part]).expect_err("its file is gone");
            assert_eq!(error.kind(), ErrorKind::Conflict, "{kind:?}: {error}");
            assert!(error.to_string().contains("another program removed"), "{error}");
            assert!(error.hint().is_some());
            let session = lake.session().expect("a session");
            assert_eq!(contents(&session), (100, 100, 4950, 100), "{kind:?}");
            assert_sound(&lake, &format!("{kind:?}"));
        }
        // Read again and staged again under the same key, it comes in once.
        let part = stage(&lake, "r2", "a", 50..150, 1, 2);
        commit(&lake, upsert(), vec![part.clone()]);
        assert_eq!(commit(&lake, upsert(), vec![part]).already.len(), 1, "{kind:?}");
        let session = lake.session().expect("a session");
        assert_eq!(contents(&session), (150, 150, 11_175, 250), "{kind:?}");
        assert_sound(&lake, &format!("{kind:?}"));
    }
}

#[test]
fn a_staged_file_that_was_changed_is_refused() {
    let place = Place::new(Kind::Sqlite);
    let lake = filled(&place);
    let part = stage(&lake, "r2", "a", 50..150, 1, 2);
    fs::write(&part.files[0].path, "something else").expect("a file");
    let error = try_commit(&lake, upsert(), vec![part]).expect_err("it is another file");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(contents(&lake.session().expect("a session")).0, 100);
}

/// The stranger looks for orphans before the COMMIT, and removes them while it is on its way.
#[test]
fn files_that_are_removed_while_they_are_committed_are_put_back() {
    let place = Place::new(Kind::Postgres);
    let lake = filled(&place);
    let proxy = TcpProxy::start(PostgresServer::shared().address());
    let behind = place.address.through(proxy.port()).open(lake.lease());
    let part = stage(&behind, "r2", "a", 100..200, 1, 2);
    let staged = part.files[0].path.clone();
    proxy.arm(Trap::new(Fault::Hold).after_query("ducklake_snapshot VALUES"));
    let outcome = std::thread::scope(|scope| {
        let committer = scope.spawn(|| try_commit(&behind, Change::Append, vec![part]));
        assert!(proxy.wait_fired(crate::roles::LIMIT));
        run(
            &stranger(&place, &lake),
            "call ducklake_delete_orphaned_files('lake', cleanup_all => true)",
        );
        assert!(!staged.exists(), "the stranger took it for an orphan");
        proxy.release();
        committer.join().expect("the committer ends")
    });
    let outcome = outcome.unwrap_or_else(|error| shown(&error));
    assert_eq!(outcome.repaired, 1);
    let session = place.open().session().expect("a session");
    assert_eq!(contents(&session), (200, 200, 19_900, 300));
    assert_sound(&lake, "put back");
    assert!(staged.exists());
    let folder = staged.parent().expect("a folder");
    let left = fs::read_dir(folder).expect("the folder").count();
    assert_eq!(left, 1, "no second name is left");
    assert_eq!(parquet_files(&lake.location().data_path).len(), 2);
}
