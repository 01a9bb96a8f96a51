//! What becomes of a table when a commit is tried again, when files of it get lost, and as its ledger grows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pintail_lake::Change;
use pintail_model::{ErrorKind, PartitionKey};
use serde_json::{Value, json};

use super::shop::{columns, open, orders, upsert};

fn data_files(table: &Path) -> BTreeSet<PathBuf> {
    let files = std::fs::read_dir(table).unwrap().flatten();
    files
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect()
}

fn manifest(table: &Path, version: u32) -> PathBuf {
    table.join(format!("_pintail/manifest-{version:012}.json"))
}

#[test]
fn a_commit_that_is_tried_again_touches_no_file_of_the_first_try() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("sales/orders");
    let shop = open(&format!("files:{}/", folder.path().display()));
    let part = shop.stage("r0", "a", 0..100, 1);
    shop.commit(Change::Append, vec![part.clone()]);
    let first = data_files(&table);
    // A put whose answer was lost, and that takes effect later.
    let late = std::fs::read(manifest(&table, 1)).unwrap();
    std::fs::remove_file(manifest(&table, 1)).unwrap();
    shop.commit(Change::Append, vec![part]);
    assert_eq!(data_files(&table).intersection(&first).count(), 1);
    assert_eq!(data_files(&table).len(), 2);
    std::fs::write(manifest(&table, 1), late).unwrap();
    assert_eq!(
        open(&format!("files:{}/", folder.path().display())).contents(),
        (100, 100, 100)
    );
}

#[test]
fn a_table_with_a_lost_file_is_loaded_in_full() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["parquet", "csv", "json"] {
        let address = format!("files:{}/{format}/?format={format}", folder.path().display());
        let table = folder.path().join(format!("{format}/sales/orders"));
        let shop = open(&address);
        shop.commit(Change::ReplaceAll, vec![shop.stage("r0", "a", 0..100, 1)]);
        shop.commit(Change::Append, vec![shop.stage("r1", "a", 100..200, 1)]);
        std::fs::remove_file(data_files(&table).first().unwrap()).unwrap();
        let shop = open(&address);
        let session = shop.attached.session().unwrap();
        let found = shop.attached.table(&session, &orders(), &columns()).unwrap();
        assert!(!found.unwrap().fits, "{format}");
        shop.commit(Change::ReplaceAll, vec![shop.stage("r2", "a", 0..50, 2)]);
        assert_eq!(shop.contents(), (50, 50, 100), "{format}");
        assert_eq!(data_files(&table).len(), 1, "{format}");
    }
}

#[test]
fn a_full_load_comes_in_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&format!("files:{}/", folder.path().display()));
    let parts = [
        shop.stage("r0", "a", 0..100, 1),
        shop.stage("r0", "b", 100..200, 1),
    ];
    shop.commit(Change::ReplaceAll, parts[..1].to_vec());
    let error = shop.try_commit(Change::ReplaceAll, parts.to_vec()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let twice = vec![parts[1].clone(), parts[1].clone()];
    let error = shop.try_commit(Change::Append, twice).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(shop.contents(), (100, 100, 100));
}

#[test]
fn the_ledger_keeps_the_newest_runs_of_each_pipeline() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("sales/orders");
    let shop = open(&format!("files:{}/", folder.path().display()));
    shop.commit(Change::ReplaceAll, vec![shop.stage("r0", "a", 0..100, 1)]);
    // An older release wrote this one, after many runs of a pipeline and one of another.
    let content = std::fs::read(manifest(&table, 1)).unwrap();
    let mut written: Value = serde_json::from_slice(&content).unwrap();
    let entry = |pipeline: &str, number: u32| {
        let mut entry = written["committed"][0].clone();
        entry["pipeline"] = json!(pipeline);
        entry["run"] = json!(format!("m{number}"));
        entry["key"] = json!(format!("{pipeline}/m{number}/a"));
        entry
    };
    let many = (0..300).map(|number| entry("orders", number / 2));
    let entries: Vec<Value> = std::iter::once(entry("others", 0)).chain(many).collect();
    written["committed"] = json!(entries);
    written["pintail_manifest"] = json!(1);
    std::fs::write(manifest(&table, 1), written.to_string()).unwrap();

    let shop = open(&format!("files:{}/", folder.path().display()));
    shop.commit(upsert(), vec![shop.stage("r1", "a", 50..150, 2)]);
    let content = std::fs::read(manifest(&table, 2)).unwrap();
    let written: Value = serde_json::from_slice(&content).unwrap();
    assert_eq!(written["pintail_manifest"], json!(2));
    let keys: Vec<&str> = written["committed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys.len(), 1 + 2 * 99 + 1);
    assert_eq!(
        (keys[0], keys[1], keys[199]),
        ("others/m0/a", "orders/m51/a", "orders/r1/a")
    );
    let session = shop.attached.session().unwrap();
    let kept = PartitionKey::from_stored("others/m0/a");
    assert_eq!(shop.attached.committed(&session, &[kept]).unwrap().len(), 1);
}
