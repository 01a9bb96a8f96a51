//! `kill -9` at random moments of taking, restoring and pruning: what is visible is whole, a database is as it was before or
//! after, and nothing lies around. `PINTAIL_KILLS=1000` kills that often; 200 is the default.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use pintail_model::ErrorKind;
use pintail_snapshot::{CreateRequest, Prune, RestoreRequest};
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
        let place = Place::at(&self.root);
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
        dry_run: false,
    };
    place.snapshots.prune(asked, now).expect("a project");
    place.snapshots.prune(asked, now).expect("a project");
}

fn place() -> Place {
    let place = Place::new();
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
    let place = place();
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..kills {
        let work = Work {
            root: place.root().to_path_buf(),
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
        let patience = Duration::from_micros(random.u64(0..120_000));
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
    assert_eq!(
        place.snapshots.sweep().expect("a folder"),
        0,
        "{what:?}: the last look swept"
    );
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
    bytes: u64,
}

impl Cramped {
    pub(crate) fn play(&self) {
        let place = Place::at(&self.root);
        pintail_testkit::limit_file_sizes(self.bytes);
        let error = place
            .create_with("shop.duckdb", &CreateRequest::default())
            .expect_err("there is no room");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        println!("told: {}", crate::place::told(&error).replace('\n', " "));
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let place = Place::new();
    place.execute(
        "shop.duckdb",
        "create table t as select hash(i) as n, hash(i + 7) as m from range(100000) as r (i)",
    );
    for bytes in [1_000, 100_000, 1_000_000] {
        let cramped = Role::Cramped(Cramped {
            root: place.root().to_path_buf(),
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
        assert_eq!(place.visible(), [""; 0]);
        place.snapshots.sweep().expect("a folder");
    }
    place.create("shop.duckdb", "with-room");
}
