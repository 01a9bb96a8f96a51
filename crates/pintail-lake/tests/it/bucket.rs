//! Lakes with their files in a bucket, on a real server that speaks S3.

use std::time::Duration;

use pintail_lake::{Access, Call, Change, Engine, EngineSettings, Lake, LeaseSettings, SweepPolicy};
use pintail_model::{ErrorKind, RunId, Secret};
use pintail_testkit::{Fault, PostgresServer, S3Server, TcpProxy, Trap, assert_no_canary};

use crate::lakes::{
    KINDS, Kind, Place, assert_sound, assert_swept, commit, contents, lake_files, numbers, references, stage,
    try_commit, upsert,
};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn loads_and_upserts_are_committed_and_swept() {
    for kind in KINDS {
        let place = Place::in_bucket(kind);
        let lake = place.open();
        let parts = vec![
            stage(&lake, "r0", "a", 0..600, 1, 1),
            stage(&lake, "r0", "b", 600..1000, 1, 1),
        ];
        commit(&lake, Change::ReplaceAll, parts);
        let outcome = commit(&lake, upsert(), vec![stage(&lake, "r1", "a", 500..1100, 1, 2)]);
        assert_eq!(
            (outcome.rows_inserted, outcome.rows_updated),
            (100, 500),
            "{kind:?}"
        );
        assert_sound(&lake, "after an upsert");
        assert_eq!(contents(&lake.session().unwrap()), (1100, 1100, 604_450, 1700));
        assert!(
            lake_files(&lake)
                .iter()
                .all(|file| file.starts_with(&place.location.data_path))
        );

        // Staged, and never committed.
        stage(&lake, "r2", "a", 0..10, 1, 3);
        let policy = SweepPolicy {
            own_runs: vec![RunId::from_stored("r2")],
            older_than: Some(Duration::from_hours(1)),
        };
        let swept = lake.sweep(&numbers(), &policy).unwrap();
        assert_eq!(swept.files, 1, "{kind:?}");
        assert_swept(&lake, "after a sweep");
        assert_sound(&lake, "after a sweep");
    }
}

#[test]
fn delete_files_survive_a_lost_answer() {
    let place = Place::in_bucket(Kind::Postgres);
    let proxy = TcpProxy::start(PostgresServer::shared().address());
    let lake = place.address.through(proxy.port()).open(LeaseSettings::default());
    commit(
        &lake,
        Change::ReplaceAll,
        vec![stage(&lake, "r0", "a", 0..1000, 1, 1)],
    );
    proxy.arm(Trap::new(Fault::SwallowCommitAnswer).after_query("ducklake_snapshot VALUES"));
    let outcome = commit(&lake, upsert(), vec![stage(&lake, "r1", "a", 500..1100, 1, 2)]);
    assert!(proxy.wait_fired(LIMIT), "the trap was not sprung");
    assert_eq!((outcome.asked, outcome.repaired), (1, 1));
    let lake = place.open();
    assert_sound(&lake, "after a lost answer");
    assert_eq!(contents(&lake.session().unwrap()), (1100, 1100, 604_450, 1700));
    let copies = lake_files(&lake)
        .into_iter()
        .filter(|file| file.to_string_lossy().contains("pintail-guard"));
    assert_eq!(copies.count(), 0, "the copies are gone when the outcome is known");
}

#[test]
fn who_comes_later_puts_back_what_a_dead_committer_could_not() {
    let place = Place::in_bucket(Kind::Sqlite);
    let lake = place.open();
    commit(
        &lake,
        Change::ReplaceAll,
        vec![stage(&lake, "r0", "a", 0..1000, 1, 1)],
    );
    commit(&lake, upsert(), vec![stage(&lake, "r1", "a", 500..600, 1, 2)]);
    // What a committer leaves that dies after DuckLake deleted the file and before it asked the ledger.
    let session = lake.session().unwrap();
    let store = pintail_storage::Store::new(place.location.bucket.as_ref().unwrap()).unwrap();
    let delete = references(&lake, &session)
        .into_iter()
        .find(|file| file.deletes)
        .unwrap()
        .path;
    let key = delete.to_string_lossy().replace(&store.url(""), "");
    let (folder, name) = key.rsplit_once('/').unwrap();
    assert!(
        store
            .copy(&key, &format!("{folder}/pintail-guard/dead/{name}"))
            .unwrap()
    );
    store.delete(&key).unwrap();
    assert!(try_read(&lake).is_err());

    assert_eq!(lake.repair(&session, &numbers()).unwrap(), 1);
    assert_eq!(contents(&session).0, 1000);
    store.delete(&key).unwrap();
    let outcome = commit(&lake, upsert(), vec![stage(&lake, "r2", "a", 0..10, 1, 3)]);
    assert_eq!((outcome.repaired, outcome.rows_updated), (1, 10));
    assert_sound(&lake, "after a repair");

    // Nobody can tell whether the maker of the copies is dead until they are old.
    let policy = |older_than| SweepPolicy {
        own_runs: Vec::new(),
        older_than: Some(older_than),
    };
    let swept = lake.sweep(&numbers(), &policy(Duration::from_hours(1))).unwrap();
    assert_eq!(swept.files, 0);
    lake.sweep(&numbers(), &policy(Duration::ZERO)).unwrap();
    assert!(
        !lake_files(&lake)
            .iter()
            .any(|file| file.to_string_lossy().contains("pintail-guard"))
    );
    assert_sound(&lake, "after a sweep");
}

fn try_read(lake: &Lake) -> pintail_lake::Result<()> {
    let session = lake.session()?;
    session
        .query(
            Call::new("read the table"),
            "select sum(version) from lake.shop.numbers",
        )
        .map(drop)
}

#[test]
fn keys_do_not_show_when_a_bucket_is_refused() {
    let place = Place::in_bucket(Kind::Sqlite);
    drop(place.open());
    let mut location = place.location.clone();
    let settings = location.bucket.as_mut().unwrap();
    settings.endpoint = Some("127.0.0.1:1".to_owned());
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    let lake = Lake::attach(&engine, &location, Access::ReadWrite).unwrap();
    let folder = lake.stage(&numbers(), &RunId::from_stored("r0")).unwrap();
    let sql = format!(
        "copy (select 1 as id) to '{}' (format parquet)",
        folder.file("a", 1).display()
    );
    let error = lake
        .session()
        .unwrap()
        .execute(Call::new("stage rows"), &sql)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let source = std::error::Error::source(&error).map(ToString::to_string);
    let shown = format!("{error} {error:?} {source:?} {location:?} {lake:?}");
    assert_no_canary(&shown, &[S3Server::KEY_ID, S3Server::SECRET]);
}

#[test]
fn wrong_settings_are_told_before_anything_is_written() {
    let place = Place::in_bucket(Kind::Sqlite);
    let lake = place.open();
    let part = stage(&lake, "r0", "a", 0..10, 1, 1);
    let mut location = place.location.clone();
    location.bucket.as_mut().unwrap().endpoint = Some("not an address".to_owned());
    location.bucket.as_mut().unwrap().keys.as_mut().unwrap().secret = Secret::new("x");
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    let error = Lake::attach(&engine, &location, Access::ReadWrite).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(
        try_commit(&lake, Change::ReplaceAll, vec![part])
            .unwrap()
            .rows_inserted,
        10
    );
}
