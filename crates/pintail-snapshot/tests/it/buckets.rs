//! Snapshots in a bucket: what is promised of folders holds there, too.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use pintail_model::ErrorKind;
use pintail_snapshot::{
    Against, CreateRequest, Created, DiffRequest, Error, Hold, Problem, Progress, ProjectFolder, ProjectId,
    Prune, Pruned, RestoreRequest, Scope, SettingKey, SettingValue, Step, TableChange, Unwatched,
};
use pintail_testkit::{S3Bucket, S3Server};
use serde::{Deserialize, Serialize};

use crate::kills::assert_nothing_else;
use crate::place::{NOW, Place, at, id, told};
use crate::roles::Role;

/// Longer than anything takes.
const LIMIT: Duration = Duration::from_secs(120);

fn empty() -> Place {
    let bucket = S3Server::shared().fresh_bucket();
    Place::new().in_bucket(bucket.settings())
}

fn shop() -> Place {
    let place = empty();
    place.execute(
        "shop.duckdb",
        "create table orders (id integer primary key, noise uhugeint, note varchar default 'none');
         insert into orders select i, hash(i), 'note ' || i from range(20000) as r (i);
         create table notes as select i as id from range(10) as r (i)",
    );
    place
}

fn named(snapshot: &str) -> CreateRequest {
    CreateRequest {
        id: Some(id(snapshot)),
        ..CreateRequest::default()
    }
}

fn prune_at_once(place: &Place) -> Pruned {
    let asked = Prune {
        grace: Duration::ZERO,
        silence: Duration::ZERO,
        dry_run: false,
    };
    place.snapshots.prune(asked, at(NOW)).expect("a project")
}

#[test]
fn one_is_taken_verified_compared_and_restored() {
    let place = shop();
    let manifest = place.create("shop.duckdb", "one");
    assert_eq!(
        place.keys(),
        [
            ".registry/one.json",
            "one/main.notes.parquet",
            "one/main.orders.parquet",
            "one/metadata.json"
        ]
    );
    assert_eq!(manifest.tables[1].stored_in, None);
    assert_eq!(
        place.snapshots.manifest(&id("one")).expect("a manifest"),
        manifest
    );
    let verified = place.verify();
    assert_eq!((verified.files, verified.findings), (2, vec![]));
    assert_eq!(verified.bytes, manifest.bytes());

    place.execute("shop.duckdb", "delete from orders where id < 5; drop table notes");
    let request = DiffRequest {
        against: Against::Live(place.database("shop.duckdb")),
        tables: Vec::new(),
        rows: 0,
    };
    let difference = place
        .snapshots
        .diff(&place.engine, &id("one"), &request)
        .expect("both are there");
    assert_eq!(difference.tables[0].change, TableChange::Removed);
    assert_eq!(
        difference.tables[1].change,
        TableChange::Rows {
            added: 0,
            removed: 5,
            changed: 0
        }
    );

    let restored = place.restore("shop.duckdb", "one");
    let undo = restored.replaced_kept_in.expect("what was replaced is kept");
    assert_eq!(
        place.ask(
            "shop.duckdb",
            "select count(*), (select count(*) from notes) from orders"
        ),
        [["20000", "10"]]
    );
    place.restore("shop.duckdb", undo.as_str());
    assert_eq!(place.value("shop.duckdb", "select count(*) from orders"), "19995");
    let scratch = place.root().join("scratch.duckdb");
    let drilled = place
        .snapshots
        .drill(&place.engine, &id("one"), &scratch, at(NOW), &Unwatched)
        .expect("a scratch file");
    assert!(drilled.proven, "{:?}", drilled.problems);
}

#[test]
fn a_large_table_goes_there_and_back_in_pieces() {
    let place = empty();
    place.execute(
        "shop.duckdb",
        "create table noise as select hash(i) as a, hash(i + 1) as b from range(1500000) as r (i)",
    );
    let manifest = place.create("shop.duckdb", "one");
    assert!(manifest.bytes() > 17 << 20, "{}: three pieces", manifest.bytes());
    assert_eq!(place.problems(), []);
    place.restore("copy.duckdb", "one");
    let sums = "select sum(a)::varchar, sum(b)::varchar from noise";
    assert_eq!(place.ask("copy.duckdb", sums), place.ask("shop.duckdb", sums));
}

#[test]
fn what_did_not_change_is_referred_to_and_outlives_its_snapshot() {
    let place = shop();
    let before = place.create("shop.duckdb", "first");
    place.execute("shop.duckdb", "insert into notes values (11)");
    let second = place.create("shop.duckdb", "second");
    let orders = second.table("main", "orders").expect("a table");
    assert_eq!(orders.stored_in, Some(id("first")));
    // Earlier releases would look for the file beside the manifest.
    assert_eq!((before.format_version, second.format_version), (1, 2));
    assert_eq!(orders.same_as, Some(id("first")));
    assert!(!place.keys().contains(&"second/main.orders.parquet".to_owned()));
    // A third one refers to the first, not to the second.
    place.execute("shop.duckdb", "insert into notes values (12)");
    let third = place.create("shop.duckdb", "third");
    assert_eq!(
        third.table("main", "orders").expect("a table").stored_in,
        Some(id("first"))
    );

    place.snapshots.delete(&id("first"), at(NOW)).expect("marked");
    let pruned = prune_at_once(&place);
    assert_eq!(pruned.swept, [id("first")]);
    let keys = place.keys();
    assert!(keys.contains(&"first/main.orders.parquet".to_owned()), "{keys:?}");
    assert!(!keys.contains(&"first/main.notes.parquet".to_owned()), "{keys:?}");
    assert!(!keys.contains(&".registry/first.json".to_owned()), "{keys:?}");
    assert_eq!(place.problems(), []);
    place.restore("copy.duckdb", "second");

    // A new one of that name does not take the place of a file that others use.
    place.execute("shop.duckdb", "update orders set note = 'x'");
    let again = place.create("shop.duckdb", "first");
    let orders = again.table("main", "orders").expect("a table");
    assert_ne!(orders.file, "main.orders.parquet");
    assert_ne!(
        orders.sha256,
        before.table("main", "orders").expect("a table").sha256
    );
    assert_eq!(place.problems(), []);
    place.restore("other.duckdb", "third");
    assert_eq!(
        place.value("other.duckdb", "select count(*) from orders where note = 'x'"),
        "0"
    );

    // With the last one that uses it, it goes.
    for name in ["second", "third"] {
        place.snapshots.delete(&id(name), at(NOW)).expect("marked");
    }
    prune_at_once(&place);
    assert_eq!(
        place.keys(),
        [
            ".registry/first.json".to_owned(),
            format!("first/{}", orders.file),
            "first/metadata.json".to_owned(),
            "third/main.notes.parquet".to_owned(),
        ]
    );
    assert_eq!(place.problems(), []);
}

#[test]
fn a_file_that_is_broken_is_not_referred_to() {
    let place = shop();
    place.create("shop.duckdb", "first");
    place.bucket().corrupt(&place.key("first/main.orders.parquet"));
    let second = place.create("shop.duckdb", "second");
    let stored = |table: &str| second.table("main", table).expect("a table").stored_in.clone();
    assert_eq!((stored("orders"), stored("notes")), (None, Some(id("first"))));
}

#[test]
fn files_that_are_changed_cut_missing_or_extra_are_named() {
    let place = shop();
    place.create("shop.duckdb", "one");
    let bucket = place.bucket();
    let (notes, orders) = (
        place.key("one/main.notes.parquet"),
        place.key("one/main.orders.parquet"),
    );
    let (small, large) = (bucket.read(&notes), bucket.read(&orders));
    let name = |name: &str| name.to_owned();

    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..20 {
        let mut flipped = large.clone();
        let position = random.usize(0..flipped.len());
        flipped[position] ^= 1 << random.u8(0..8);
        bucket.put(&orders, &flipped);
        assert_eq!(
            place.problems(),
            [(name("main.orders.parquet"), Problem::Changed)],
            "seed {seed}, byte {position}"
        );
    }
    let error = place
        .restore_with("copy.duckdb", "one", &RestoreRequest::default())
        .expect_err("a flipped bit");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(!place.root().join("copy.duckdb").exists());

    bucket.put(&orders, &large[..1000]);
    let cut = Problem::Truncated {
        bytes: 1000,
        expected: large.len() as u64,
    };
    assert_eq!(place.problems(), [(name("main.orders.parquet"), cut)]);
    bucket.put(&orders, b"");
    let cut = Problem::Truncated {
        bytes: 0,
        expected: large.len() as u64,
    };
    assert_eq!(place.problems(), [(name("main.orders.parquet"), cut)]);

    bucket.put(&orders, &small);
    bucket.put(&notes, &large);
    let holds = |file: &str| Problem::Swapped { holds: name(file) };
    assert_eq!(
        place.problems(),
        [
            (name("main.notes.parquet"), holds("main.orders.parquet")),
            (name("main.orders.parquet"), holds("main.notes.parquet")),
        ]
    );

    bucket.put(&orders, &large);
    bucket.delete(&notes);
    bucket.put(&place.key("one/main.other.parquet"), &small);
    assert_eq!(
        place.problems(),
        [
            (name("main.notes.parquet"), Problem::Missing),
            (name("main.other.parquet"), Problem::Extra),
        ]
    );
    let manifest = place.key("one/metadata.json");
    let text = String::from_utf8(bucket.read(&manifest)).expect("a text");
    bucket.put(&manifest, text.replace("20000", "20001"));
    assert_eq!(place.problems(), [(name("metadata.json"), Problem::Changed)]);
}

#[test]
fn of_two_creates_with_one_id_one_is_told() {
    let place = shop();
    for round in 0..5 {
        let snapshot = format!("same-{round}");
        // Files of the two differ.
        let start = |number: usize| {
            let other = Place::sharing(&place);
            let database = format!("shop{number}.duckdb");
            let rows = 1000 * (number + 1);
            other.execute(
                &database,
                &format!("create or replace table orders as select i from range({rows}) as r (i)"),
            );
            other
                .create_with(&database, &named(&snapshot))
                .map(|created| created.manifest)
        };
        let results = std::thread::scope(|scope| {
            let both = [0, 1].map(|number| scope.spawn(move || start(number)));
            both.map(|one| one.join().expect("no panic"))
        });
        let done: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
        assert_eq!(done.len(), 1, "{results:?}");
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
            let told = told(error);
            assert!(
                told.contains(&format!("project `123` has a snapshot `{snapshot}`")),
                "{told}"
            );
        }
        assert_eq!(&place.snapshots.manifest(&id(&snapshot)).expect("it"), done[0]);
    }
    assert_eq!(place.problems(), []);
    assert_nothing_else(&place, "after five rounds");
}

/// Waits in the middle of its work until it is told to go on.
struct Pause {
    reached: Mutex<Sender<()>>,
    go_on: Mutex<Receiver<()>>,
}

impl Progress for Pause {
    fn step(&self, step: Step, table: &str) {
        if (step, table) == (Step::Writing, "main.orders") {
            self.reached
                .lock()
                .expect("nobody panics")
                .send(())
                .expect("somebody waits");
            let _ = self.go_on.lock().expect("nobody panics").recv_timeout(LIMIT);
        }
    }
}

/// Takes a snapshot, and does something else while that is in the middle of its work.
fn meanwhile(place: &Place, snapshots: &ProjectFolder, during: impl FnOnce()) -> Result<Created, Error> {
    let (reached, is_reached) = channel();
    let (go_on, may_go_on) = channel();
    let pause = Pause {
        reached: Mutex::new(reached),
        go_on: Mutex::new(may_go_on),
    };
    std::thread::scope(|scope| {
        let database = place.database("shop.duckdb");
        let taker =
            scope.spawn(move || snapshots.create(&place.engine, &database, &named("slow"), at(NOW), &pause));
        is_reached.recv_timeout(LIMIT).expect("it comes so far");
        during();
        drop(go_on);
        taker.join().expect("no panic")
    })
}

#[test]
fn one_that_is_being_taken_is_left_alone() {
    let place = shop();
    let created = meanwhile(&place, &place.snapshots, || {
        let other = Place::sharing(&place);
        other.execute("other.duckdb", "create table orders (id integer)");
        let error = other
            .create_with("other.duckdb", &named("slow"))
            .expect_err("it is taken");
        assert_eq!(
            error.to_string(),
            "project `123` has a snapshot `slow` that is being taken right now"
        );
        // What lies there already stays: its taker lives.
        assert_eq!(place.keys(), [".work/slow.json", "slow/main.notes.parquet"]);
        assert_eq!(place.snapshots.sweep().expect("a project"), 0);
        assert_eq!(place.keys(), [".work/slow.json", "slow/main.notes.parquet"]);
    });
    created.expect("nobody disturbed it");
    assert_eq!(place.problems(), []);
    assert!(!place.keys().contains(&".work/slow.json".to_owned()));
}

#[test]
fn one_that_was_taken_for_dead_gets_to_know_it_and_leaves_nothing() {
    let place = shop();
    let error = meanwhile(&place, &place.snapshots, || {
        assert_eq!(place.snapshots.sweep_after(Duration::ZERO).expect("a project"), 1);
    })
    .expect_err("its files are gone");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        told(&error),
        "snapshot `slow` was given up: somebody took its taker for dead\nhint: Nothing was heard of it for too long: the \
         connection was away, or this machine stood still. Take it again."
    );
    place.snapshots.sweep_after(Duration::ZERO).expect("a project");
    assert_eq!(place.keys(), [""; 0]);

    // Somebody else takes one of that name meanwhile.
    let other = Place::sharing(&place);
    other.execute(
        "other.duckdb",
        "create table orders as select 1 as id; create table notes as select 2 as id",
    );
    let error = meanwhile(&place, &place.snapshots, || {
        place.snapshots.sweep_after(Duration::ZERO).expect("a project");
        other
            .create_with("other.duckdb", &named("slow"))
            .expect("the name is free");
    })
    .expect_err("somebody else was first");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(place.problems(), []);
    other.restore("copy.duckdb", "slow");
    assert_eq!(place.value("copy.duckdb", "select id from notes"), "2");
}

#[test]
fn who_takes_one_says_again_and_again_that_it_is_there() {
    let place = shop();
    let project = ProjectId::parse("123").expect("an id");
    let beating = ProjectFolder::in_bucket_beating(
        place.bucket().settings(),
        "kept/snapshots",
        project,
        Duration::from_millis(5),
    )
    .expect("settings");
    let created = meanwhile(&place, &beating, || {
        let beats = || {
            let claim = place.bucket().read(&place.key(".work/slow.json"));
            let claim: serde_json::Value = serde_json::from_slice(&claim).expect("JSON");
            claim["beats"].as_u64().expect("a number")
        };
        let first = beats();
        let until = Instant::now() + LIMIT;
        while beats() < first + 3 {
            assert!(Instant::now() < until, "it is silent");
        }
    });
    created.expect("it lives");
}

#[test]
fn a_file_that_is_about_to_be_used_stays() {
    let place = shop();
    place.create("shop.duckdb", "first");
    // `notes` is the same, and is compared first; `orders` is written.
    place.execute("shop.duckdb", "delete from orders where id = 1");
    let created = meanwhile(&place, &place.snapshots, || {
        // The claim of the one on its way is young: it counts, unlike what it would be for a sweep that takes all for dead.
        place.snapshots.delete(&id("first"), at(NOW)).expect("marked");
        let asked = Prune {
            grace: Duration::ZERO,
            ..Prune::default()
        };
        assert_eq!(
            place.snapshots.prune(asked, at(NOW)).expect("a project").swept,
            [id("first")]
        );
    });
    let slow = created.expect("its files are there").manifest;
    assert_eq!(
        slow.table("main", "notes").expect("a table").stored_in,
        Some(id("first"))
    );
    assert_eq!(place.problems(), []);
    assert!(place.keys().contains(&"first/main.notes.parquet".to_owned()));
}

/// A child that decides things again and again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Decide {
    endpoint: String,
    bucket: String,
    number: u32,
}

/// How many things each child decides.
const DECISIONS: u32 = 25;

impl Decide {
    pub(crate) fn play(&self) {
        let bucket = S3Bucket::known(S3Server::settings_of(&self.endpoint, &self.bucket));
        let project = ProjectId::parse("123").expect("an id");
        let snapshots =
            ProjectFolder::in_bucket(bucket.settings(), "kept/snapshots", project).expect("settings");
        for decision in 0..DECISIONS {
            let by = format!("{}-{decision}", self.number);
            let hold = Hold {
                since: at(NOW),
                by: by.clone(),
                reason: None,
            };
            snapshots.hold(&id("both"), hold.clone()).expect("held");
            snapshots
                .hold(&id(&format!("own-{}", self.number)), hold)
                .expect("held");
            let scope = Scope::Bucket(by);
            snapshots
                .set(
                    &scope,
                    SettingKey::KeepLast,
                    Some(SettingValue::Number(decision + 1)),
                )
                .expect("set");
            snapshots.release(&id("both")).expect("released");
        }
    }
}

#[test]
fn two_processes_decide_at_once_and_none_undoes_what_the_other_did() {
    let place = shop();
    for snapshot in ["both", "own-0", "own-1"] {
        place.create("shop.duckdb", snapshot);
    }
    let settings = place.bucket().settings();
    let children = [0, 1].map(|number| {
        Role::Decide(Decide {
            endpoint: settings.endpoint.clone().expect("a server of the tests"),
            bucket: settings.name.clone(),
            number,
        })
        .start()
    });
    for mut child in children {
        let status = child.wait(LIMIT).expect("it ends");
        assert!(status.success(), "{}\n{}", child.stdout(), child.stderr());
    }
    let settings = place.snapshots.settings().expect("settings");
    for number in [0, 1] {
        for decision in 0..DECISIONS {
            let bucket = format!("{number}-{decision}");
            let value = settings
                .effective(SettingKey::KeepLast, Some((&bucket, "t")))
                .value;
            assert_eq!(value.number(), decision + 1, "{bucket}");
        }
        let record = place
            .snapshots
            .record(&id(&format!("own-{number}")))
            .expect("a record");
        assert_eq!(
            record.hold.map(|hold| hold.by),
            Some(format!("{number}-{}", DECISIONS - 1))
        );
        assert!(record.manifest_sha256.is_some());
    }
    assert_eq!(place.snapshots.record(&id("both")).expect("a record").hold, None);
}

#[test]
fn what_is_held_is_not_swept_and_what_is_swept_cannot_be_held() {
    let place = shop();
    place.create("shop.duckdb", "old");
    place.create("shop.duckdb", "new");
    let hold = || Hold {
        since: at(NOW),
        by: "ada".to_owned(),
        reason: None,
    };
    place.snapshots.delete(&id("old"), at(NOW)).expect("marked");
    place.snapshots.hold(&id("old"), hold()).expect("held");
    assert_eq!(prune_at_once(&place).kept, 2);
    place.snapshots.release(&id("old")).expect("released");
    place.snapshots.delete(&id("old"), at(NOW)).expect("marked");
    assert_eq!(prune_at_once(&place).swept, [id("old")]);
    let error = place.snapshots.hold(&id("old"), hold()).expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
