//! Tables in folders and buckets of Parquet files.

use std::path::Path;

use pintail_config::Location;
use pintail_connectors::registry;
use pintail_lake::{
    Access, Call, Change, CommitOutcome, CommitPart, CommitRequest, Destination, DestinationPlace, Engine,
    EngineSettings, LedgerEntry, Result, StagedFile, SweepPolicy, quote,
};
use pintail_model::{Checksum, Column, ErrorKind, LogicalType, PartitionKey, RunId, TableName};
use pintail_testkit::{S3Bucket, S3Server};

/// A destination in an engine of its own.
struct Shop {
    place: Box<dyn DestinationPlace>,
    attached: Box<dyn Destination>,
}

fn open(address: &str) -> Shop {
    let location = Location::parse(address, Path::new("/")).unwrap();
    let place = registry::destination(&location.datastore, Path::new("/")).unwrap();
    let engine = Engine::open(&EngineSettings::default()).unwrap();
    let attached = place.attach(&engine, Access::ReadWrite).unwrap();
    Shop { place, attached }
}

fn in_bucket(bucket: &S3Bucket) -> String {
    format!("{}?{}", bucket.url("out/"), bucket.parameters(""))
}

fn orders() -> TableName {
    TableName::new("sales", "orders")
}

fn columns() -> Vec<Column> {
    ["id", "version"]
        .into_iter()
        .map(|name| Column {
            name: name.to_owned(),
            logical_type: LogicalType::Int64,
            nullable: true,
            origin: None,
        })
        .collect()
}

fn upsert() -> Change {
    Change::Upsert {
        key: vec!["id".to_owned()],
        newer: Some("version".to_owned()),
    }
}

impl Shop {
    /// Stages ids `rows` of one version.
    fn stage(&self, run: &str, partition: &str, rows: std::ops::Range<i64>, version: i64) -> CommitPart {
        let run = RunId::from_stored(run);
        let path = self.attached.stage(&orders(), &run).unwrap().file(partition, 1);
        let sql = format!(
            "copy (select i::bigint as id, {version}::bigint as version from range({}, {}) as r(i)) to {} (format parquet)",
            rows.start,
            rows.end,
            quote::literal(&path.to_string_lossy())
        );
        let session = self.attached.session().unwrap();
        let count = session.execute(Call::new("stage"), &sql).unwrap();
        let bytes = self.attached.secure(&path).unwrap();
        CommitPart {
            entry: LedgerEntry {
                pipeline: "orders".to_owned(),
                strategy: "test".to_owned(),
                run: run.clone(),
                key: PartitionKey::new("orders", &run, partition),
                rows: count,
                checksum: Checksum::default(),
                source: "test".to_owned(),
                cursor: None,
                watermark: None,
            },
            files: vec![StagedFile {
                path,
                rows: count,
                bytes,
            }],
        }
    }

    fn try_commit(&self, change: Change, parts: Vec<CommitPart>) -> Result<CommitOutcome> {
        self.attached.commit(&CommitRequest {
            gone: Vec::new(),
            table: &orders(),
            columns: &columns(),
            change,
            parts,
            author: "test",
            message: "a test".to_owned(),
            compare: None,
            key: &[],
        })
    }

    #[track_caller]
    fn commit(&self, change: Change, parts: Vec<CommitPart>) -> CommitOutcome {
        self.try_commit(change, parts).unwrap()
    }

    /// Rows, different ids, sum of versions.
    fn contents(&self) -> (i64, i64, i64) {
        let session = self.attached.session().unwrap();
        self.attached
            .table(&session, &orders(), &columns())
            .unwrap()
            .unwrap();
        let rows = self.place.rows(&orders(), &columns(), None);
        let sql = format!("select count(*), count(distinct id), sum(version)::bigint from {rows}");
        let found = session.query(Call::new("read"), &sql).unwrap();
        let number = |index| found[0].integer(index).unwrap_or(0);
        (number(0), number(1), number(2))
    }
}

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

    // Somebody else sees the same, and the ledger.
    let other = open(address);
    assert_eq!(other.contents(), (1110, 1110, 1710));
    let session = other.attached.session().unwrap();
    let newest = other.attached.newest(&session, &orders()).unwrap().unwrap();
    assert_eq!(newest.key.as_str(), "orders/r2/a");
    let keys = [newest.key.clone(), PartitionKey::from_stored("orders/r9/a")];
    assert_eq!(other.attached.committed(&session, &keys).unwrap(), [newest]);

    // Staged files of runs that are over go; those of the table stay.
    shop.stage("r3", "a", 0..10, 9);
    let policy = SweepPolicy {
        own_runs: ["r0", "r1", "r2", "r3"].map(RunId::from_stored).to_vec(),
        older_than: None,
    };
    assert_eq!(shop.attached.sweep(&orders(), &policy).unwrap().files, 5);
    assert_eq!(shop.contents(), (1110, 1110, 1710));
}

#[test]
fn a_table_lives_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    check_life(&format!("files:{}/out it's/", folder.path().display()));
}

#[test]
fn a_table_lives_in_a_bucket() {
    check_life(&in_bucket(&S3Server::shared().fresh_bucket()));
}

#[test]
fn of_two_committers_both_come_in() {
    let bucket = S3Server::shared().fresh_bucket();
    let address = in_bucket(&bucket);
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
    insta::assert_snapshot!(place("files:out/?format=csv"), @"cannot write to datastore `files:/out/?format=csv`: files are written as Parquet");
}

#[test]
fn rows_without_a_key_and_other_columns_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&format!("files:{}/out/", folder.path().display()));
    shop.commit(Change::ReplaceAll, vec![shop.stage("r0", "a", 0..100, 1)]);
    let mut part = shop.stage("r1", "a", 0..10, 2);
    part.files.push(part.files[0].clone());
    let error = shop.try_commit(upsert(), vec![part.clone()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    part.files.pop();
    let (table, narrow) = (orders(), &columns()[..1]);
    let request = |change| CommitRequest {
        gone: Vec::new(),
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
