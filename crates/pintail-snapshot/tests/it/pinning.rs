//! Snapshots of lakes: pinned, kept from expiring, and known without a look at the rows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pintail_lake::{Access, Call, Engine, EngineSettings, Lake, Maintenance};
use pintail_model::{ErrorKind, TableName};
use pintail_snapshot::manifest::TableEntry;
use pintail_snapshot::{CreateRequest, Progress, Proof, SnapshotType, Step};

use crate::lake_place::{KINDS, Kind, LakePlace};
use crate::place::{NOW, Place, at, id, told};

#[test]
fn what_is_pinned_survives_the_maintenance_of_its_lake() {
    for kind in KINDS {
        let lake = LakePlace::shop(kind);
        let manifest = lake.create("before");
        let pinned = manifest.source.lake_snapshot.expect("of a lake");
        assert_eq!(manifest.format_version, 2, "{kind:?}");
        assert_eq!(manifest.source.system, "ducklake", "{kind:?}");
        assert_eq!(manifest.source.address, lake.location.identity(), "{kind:?}");
        assert_eq!(manifest.proof, Proof::ReadBack, "{kind:?}");
        assert_eq!(manifest.rows(), 1010, "{kind:?}");
        assert_eq!(manifest.bytes(), 0, "{kind:?}");
        let [pin] = &lake.pins()[..] else {
            panic!("{kind:?}: {:?}", lake.pins());
        };
        assert_eq!(Some((pin.pin.as_str(), pin.lake_snapshot)), manifest.pin());
        assert_eq!((pin.project.as_str(), pin.snapshot.as_str()), ("123", "before"));

        lake.execute(
            "update lake.shop.orders set n = 1; delete from lake.shop.orders where id < 500;
             drop table lake.shop.notes",
        );
        let report = lake.maintain();
        assert!(report.snapshots_expired > 2, "{kind:?}: {report:?}");
        let kept: Vec<&str> = report
            .snapshots_pinned
            .iter()
            .map(|pin| pin.snapshot.as_str())
            .collect();
        assert_eq!(kept, ["before"], "{kind:?}");
        let then = format!(
            "select (select sum(id) from lake.shop.orders at (version => {pinned})),
               (select count(n) from lake.shop.notes at (version => {pinned}))"
        );
        assert_eq!(lake.ask(&then), [["499500", "10"]], "{kind:?}");
        assert_eq!(lake.place.verify().findings, [], "{kind:?}");
        // Again, with nothing left that may go.
        assert_eq!(lake.maintain().snapshots_expired, 0, "{kind:?}");
        assert_eq!(lake.place.verify().findings, [], "{kind:?}");
    }
}

#[test]
fn tables_that_did_not_change_are_known_without_reading_a_row() {
    for kind in KINDS {
        let lake = LakePlace::shop(kind);
        let first = lake.create("first");
        // Commits to other tables, and to the lake as a whole, do not matter.
        lake.execute("insert into lake.shop.notes values (10, 0); create table lake.shop.more (id bigint)");
        lake.maintain();
        for file in lake.data_files("orders") {
            std::fs::remove_file(file).expect("it was there");
        }
        let second = lake.create("second");
        let orders = second.table("shop", "orders").expect("a table");
        assert_eq!(orders.same_as, Some(id("first")), "{kind:?}");
        let before = first.table("shop", "orders").expect("a table");
        assert_eq!(orders.value_hash, before.value_hash, "{kind:?}");
        let notes = second.table("shop", "notes").expect("a table");
        assert_eq!((&notes.same_as, notes.row_count), (&None, 11), "{kind:?}");
        let third = lake.create("third");
        let readers: Vec<_> = third
            .tables
            .iter()
            .map(|table| {
                (
                    table.table.as_str(),
                    table.same_as.as_ref().map(ToString::to_string),
                )
            })
            .collect();
        assert_eq!(
            readers,
            [
                ("more", Some("second".to_owned())),
                ("notes", Some("second".to_owned())),
                ("orders", Some("first".to_owned()))
            ],
            "{kind:?}"
        );
    }
}

#[test]
fn a_change_that_leaves_the_number_of_rows_is_seen() {
    for kind in KINDS {
        let lake = LakePlace::shop(kind);
        let hash = |snapshot: &str, table: &str| {
            let manifest = lake.create(snapshot);
            let entry = manifest.table("shop", table).expect("a table");
            (entry.value_hash.clone(), entry.same_as.clone())
        };
        let (first, _) = hash("s1", "orders");
        lake.execute("update lake.shop.orders set n = 5 where id = 7");
        let (second, same_as) = hash("s2", "orders");
        assert_ne!(first, second, "{kind:?}");
        assert_eq!(same_as, None, "{kind:?}");
        // Back as it was: other files, and the same rows.
        lake.execute("update lake.shop.orders set n = 0 where id = 7");
        let (third, same_as) = hash("s3", "orders");
        assert_eq!((third, same_as), (first, None), "{kind:?}");
        // The same files under another column.
        lake.execute("alter table lake.shop.orders rename column note to remark");
        let (_, same_as) = hash("s4", "orders");
        assert_eq!(same_as, None, "{kind:?}");
        // Dropped and made anew, with as many rows.
        lake.execute(
            "drop table lake.shop.orders;
             create table lake.shop.orders (id bigint not null, n integer default 7, remark varchar);
             insert into lake.shop.orders select i, 1, 'note ' || i from range(1000) as r (i)",
        );
        let (fifth, same_as) = hash("s5", "orders");
        assert_ne!(fifth, second, "{kind:?}");
        assert_eq!(same_as, None, "{kind:?}");
    }
}

#[test]
fn merged_files_tell_whether_rows_came_in_between() {
    let lake = LakePlace::shop(Kind::Sqlite);
    let first = lake.create("first");
    for number in 0..3 {
        lake.execute(&format!("insert into lake.shop.notes values ({number}, 9)"));
    }
    // One file now, which says that its rows are as old as the oldest of them.
    lake.maintain();
    let second = lake.create("second");
    let of = |manifest: &pintail_snapshot::Manifest| {
        let entry = manifest.table("shop", "notes").expect("a table");
        (entry.row_count, entry.same_as.clone())
    };
    assert_eq!((of(&first), of(&second)), ((10, None), (13, None)));
    assert_eq!(lake.place.verify().findings, []);
}

#[test]
fn rows_in_the_catalogue_are_read() {
    let lake = LakePlace::shop(Kind::Sqlite);
    lake.execute(
        "set global ducklake_default_data_inlining_row_limit = 10;
         create table lake.shop.small (id bigint);
         insert into lake.shop.small values (1), (2);
         set global ducklake_default_data_inlining_row_limit = 0",
    );
    lake.create("first");
    lake.execute(
        "set global ducklake_default_data_inlining_row_limit = 10;
         update lake.shop.small set id = 3 where id = 2;
         set global ducklake_default_data_inlining_row_limit = 0",
    );
    let second = lake.create("second");
    let small = second.table("shop", "small").expect("a table");
    assert_eq!((&small.same_as, small.row_count), (&None, 2));
    assert_eq!(lake.place.verify().findings, []);
}

#[test]
fn a_pin_takes_next_to_no_room() {
    let lake = LakePlace::shop(Kind::Sqlite);
    lake.create("first");
    let files = lake.place.files("first");
    let [manifest] = files.as_slice() else {
        panic!("{files:?}");
    };
    let bytes = std::fs::metadata(manifest).expect("a file").len();
    assert!(bytes < 64 << 10, "{bytes}");
}

#[test]
fn a_snapshot_without_read_back_says_so() {
    let lake = LakePlace::shop(Kind::Sqlite);
    let request = CreateRequest {
        id: Some(id("quick")),
        read_back: false,
        ..CreateRequest::default()
    };
    let quick = lake.create_with(&request).expect("a snapshot").manifest;
    assert_eq!(quick.proof, Proof::Unproven);
    assert_eq!(quick.rows(), 1010);
    assert!(quick.tables.iter().all(|table| table.value_hash.is_empty()));
    assert_eq!(lake.place.verify().findings, []);
    // What nobody read is not what a proof stands on.
    let next = lake.create("next");
    assert!(next.tables.iter().all(|table| table.same_as.is_none()));
    lake.execute("delete from lake.shop.orders");
    lake.restore("quick");
    assert_eq!(lake.value("select count(*) from lake.shop.orders"), "1000");
}

#[test]
fn an_export_needs_neither_the_lake_nor_a_pin() {
    for kind in KINDS {
        let lake = LakePlace::shop(kind);
        let manifest = lake.export("out");
        assert_eq!(manifest.format_version, 1, "{kind:?}");
        assert_eq!((manifest.pin(), lake.pins()), (None, Vec::new()), "{kind:?}");
        assert!(manifest.source.lake_snapshot.is_some(), "{kind:?}");
        assert_eq!(lake.place.files("out").len(), 3, "{kind:?}");
        // The next one of the same rows has no room of its own.
        let again = lake.export("again");
        let shared = again.tables.iter().filter(|table| table.same_as.is_some());
        assert_eq!(shared.count(), 2, "{kind:?}");
        lake.execute("drop schema lake.shop cascade");
        lake.maintain();
        assert_eq!(lake.place.verify().findings, [], "{kind:?}");
        lake.place.restore("new.duckdb", "out");
        assert_eq!(
            lake.place.value("new.duckdb", "select sum(id) from shop.orders"),
            "499500",
            "{kind:?}"
        );
        assert_eq!(lake.place.snapshots.pin_notes().expect("a list"), [], "{kind:?}");
    }
}

#[test]
fn some_tables_of_a_lake_are_pinned_and_its_ledger_never() {
    let lake = LakePlace::shop(Kind::Sqlite);
    lake.execute("create schema lake.pintail; create table lake.pintail.ledger (id bigint)");
    let all = lake.create("all");
    let names: Vec<String> = all.tables.iter().map(TableEntry::name).collect();
    assert_eq!(names, ["shop.notes", "shop.orders"]);
    let request = |table: TableName| CreateRequest {
        tables: vec![table],
        snapshot_type: SnapshotType::Manual,
        ..CreateRequest::default()
    };
    let one = lake
        .create_with(&request(TableName::new("shop", "NOTES")))
        .expect("a snapshot");
    assert_eq!(one.manifest.tables.len(), 1);
    let error = lake
        .create_with(&request(TableName::new("shop", "nubmers")))
        .expect_err("no such table");
    let folder = lake.place.root().display().to_string();
    insta::assert_snapshot!(told(&error).replace(&folder, "[FOLDER]"), @r#"
    lake `ducklake:sqlite:[FOLDER]/lake.sqlite?data_path=[FOLDER]/data` has no table "shop.nubmers"
    hint: Write `table` for one of schema `main`, or `schema.table`; a part with dots stands in double quotes.
    "#);
    // Nothing is left of it, in the lake or beside it.
    assert_eq!(lake.pins().len(), 2);
    assert_eq!(lake.place.visible().len(), 2);
}

#[test]
fn a_lake_that_does_not_exist_is_not_made() {
    let lake = LakePlace::shop(Kind::Sqlite);
    let mut location = lake.location.clone();
    location.catalogue = pintail_lake::Catalogue::Sqlite(lake.place.root().join("other.sqlite"));
    let error = lake
        .place
        .snapshots
        .create_of_lake(
            &lake.place.engine,
            &location,
            &CreateRequest::default(),
            at(NOW),
            &pintail_snapshot::Unwatched,
        )
        .expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(!lake.place.root().join("other.sqlite").exists());
    assert_eq!(lake.place.visible(), [""; 0]);
}

/// Ends what others do when it goes, also by a panic.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_set_is_one_state_of_a_lake_that_others_write_to() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let lake = LakePlace::new(kind);
        lake.execute(
            "create schema lake.s;
             create table lake.s.a (n bigint); insert into lake.s.a values (0);
             create table lake.s.b (n bigint); insert into lake.s.b values (0)",
        );
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _ends = Ends(&over);
            scope.spawn(|| {
                let engine = Engine::open(&EngineSettings::default()).expect("an engine");
                let writer = Lake::attach(&engine, &lake.location, Access::ReadWrite).expect("a lake");
                let session = writer.session().expect("a session");
                while !over.load(Ordering::Relaxed) {
                    // Whoever loses against a pin tries again.
                    let both = "begin; update lake.s.a set n = n + 1; update lake.s.b set n = n + 1; commit";
                    if session.batch(Call::new("write"), both).is_err() {
                        session.rollback();
                    }
                }
            });
            for number in 0..8 {
                let manifest = lake.create(&format!("s{number}"));
                let hash = |table| manifest.table("s", table).expect("a table").value_hash.clone();
                assert_eq!(hash("a"), hash("b"), "{kind:?} {number}");
            }
        });
        assert_eq!(lake.place.verify().findings, [], "{kind:?}");
    }
}

#[test]
fn postgres_refuses_whoever_would_expire_what_is_pinned() {
    let lake = LakePlace::shop(Kind::Postgres);
    let manifest = lake.create("before");
    let pinned = manifest.source.lake_snapshot.expect("of a lake");
    lake.execute("insert into lake.shop.notes values (99, 99)");
    let expire = format!("call ducklake_expire_snapshots('lake', versions => [{pinned}])");
    lake.attempt(&expire).expect_err("the catalogue refuses it");
    assert_eq!(lake.place.verify().findings, []);
}

#[test]
fn no_expiry_comes_between_the_look_and_the_pin() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let lake = LakePlace::shop(kind);
        lake.maintain();
        let over = AtomicBool::new(false);
        let expired = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let _ends = Ends(&over);
            scope.spawn(|| {
                let engine = Engine::open(&EngineSettings::default()).expect("an engine");
                let attached = Lake::attach(&engine, &lake.location, Access::ReadWrite).expect("a lake");
                let asked = Maintenance {
                    expire_older_than: Some(Duration::ZERO),
                    clean_older_than: Duration::ZERO,
                    ..Maintenance::default()
                };
                while !over.load(Ordering::Relaxed) {
                    // Whoever loses against a writer that knows no leases tries again.
                    if let Ok(done) = attached.maintain(&asked) {
                        expired.fetch_add(done.snapshots_expired, Ordering::Relaxed);
                    }
                }
            });
            for number in 0..6 {
                lake.create(&format!("s{number}"));
                while lake
                    .attempt(&format!("insert into lake.shop.notes values ({number}, 1)"))
                    .is_err()
                {}
            }
        });
        lake.maintain();
        assert_eq!(lake.place.verify().findings, [], "{kind:?}");
        assert_eq!(lake.pins().len(), 6, "{kind:?}");
    }
}

/// Drops tables while others are being read.
struct Dropper<'a> {
    lake: &'a LakePlace,
    dropped: AtomicBool,
}

impl Progress for Dropper<'_> {
    fn step(&self, step: Step, _table: &str) {
        if step != Step::Proving || self.dropped.swap(true, Ordering::Relaxed) {
            return;
        }
        let engine = Engine::open(&EngineSettings::default()).expect("an engine");
        let lake = Lake::attach(&engine, &self.lake.location, Access::ReadWrite).expect("a lake");
        let session = lake.session().expect("a session");
        let drop = "drop table lake.shop.notes; drop table lake.shop.orders";
        session.batch(Call::new("drop"), drop).expect("they are there");
        let expire_all = Maintenance {
            expire_older_than: Some(Duration::ZERO),
            clean_older_than: Duration::ZERO,
            ..Maintenance::default()
        };
        lake.maintain(&expire_all).expect("a lake");
    }
}

#[test]
fn tables_that_are_dropped_in_the_middle_are_kept_as_they_were() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        for export in [false, true] {
            let lake = LakePlace::shop(kind);
            let dropper = Dropper {
                lake: &lake,
                dropped: AtomicBool::new(false),
            };
            let request = CreateRequest {
                id: Some(id("whole")),
                export,
                ..CreateRequest::default()
            };
            let Place {
                engine, snapshots, ..
            } = &lake.place;
            let created = snapshots
                .create_of_lake(engine, &lake.location, &request, at(NOW), &dropper)
                .unwrap_or_else(|error| panic!("{kind:?} {export}: {}", told(&error)));
            assert!(dropper.dropped.into_inner(), "{kind:?} {export}");
            assert_eq!(created.manifest.rows(), 1010, "{kind:?} {export}");
            assert_eq!(lake.place.verify().findings, [], "{kind:?} {export}");
            lake.restore("whole");
            let counts =
                "select (select count(*) from lake.shop.orders), (select count(*) from lake.shop.notes)";
            assert_eq!(lake.ask(counts), [["1000", "10"]], "{kind:?} {export}");
        }
    }
}
