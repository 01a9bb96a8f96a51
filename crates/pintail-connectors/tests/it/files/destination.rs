//! Tables in folders and buckets, in every format and layout.

use std::path::Path;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::{Call, Change, CommitRequest, SweepPolicy};
use pintail_model::{ErrorKind, PartitionKey, RunId, TableName};
use pintail_testkit::S3Server;

use super::shop::{columns, in_bucket, open, orders, upsert};

/// The whole life of a table, wherever it lies.
fn check_life(address: &str) {
    let shop = open(address);
    let parts = vec![
        shop.stage("r0", "a", 0..600, 1),
        shop.stage("r0", "b", 600..1000, 1),
    ];
    let outcome = shop.commit(Change::ReplaceAll, parts.clone());
    assert_eq!((outcome.snapshot, outcome.rows_inserted), (Some(1), 1000));
    assert_eq!(shop.contents(), (1000, 1000, 1000));

    // Once.
    let again = shop.commit(Change::ReplaceAll, parts);
    assert_eq!((again.snapshot, again.already.len()), (None, 2));

    let outcome = shop.commit(upsert(), vec![shop.stage("r1", "a", 500..1100, 2)]);
    assert_eq!((outcome.rows_updated, outcome.rows_inserted), (500, 100));
    assert_eq!(shop.contents(), (1100, 1100, 500 + 1200));

    // What is there in a later version stays.
    let outcome = shop.commit(upsert(), vec![shop.stage("r2", "a", 1090..1110, 1)]);
    assert_eq!((outcome.rows_updated, outcome.rows_inserted), (0, 10));
    assert_eq!(shop.contents(), (1110, 1110, 1710));

    // Rows whose keys are gone go, whatever folder they lie in, together with what comes.
    let gone = shop.stage("r4", "gone", 1105..1110, 1).files;
    let parts = vec![shop.stage("r4", "a", 1110..1112, 1)];
    let outcome = shop.commit_without(gone, parts);
    assert_eq!(
        (outcome.rows_updated, outcome.rows_inserted, outcome.rows_deleted),
        (0, 2, 5)
    );
    assert_eq!(shop.contents(), (1107, 1107, 1707));
    let gone = shop.stage("r5", "gone", 1110..1112, 1).files;
    let parts = vec![shop.stage("r5", "a", 1105..1110, 1)];
    shop.commit_without(gone, parts);
    assert_eq!(shop.contents(), (1110, 1110, 1710));

    // Somebody else sees the same, and the ledger.
    let other = open(address);
    assert_eq!(other.contents(), (1110, 1110, 1710));
    let session = other.attached.session().unwrap();
    let newest = other.attached.newest(&session, &orders()).unwrap().unwrap();
    assert_eq!(newest.key.as_str(), "orders/r5/a");
    let keys = [newest.key.clone(), PartitionKey::from_stored("orders/r9/a")];
    assert_eq!(other.attached.committed(&session, &keys).unwrap(), [newest]);

    // Staged files of runs that are over go; those of the table stay.
    shop.stage("r3", "a", 0..10, 9);
    let policy = SweepPolicy {
        own_runs: ["r0", "r1", "r2", "r3", "r4", "r5"]
            .map(RunId::from_stored)
            .to_vec(),
        older_than: None,
    };
    assert_eq!(shop.attached.sweep(&orders(), &policy).unwrap().files, 9);
    assert_eq!(shop.contents(), (1110, 1110, 1710));
}

/// Formats and folders. With `version` in the names of folders, rows that change move from one to another.
const LAYOUTS: [&str; 6] = [
    "format=parquet",
    "format=csv",
    "format=json",
    "format=parquet&partition_by=version",
    "format=csv&partition_by=version&delimiter=tab",
    "format=json&partition_by=version",
];

#[test]
fn a_table_lives_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    for (number, layout) in LAYOUTS.iter().enumerate() {
        let above = format!("{}/out it's {number}", folder.path().display());
        check_life(&format!("files:{above}/?{layout}"));
        let left: Vec<String> = files_below(Path::new(&above))
            .into_iter()
            .filter(|name| !name.contains("/part-") && !name.contains("/manifest-"))
            .collect();
        assert_eq!(left, Vec::<String>::new(), "{layout}");
    }
}

#[test]
fn a_table_lives_in_a_bucket() {
    for layout in LAYOUTS {
        check_life(&format!(
            "{}&{layout}",
            in_bucket(&S3Server::shared().fresh_bucket())
        ));
    }
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => names.extend(files_below(&path)),
            path => names.push(path.display().to_string()),
        }
    }
    names
}

#[test]
fn of_two_committers_both_come_in() {
    let bucket = S3Server::shared().fresh_bucket();
    let folder = tempfile::tempdir().unwrap();
    check_committers(&in_bucket(&bucket));
    check_committers(&format!(
        "{}&format=csv&partition_by=version",
        in_bucket(&S3Server::shared().fresh_bucket())
    ));
    check_committers(&format!("files:{}/?format=json", folder.path().display()));
}

fn check_committers(address: &str) {
    let address = address.to_owned();
    open(&address).commit(
        Change::ReplaceAll,
        vec![open(&address).stage("r0", "a", 0..100, 1)],
    );
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let address = &address;
            scope.spawn(move || {
                let shop = open(address);
                for number in 0..3 {
                    let run = format!("w{worker}-{number}");
                    let first = 100 * (worker * 3 + number + 1);
                    shop.commit(upsert(), vec![shop.stage(&run, "a", first..first + 100, 1)]);
                }
            });
        }
    });
    assert_eq!(open(&address).contents(), (1000, 1000, 1000));
}

#[test]
fn small_files_are_taken_along() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&format!("files:{}/out/", folder.path().display()));
    for number in 0..20 {
        let run = format!("r{number:02}");
        shop.commit(
            upsert(),
            vec![shop.stage(&run, "a", number * 10..number * 10 + 10, 1)],
        );
    }
    assert_eq!(shop.contents(), (200, 200, 200));
    let files = std::fs::read_dir(folder.path().join("out/sales/orders")).unwrap();
    let data = files.flatten().filter(|entry| entry.path().is_file()).count();
    assert!(data <= 8, "{data} files");
}

#[test]
fn a_naive_reader_sees_the_table_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&format!("files:{}/out/", folder.path().display()));
    shop.commit(Change::ReplaceAll, vec![shop.stage("r0", "a", 0..100, 1)]);
    shop.commit(Change::ReplaceAll, vec![shop.stage("r1", "a", 0..50, 2)]);
    shop.commit(upsert(), vec![shop.stage("r2", "a", 40..60, 3)]);
    let sql = format!(
        "select count(*) from '{}/out/sales/orders/*.parquet'",
        folder.path().display()
    );
    let rows = shop
        .attached
        .session()
        .unwrap()
        .query(Call::new("read"), &sql)
        .unwrap();
    assert_eq!(rows[0].integer(0), Some(60));
}

#[test]
fn a_table_in_another_layout_is_written_anew_and_never_mixed() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("files:{}/out/", folder.path().display());
    open(&address).commit(
        Change::ReplaceAll,
        vec![open(&address).stage("r0", "a", 0..100, 1)],
    );
    for (number, layout) in ["format=csv", "format=json&partition_by=version"]
        .iter()
        .enumerate()
    {
        let shop = open(&format!("{address}?{layout}"));
        let session = shop.attached.session().unwrap();
        let found = shop
            .attached
            .table(&session, &orders(), &columns())
            .unwrap()
            .unwrap();
        assert!(!found.fits, "{layout}");
        let part = shop.stage(&format!("r1{number}"), "a", 50..150, 2);
        let error = shop.try_commit(upsert(), vec![part.clone()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        shop.commit(Change::ReplaceAll, vec![part]);
        assert_eq!(shop.contents(), (100, 100, 200), "{layout}");
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&format!("files:{}/out/", folder.path().display()));
    for name in ["../orders", "_pintail", ".", "a*b", ""] {
        let error = shop
            .attached
            .stage(&TableName::bare(name), &RunId::from_stored("r0"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
    }
    let place = |address: &str| {
        let location = Location::parse(address, Path::new("/")).unwrap();
        registry::destination(&location.datastore, Path::new("/"))
            .err()
            .unwrap()
            .to_string()
    };
    insta::assert_snapshot!(place("files:out/*.parquet"), @"cannot write to datastore `files:/out/*.parquet`: its path has one of the characters `*`, `?` and `[`");
}

#[test]
fn rows_without_a_key_and_other_columns_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&format!("files:{}/out/", folder.path().display()));
    shop.commit(Change::ReplaceAll, vec![shop.stage("r0", "a", 0..100, 1)]);
    let mut part = shop.stage("r1", "a", 0..10, 2);
    part.files.extend(shop.stage("r1", "b", 0..10, 2).files);
    let error = shop.try_commit(upsert(), vec![part.clone()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    part.files.pop();
    let (table, narrow) = (orders(), &columns()[..1]);
    let request = |change| CommitRequest {
        gone: Vec::new(),
        basis: None,
        table: &table,
        columns: narrow,
        change,
        parts: vec![part.clone()],
        author: "test",
        message: "a test".to_owned(),
        compare: None,
        key: &[],
    };
    let error = shop.attached.commit(&request(Change::Append)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let before = shop
        .attached
        .table_id(&shop.attached.session().unwrap(), &orders())
        .unwrap();
    shop.attached.commit(&request(Change::ReplaceAll)).unwrap();
    let after = shop
        .attached
        .table_id(&shop.attached.session().unwrap(), &orders())
        .unwrap();
    assert_ne!(before, after);
}
