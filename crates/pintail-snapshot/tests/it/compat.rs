//! Snapshots that earlier releases wrote are read by this one. `tests/compat` has one of each format, that of files with every
//! type and that of pins with its lake; they are never written anew.

use std::path::Path;
use std::sync::Arc;

use pintail_lake::{Call, Catalogue, LakeLocation, extension};
use pintail_snapshot::{Lakes, ProjectFolder, ProjectId, RestoreRequest, Unwatched};

use crate::place::{NOW, Place, at, id};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("a file").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).expect("a file");
        }
    }
}

#[test]
fn a_snapshot_of_release_0_1_is_read() {
    let place = Place::new();
    let root = place.root().join("old");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat"), &root);
    let snapshots = ProjectFolder::new(&root, ProjectId::parse("shop").expect("an id"));
    let snapshot = id("release_0_1");
    let verified = snapshots
        .verify(std::slice::from_ref(&snapshot), 1, &Unwatched)
        .expect("a snapshot");
    assert_eq!((verified.files, verified.findings), (2, Vec::new()));
    let database = place.database("new.duckdb");
    let restored = snapshots
        .restore(
            &place.engine,
            &database,
            &snapshot,
            &RestoreRequest::default(),
            at(NOW),
            &Unwatched,
        )
        .expect("restored");
    assert_eq!(restored.not_restored, [""; 0]);
    let row = place
        .ask(
            "new.duckdb",
            "select * from \"odd.one\".\"every type\" where h is not null",
        )
        .remove(0);
    let expected = [
        "7",
        "-170141183460469231731687303715884105728",
        "340282366920938463463374607431768211455",
        "-12345678901234567890123456789012345678901234567890",
        "nan",
        "-0.0",
        "1234567890123456789012345678.0123456789",
        "české 🦆",
        "\\x00\\xFF",
        "0101",
        "infinity",
        "24:00:00",
        "23:59:59.999999999",
        "12:34:56.1+05:30:15",
        "2024-01-02 03:04:05.678901",
        "infinity",
        "2024-01-02 03:04:05.678",
        "2024-01-02 03:04:05.678901234",
        "2024-01-02 03:04:05.678901+00",
        "-1 year 3 days -00:00:00.000001",
        "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "{\"a\": [1, 2.50]}",
        "it's ok",
        "POINT (1 2)",
        "[1, NULL]",
        "[7, NULL]",
        "{'x': -1 day, 'y z': 'NULL'}",
        "{k='00:00:00.000001'}",
        "9007199254740993",
        "1.50",
        "14",
    ];
    assert_eq!(row, expected);
    let sums = "select count(*), sum(id), any_value(name order by id) from in_c_customers.customers";
    assert_eq!(place.ask("new.duckdb", sums), [["100", "5050", "name 1"]]);
    // It goes on where it was.
    place.execute(
        "new.duckdb",
        "insert into \"odd.one\".\"every type\" (t) values ('next')",
    );
    assert_eq!(
        place.value("new.duckdb", "select max(id) from \"odd.one\".v"),
        "9"
    );
    place
        .attempt(
            "new.duckdb",
            "insert into in_c_customers.customers values (1, 'again', null)",
        )
        .expect_err("the key is taken");
}

/// The lake is not where it was.
#[derive(Debug)]
struct Moved(LakeLocation);

impl Lakes for Moved {
    fn find(&self, identity: &str) -> Result<LakeLocation, pintail_snapshot::Error> {
        assert_eq!(
            identity,
            "ducklake:sqlite:/srv/shop/lake.sqlite?data_path=/srv/shop/lake"
        );
        Ok(self.0.clone())
    }
}

#[test]
fn a_snapshot_that_release_0_1_pinned_is_read() {
    let place = Place::new();
    let root = place.root().join("old");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat"), &root);
    let lake = LakeLocation {
        catalogue: Catalogue::Sqlite(root.join("lake/lake.sqlite")),
        data_path: root.join("lake/lake"),
        bucket: None,
    };
    // The catalogue says where its files are.
    place.engine.load(extension::SQLITE).expect("it is there");
    let sql = format!(
        "attach '{}' as moved (type sqlite);
         update moved.ducklake_metadata set value = '{}/' where key = 'data_path';
         detach moved",
        root.join("lake/lake.sqlite").display(),
        lake.data_path.display()
    );
    let session = place.engine.session().expect("a session");
    session
        .batch(Call::new("move the lake"), &sql)
        .expect("a catalogue");
    let snapshots = ProjectFolder::new(&root, ProjectId::parse("shop").expect("an id"));
    let snapshots = snapshots.with_lakes(Arc::new(Moved(lake)));
    let snapshot = id("pinned_by_release_0_1");
    let verified = snapshots
        .verify(std::slice::from_ref(&snapshot), 1, &Unwatched)
        .expect("a snapshot");
    assert_eq!((verified.files, verified.findings), (1, Vec::new()));
    let database = place.database("new.duckdb");
    let request = RestoreRequest::default();
    let restored = snapshots
        .restore(&place.engine, &database, &snapshot, &request, at(NOW), &Unwatched)
        .expect("restored");
    assert_eq!(restored.not_restored, [""; 0]);
    let sums = "select count(*), sum(id), sum(paid), max(tags[2]), (select count(*) from in_c.late) from in_c.customers";
    assert_eq!(
        place.ask("new.duckdb", sums),
        [["100", "5050", "1683.33", "b", "10"]]
    );
}
