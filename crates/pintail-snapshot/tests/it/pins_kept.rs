//! What is pinned is verified, compared, explained, and let go.

use std::time::Duration;

use pintail_lake::Access;
use pintail_snapshot::{Against, DiffRequest, Finding, Hold, PinNote, Problem, Prune, Pruned, TableChange};

use crate::lake_place::{KINDS, Kind, LakePlace};
use crate::place::{at, id};

fn problems(lake: &LakePlace) -> Vec<(String, Problem)> {
    let of = |finding: Finding| (finding.file, finding.problem);
    lake.place.verify().findings.into_iter().map(of).collect()
}

#[test]
fn a_missing_file_of_the_lake_is_named() {
    for kind in KINDS {
        let lake = LakePlace::shop(kind);
        lake.create("before");
        let file = lake.data_files("orders").remove(0);
        lake.execute("delete from lake.shop.orders");
        std::fs::remove_file(&file).expect("it was there");
        assert_eq!(
            problems(&lake),
            [(file.display().to_string(), Problem::Missing)],
            "{kind:?}"
        );
    }
}

#[test]
fn rows_of_a_pin_that_changed_are_named() {
    let lake = LakePlace::shop(Kind::Sqlite);
    lake.create("before");
    let file = lake.data_files("notes").remove(0);
    let mut bytes = std::fs::read(&file).expect("a file");
    // Behind the mark at the beginning and the head of the first page.
    bytes[60] ^= 1;
    std::fs::write(&file, bytes).expect("a file");
    let found = problems(&lake);
    let [(table, Problem::Changed | Problem::Unreadable { .. })] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(table, "shop.notes");
}

#[test]
fn a_pin_that_others_took_away_is_noticed() {
    for kind in [Kind::Sqlite, Kind::DuckDb] {
        let lake = LakePlace::shop(kind);
        let manifest = lake.create("before");
        let (pin, snapshot) = manifest.pin().expect("it is pinned");
        lake.execute("insert into lake.shop.notes values (77, 77)");
        // Another program knows nothing of pins.
        lake.execute(&format!(
            "call ducklake_expire_snapshots('lake', versions => [{snapshot}])"
        ));
        assert_eq!(
            problems(&lake),
            [(format!("snapshot {snapshot} of the lake"), Problem::Expired)],
            "{kind:?}"
        );
        lake.attached(Access::ReadWrite, |attached, _| {
            assert!(attached.unpin(pin).expect("a lake"));
            assert!(!attached.unpin(pin).expect("a lake"));
        });
        assert_eq!(
            problems(&lake),
            [
                (format!("pin {pin}"), Problem::Unpinned),
                (format!("snapshot {snapshot} of the lake"), Problem::Expired)
            ],
            "{kind:?}"
        );
        let error = lake
            .restore_with("before", &pintail_snapshot::RestoreRequest::default())
            .expect_err("it has expired");
        assert!(error.to_string().contains("has expired"), "{error}");
    }
}

#[test]
fn a_lake_that_cannot_be_reached_is_named() {
    let lake = LakePlace::shop(Kind::Sqlite);
    lake.create("before");
    std::fs::rename(
        lake.place.root().join("lake.sqlite"),
        lake.place.root().join("elsewhere"),
    )
    .expect("a file");
    let found = problems(&lake);
    let [(address, Problem::Unreadable { why })] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(*address, lake.location.identity());
    assert!(why.contains("does not exist"), "{why}");
}

#[test]
fn pins_are_compared_with_each_other_and_with_the_lake() {
    for kind in KINDS {
        let lake = LakePlace::shop(kind);
        lake.create("before");
        lake.execute(
            "update lake.shop.orders set n = 1 where id < 3; delete from lake.shop.notes where id = 9;
             create table lake.shop.more (id bigint)",
        );
        lake.create("after");
        lake.export("files");
        let against = |against| DiffRequest {
            against,
            tables: Vec::new(),
            rows: 0,
        };
        for request in [
            against(Against::Snapshot(id("after"))),
            against(Against::Snapshot(id("files"))),
            against(Against::LiveLake(Box::new(lake.location.clone()))),
        ] {
            let difference = lake
                .place
                .snapshots
                .diff(&lake.place.engine, &id("before"), &request)
                .unwrap_or_else(|error| panic!("{kind:?}: {}", crate::place::told(&error)));
            let changes: Vec<_> = difference
                .tables
                .iter()
                .map(|table| (table.table.as_str(), table.change.clone()))
                .collect();
            let rows = |added, removed| TableChange::Rows {
                added,
                removed,
                changed: 0,
            };
            assert_eq!(
                changes,
                [
                    ("shop.more", TableChange::Added),
                    ("shop.notes", rows(0, 1)),
                    ("shop.orders", rows(3, 3))
                ],
                "{kind:?} {request:?}"
            );
        }
        lake.place.restore("new.duckdb", "before");
        let live = against(Against::Live(lake.file("new.duckdb")));
        let difference = lake
            .place
            .snapshots
            .diff(&lake.place.engine, &id("before"), &live)
            .expect("both are there");
        assert!(
            difference
                .tables
                .iter()
                .all(|table| table.change == TableChange::Same),
            "{kind:?}: {difference:?}"
        );
    }
}

fn prune(lake: &LakePlace) -> Pruned {
    let asked = Prune {
        grace: Duration::ZERO,
        dry_run: false,
        ..Prune::default()
    };
    let now = at("2030-01-01T00:00:00Z");
    lake.place.snapshots.prune(asked, now).expect("a project");
    lake.place.snapshots.prune(asked, now).expect("a project")
}

#[test]
fn a_pin_goes_with_its_snapshot() {
    for kind in KINDS {
        let lake = LakePlace::shop(kind);
        lake.create("a");
        lake.create("b");
        lake.create("held");
        let hold = Hold {
            since: at("2024-12-11T14:30:22Z"),
            by: "ada".to_owned(),
            reason: None,
        };
        lake.place.snapshots.hold(&id("held"), hold).expect("held");
        assert_eq!(lake.pins().len(), 3, "{kind:?}");
        let pruned = prune(&lake);
        assert_eq!(pruned.pins_left, [], "{kind:?}");
        let left: Vec<String> = lake.pins().into_iter().map(|pin| pin.snapshot).collect();
        assert_eq!(left, ["held"], "{kind:?}");
        assert_eq!(lake.place.visible(), ["held"], "{kind:?}");
        assert_eq!(lake.place.verify().findings, [], "{kind:?}");
        let explained = lake
            .place
            .snapshots
            .explain(&id("held"), at("2024-12-11T14:30:22Z"))
            .expect("a snapshot");
        let pin = explained.pin.expect("it is pinned");
        assert_eq!(pin.lake, lake.location.identity(), "{kind:?}");
        assert_eq!(explained.shares_files_with, [], "{kind:?}");
    }
}

#[test]
fn a_pin_whose_manifest_never_came_is_let_go() {
    for kind in KINDS {
        let lake = LakePlace::shop(kind);
        let kept = lake.create("kept");
        // As a taker leaves it that dies between its pin and its manifest.
        let orphan = pintail_lake::PinRequest {
            pin: "orphan".to_owned(),
            project: "123".to_owned(),
            snapshot: "lost".to_owned(),
            place: "snapshots".to_owned(),
            created_by: "ada".to_owned(),
            created_at: "then".to_owned(),
        };
        lake.attached(Access::ReadWrite, |attached, _| {
            attached
                .pin(&orphan, |_, _| Ok::<_, pintail_lake::Error>(()))
                .expect("a pin")
        });
        let mut notes = lake.place.snapshots.pin_notes().expect("a list");
        notes.push(PinNote {
            snapshot: id("lost"),
            lake: lake.location.identity(),
            pin: "orphan".to_owned(),
        });
        let list = lake.place.snapshots.path().join(".pins.json");
        std::fs::write(&list, serde_json::to_string(&notes).expect("plain data")).expect("a list");
        let pruned = prune(&lake);
        assert_eq!(pruned.pins_left, [], "{kind:?}");
        let left: Vec<String> = lake.pins().into_iter().map(|pin| pin.pin).collect();
        assert_eq!(Some(left[0].as_str()), kept.source.pin.as_deref(), "{kind:?}");
        assert_eq!(left.len(), 1, "{kind:?}");
        assert_eq!(
            lake.place.snapshots.pin_notes().expect("a list").len(),
            1,
            "{kind:?}"
        );
    }
}

#[test]
fn a_pin_in_a_lake_that_cannot_be_reached_waits() {
    let lake = LakePlace::shop(Kind::Sqlite);
    lake.create("first");
    lake.create("second");
    let (there, elsewhere) = (
        lake.place.root().join("lake.sqlite"),
        lake.place.root().join("elsewhere"),
    );
    std::fs::rename(&there, &elsewhere).expect("a file");
    let pruned = prune(&lake);
    let left: Vec<String> = pruned
        .pins_left
        .iter()
        .map(|left| left.snapshot.to_string())
        .collect();
    assert_eq!(left, ["first"]);
    assert_eq!(lake.place.visible(), ["second"]);
    std::fs::rename(&elsewhere, &there).expect("a file");
    assert_eq!(prune(&lake).pins_left, []);
    let left: Vec<String> = lake.pins().into_iter().map(|pin| pin.snapshot).collect();
    assert_eq!(left, ["second"]);
}
