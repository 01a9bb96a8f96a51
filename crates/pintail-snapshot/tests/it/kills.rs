//! `kill -9` at random moments of taking, restoring and pruning: what is visible is whole, a database is as it was before or
//! after, and nothing lies around. `PINTAIL_KILLS=1000` kills that often; 200 is the default.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use pintail_model::ErrorKind;
use pintail_snapshot::{CreateRequest, Prune, RestoreRequest};
use pintail_testkit::S3Server;
use serde::{Deserialize, Serialize};

use crate::place::{Place, at, id};
use crate::roles::Role;

/// Longer than any child works.
const LIMIT: Duration = Duration::from_secs(120);

/// Rows of each table.
const ROWS: u64 = 30_000;

/// What a child does again and again until it is killed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Work {
    root: PathBuf,
    /// Endpoint and name, if the snapshots lie in a bucket.
    bucket: Option<(String, String)>,
    round: u32,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    Take,
    Restore,
    Prune,
}

impl Work {
    pub(crate) fn play(&self) {
        let place = match &self.bucket {
            None => Place::at(&self.root),
            Some((endpoint, name)) => Place::at(&self.root).in_bucket(&S3Server::settings_of(endpoint, name)),
        };
        println!("ready");
        for number in 0..1000 {
            match self.what {
                What::Take => {
                    let request = CreateRequest {
                        id: Some(id(&format!("r{}-{number}", self.round))),
                        ..CreateRequest::default()
                    };
                    place.create_with("shop.duckdb", &request).expect("a snapshot");
                    place.execute("shop.duckdb", "update orders set n = n + 1");
                }
                What::Restore => {
                    let snapshot = if number % 2 == 0 { "even" } else { "odd" };
                    let request = RestoreRequest {
                        replace: true,
                        ..RestoreRequest::default()
                    };
                    place
                        .restore_with("target.duckdb", snapshot, &request)
                        .expect("restored");
                }
                What::Prune => {
                    let request = CreateRequest {
                        id: Some(id(&format!("p{}-{number}", self.round))),
                        ..CreateRequest::default()
                    };
                    place.create_with("shop.duckdb", &request).expect("a snapshot");
                    prune(&place);
                }
            }
        }
    }
}

/// Takes away all that may go, at once.
fn prune(place: &Place) {
    let now = at("2030-01-01T00:00:00Z");
    let asked = Prune {
        grace: Duration::ZERO,
        silence: Duration::ZERO,
        dry_run: false,
    };
    place.snapshots.prune(asked, now).expect("a project");
    place.snapshots.prune(asked, now).expect("a project");
}

/// Fills an empty place.
fn filled(place: Place) -> Place {
    place.execute(
        "shop.duckdb",
        &format!(
            "create table orders (id integer primary key, n integer, note varchar);
             insert into orders select i, 0, 'note ' || i from range({ROWS}) as r (i);
             create table notes (id integer primary key, n integer);
             insert into notes select i, 0 from range({ROWS}) as r (i)"
        ),
    );
    place.create("shop.duckdb", "even");
    place.execute("shop.duckdb", "update orders set n = 1; update notes set n = 1");
    place.create("shop.duckdb", "odd");
    place.restore("target.duckdb", "even");
    place
}

/// Kills `kills` children, and looks after each.
fn kill(what: What, kills: u32, look: impl Fn(&Place, &str)) {
    kill_at(filled(Place::new()), what, kills, look);
}

/// The same where snapshots lie in a bucket.
fn kill_with_bucket(what: What, kills: u32, look: impl Fn(&Place, &str)) {
    let bucket = S3Server::shared().fresh_bucket();
    kill_at(
        filled(Place::new().in_bucket(bucket.settings())),
        what,
        kills,
        look,
    );
}

fn kill_at(place: Place, what: What, kills: u32, look: impl Fn(&Place, &str)) {
    let in_bucket = place.settings().map(|settings| {
        let endpoint = settings.endpoint.clone().expect("a server of the tests");
        (endpoint, settings.name.clone())
    });
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..kills {
        let work = Work {
            root: place.root().to_path_buf(),
            bucket: in_bucket.clone(),
            round,
            what,
        };
        let mut child = Role::Work(work).start();
        assert!(
            child.wait_for_output("ready", LIMIT),
            "{}{}",
            child.stdout(),
            child.stderr()
        );
        // In a bucket each step takes a request.
        let longest = if in_bucket.is_some() { 300_000 } else { 120_000 };
        let patience = Duration::from_micros(random.u64(0..longest));
        let context = format!("{what:?}, seed {seed}, kill {round} after {patience:?}");
        if child.wait(patience).is_some() {
            panic!(
                "{context}: the child ended\n{}\n{}",
                child.stdout(),
                child.stderr()
            );
        }
        child.kill();
        look(&place, &context);
    }
    let swept = place.snapshots.sweep_after(Duration::ZERO).expect("a folder");
    assert_eq!(swept, 0, "{what:?}: the last look swept");
}

fn kills() -> u32 {
    let asked = std::env::var("PINTAIL_KILLS").ok();
    let all = asked.and_then(|asked| asked.parse().ok()).unwrap_or(200_u32);
    all.div_ceil(3)
}

/// What is visible is whole, and what is not goes with a sweep.
fn assert_whole(place: &Place, context: &str) {
    let (manifests, broken) = place.snapshots.manifests().expect("a project");
    assert!(broken.is_empty(), "{context}: {broken:?}");
    let ids: Vec<String> = manifests
        .iter()
        .map(|manifest| manifest.snapshot_id.to_string())
        .collect();
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(place.visible(), sorted, "{context}");
    assert_eq!(place.verify().findings, [], "{context}");
    place.snapshots.sweep().expect("a folder");
    let work = place.snapshots.path().join(".work");
    let left: Vec<_> = std::fs::read_dir(work)
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.is_dir())
        .collect();
    assert!(left.is_empty(), "{context}: {left:?}");
}

/// The same in a bucket: nothing lies there but visible snapshots, the files that they use, and their records.
fn assert_whole_in_bucket(place: &Place, context: &str) {
    let (_, broken) = place.snapshots.manifests().expect("a project");
    assert!(broken.is_empty(), "{context}: {broken:?}");
    assert_eq!(place.verify().findings, [], "{context}");
    place.snapshots.sweep_after(Duration::ZERO).expect("a bucket");
    assert_nothing_else(place, context);
    assert_eq!(place.verify().findings, [], "{context}");
}

/// In the bucket lie visible snapshots, the files that they use, their records, and nothing else.
pub(crate) fn assert_nothing_else(place: &Place, context: &str) {
    let (manifests, _) = place.snapshots.manifests().expect("a project");
    let mut expected = BTreeSet::new();
    for manifest in &manifests {
        let id = &manifest.snapshot_id;
        expected.extend([format!("{id}/metadata.json"), format!(".registry/{id}.json")]);
        expected.extend(manifest.tables.iter().map(|table| {
            let folder = table.stored_in.as_ref().unwrap_or(id);
            format!("{folder}/{}", table.file)
        }));
    }
    let keys: BTreeSet<String> = place.keys().into_iter().collect();
    assert_eq!(keys, expected, "{context}");
}

#[test]
fn a_take_into_a_bucket_that_dies_leaves_a_whole_snapshot_or_none() {
    kill_with_bucket(What::Take, kills(), |place, context| {
        assert_whole_in_bucket(place, context);
        if place.snapshots.ids().expect("a project").len() > 10 {
            prune(place);
            assert_whole_in_bucket(place, context);
        }
    });
}

#[test]
fn a_prune_in_a_bucket_that_dies_takes_whole_snapshots_away_or_leaves_them() {
    kill_with_bucket(What::Prune, kills(), |place, context| {
        assert_whole_in_bucket(place, context);
        let (manifests, _) = place.snapshots.manifests().expect("a project");
        assert!(!manifests.is_empty(), "{context}: the last good snapshot is gone");
        prune(place);
        assert_whole_in_bucket(place, context);
    });
}

#[test]
fn a_take_that_dies_leaves_a_whole_snapshot_or_none() {
    kill(What::Take, kills(), |place, context| {
        assert_whole(place, context);
        // Not all of them are kept: the test would only become slower.
        if place.visible().len() > 20 {
            prune(place);
        }
    });
}

#[test]
fn a_restore_that_dies_leaves_the_tables_of_before_or_of_after() {
    kill(What::Restore, kills(), |place, context| {
        assert_whole(place, context);
        let sql = format!(
            "select (select count(*) = {ROWS} and min(n) = max(n) from orders),
               (select count(*) = {ROWS} and min(n) = max(n) from notes),
               (select min(n) from orders) = (select min(n) from notes)"
        );
        assert_eq!(
            place.ask("target.duckdb", &sql),
            [["true", "true", "true"]],
            "{context}"
        );
        if place.visible().len() > 20 {
            prune_automatic(place);
        }
    });
}

/// Takes the snapshots of what was replaced away.
fn prune_automatic(place: &Place) {
    for id in place.snapshots.ids().expect("a project") {
        if id.as_str().starts_with("auto_") {
            place
                .snapshots
                .delete(&id, at("2024-12-11T14:30:22Z"))
                .expect("marked");
        }
    }
    let asked = Prune {
        grace: Duration::ZERO,
        silence: Duration::ZERO,
        dry_run: false,
    };
    place
        .snapshots
        .prune(asked, at("2024-12-11T14:30:22Z"))
        .expect("a project");
}

#[test]
fn a_prune_that_dies_takes_whole_snapshots_away_or_leaves_them() {
    kill(What::Prune, kills(), |place, context| {
        assert_whole(place, context);
        let (manifests, _) = place.snapshots.manifests().expect("a project");
        assert!(!manifests.is_empty(), "{context}: the last good snapshot is gone");
        prune(place);
        let registry = place.snapshots.path().join(".registry");
        let records = std::fs::read_dir(registry)
            .expect("a folder")
            .filter(|entry| {
                let name = entry.as_ref().expect("a file").file_name();
                name.to_string_lossy().ends_with(".json")
            })
            .count();
        assert_eq!(records, place.visible().len(), "{context}");
    });
}

/// A child that cannot write files of more than some bytes, as on a disk that is full.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cramped {
    root: PathBuf,
    /// Endpoint and name, if the snapshots lie in a bucket.
    bucket: Option<(String, String)>,
    bytes: u64,
}

impl Cramped {
    pub(crate) fn play(&self) {
        let place = match &self.bucket {
            None => Place::at(&self.root),
            Some((endpoint, name)) => Place::at(&self.root).in_bucket(&S3Server::settings_of(endpoint, name)),
        };
        pintail_testkit::limit_file_sizes(self.bytes);
        let error = place
            .create_with("shop.duckdb", &CreateRequest::default())
            .expect_err("there is no room");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        println!("told: {}", crate::place::told(&error).replace('\n', " "));
    }
}

/// Fails to take a snapshot where there is room for so many bytes a file only.
fn cramp(place: &Place, bytes: u64) {
    let cramped = Role::Cramped(Cramped {
        root: place.root().to_path_buf(),
        bucket: place.settings().map(|settings| {
            let endpoint = settings.endpoint.clone().expect("a server of the tests");
            (endpoint, settings.name.clone())
        }),
        bytes,
    });
    let binary = std::env::current_exe().expect("a test has a binary");
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(binary);
    cramped.set_up(&mut command);
    let mut child = pintail_testkit::Process::spawn(&mut command);
    let status = child.wait(LIMIT).expect("it ends");
    assert!(
        status.success(),
        "{bytes}: {}\n{}",
        child.stdout(),
        child.stderr()
    );
    assert!(child.stdout().contains("told: "), "{}", child.stdout());
}

/// A table that takes more than a megabyte.
const NOISE: &str = "create table t as select hash(i) as n, hash(i + 7) as m from range(100000) as r (i)";

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let place = Place::new();
    place.execute("shop.duckdb", NOISE);
    for bytes in [1_000, 100_000, 1_000_000] {
        cramp(&place, bytes);
        assert_eq!(place.visible(), [""; 0]);
        place.snapshots.sweep().expect("a folder");
    }
    place.create("shop.duckdb", "with-room");
}

#[test]
fn a_full_disk_on_the_way_to_a_bucket_is_told_and_leaves_nothing() {
    let bucket = S3Server::shared().fresh_bucket();
    let place = Place::new().in_bucket(bucket.settings());
    place.execute("shop.duckdb", NOISE);
    for bytes in [1_000, 100_000, 1_000_000] {
        cramp(&place, bytes);
        assert_eq!(place.keys(), [""; 0]);
    }
    place.create("shop.duckdb", "with-room");
}
