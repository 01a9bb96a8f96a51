//! Small files become large ones, and every row stays.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use pintail_config::Location;
use pintail_connectors::files::{FilesMaintenance, FilesPlace};
use pintail_lake::{Change, Engine, EngineSettings, Maintained};
use pintail_model::{ErrorKind, RunId, TableName};
use pintail_testkit::S3Server;

use super::shop::{Shop, in_bucket, open, orders, upsert};

fn asked(number: u32) -> FilesMaintenance {
    FilesMaintenance {
        table: None,
        grace: None,
        now: Timestamp::from_second(1_800_000_000 + i64::from(number)).unwrap(),
        run: RunId::from_stored(format!("20261126_120000_00000{number}")),
    }
}

fn place(address: &str) -> FilesPlace {
    FilesPlace::new(&Location::parse(address, Path::new("/")).unwrap().datastore).unwrap()
}

fn maintain(address: &str, asked: &FilesMaintenance) -> Maintained {
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    let planned = place(address).plan_maintenance(&engine, asked).unwrap();
    let done = place(address).maintain(&engine, asked).unwrap();
    assert_eq!(planned, done, "what was planned, what was done");
    done
}

/// A table that `files` commits added to.
fn table_of(address: &str, files: i64) -> Shop {
    let shop = open(address);
    for number in 0..files {
        let part = shop.stage(
            &format!("r{number}"),
            "a",
            number * 10..number * 10 + 10,
            number % 2,
        );
        shop.commit(Change::Append, vec![part]);
    }
    shop
}

#[test]
fn small_files_of_a_folder_become_one() {
    let folder = tempfile::tempdir().unwrap();
    for (name, layout, to) in [
        ("plain", "format=parquet", 1),
        ("csv", "format=csv", 1),
        ("json", "format=json&partition_by=version", 2),
    ] {
        let address = format!("files:{}/{name}/?{layout}", folder.path().display());
        check(&address, to);
    }
    check(&in_bucket(&S3Server::shared().fresh_bucket()), 1);
}

fn check(address: &str, to: u64) {
    let shop = table_of(address, 6);
    let before = shop.contents();
    let done = maintain(address, &asked(1));
    let table = &done.tables[0];
    assert_eq!(
        (table.table.as_str(), table.files),
        ("sales.orders", 6),
        "{address}"
    );
    assert_eq!((table.merged.from, table.merged.to), (6, to), "{address}");
    assert_eq!((done.files_removed, done.files_waiting), (6, 0), "{address}");
    assert_eq!(open(address).contents(), before, "{address}");

    // Nothing is left to do, and runs go on with what they know.
    let again = maintain(address, &asked(2));
    assert_eq!(
        (again.tables[0].files, again.tables[0].merged.from),
        (to, 0),
        "{address}"
    );
    let outcome = shop.commit(upsert(), vec![shop.stage("r9", "a", 55..65, 9)]);
    assert_eq!((outcome.rows_updated, outcome.rows_inserted), (5, 5), "{address}");
}

#[test]
fn replaced_files_stay_as_long_as_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("files:{}/", folder.path().display());
    let shop = table_of(&address, 3);
    let before = shop.contents();
    let count = || {
        let files = std::fs::read_dir(folder.path().join("sales/orders")).unwrap();
        files.flatten().filter(|entry| entry.path().is_file()).count()
    };
    let graced = |number| FilesMaintenance {
        grace: Some(Duration::from_secs(3600)),
        ..asked(number)
    };
    let done = maintain(&address, &graced(1));
    assert_eq!((done.files_removed, done.files_waiting, count()), (0, 3, 4));
    // Whoever reads by an older manifest still finds its files, and no sweep takes them.
    let policy = pintail_lake::SweepPolicy {
        own_runs: Vec::new(),
        older_than: Some(Duration::ZERO),
    };
    let kept = shop.attached.sweep(&orders(), &policy).unwrap();
    assert_eq!((count(), open(&address).contents()), (4, before), "{kept:?}");
    let done = maintain(&address, &graced(2));
    assert_eq!((done.files_removed, done.files_waiting, count()), (0, 3, 4));
    let later = FilesMaintenance {
        now: graced(1).now.checked_add(Duration::from_secs(3600)).unwrap(),
        ..graced(3)
    };
    let done = maintain(&address, &later);
    assert_eq!((done.files_removed, done.files_waiting, count()), (3, 0, 1));
    assert_eq!(open(&address).contents(), before);
}

#[test]
fn commits_and_maintenance_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("files:{}/?format=csv", folder.path().display());
    table_of(&address, 4);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let shop = open(&address);
            for number in 4..10 {
                let part = shop.stage(&format!("r{number}"), "a", number * 10..number * 10 + 10, 1);
                shop.commit(upsert(), vec![part]);
            }
        });
        for worker in 1..3 {
            let address = &address;
            scope.spawn(move || {
                let engine = Engine::open(&EngineSettings::default()).unwrap();
                for number in 0..4 {
                    // Whoever loses too often is told so, and has changed nothing.
                    match place(address).maintain(&engine, &asked(worker * 10 + number)) {
                        Ok(_) => {}
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                    }
                }
            });
        }
    });
    assert_eq!(open(&address).contents().0, 100);
    assert_eq!(open(&address).contents().1, 100);
}

#[test]
fn a_table_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("files:{}/", folder.path().display());
    table_of(&address, 1);
    let asked = FilesMaintenance {
        table: Some(TableName::bare("orders")),
        ..asked(1)
    };
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    let error = place(&address).plan_maintenance(&engine, &asked).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}
