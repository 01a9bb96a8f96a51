//! `kill -9` at random moments of pinning, pruning and restoring in a lake: a manifest that is visible has its pin, a pin that
//! nothing needs goes with the next prune, and a table is as it was before or after. `PINTAIL_KILLS=1000` kills that often.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use pintail_snapshot::{CreateRequest, Prune};
use serde::{Deserialize, Serialize};

use crate::lake_place::{Address, Kind, LakePlace};
use crate::place::{Place, at, id};
use crate::roles::Role;

/// Longer than any child works.
const LIMIT: Duration = Duration::from_secs(120);

/// What a child does again and again until it is killed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Work {
    root: PathBuf,
    address: Address,
    round: u32,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    Pin,
    Prune,
    Restore,
}

impl Work {
    pub(crate) fn play(&self) {
        let lake = LakePlace::at(Place::at(&self.root), self.address.clone());
        println!("ready");
        for number in 0..1000 {
            match self.what {
                What::Pin => {
                    pin(&lake, &format!("r{}-{number}", self.round), number % 5 == 4);
                    lake.execute("update lake.shop.notes set n = n + 1");
                }
                What::Prune => {
                    pin(&lake, &format!("p{}-{number}", self.round), false);
                    prune(&lake);
                }
                What::Restore => {
                    lake.restore(if number % 2 == 0 { "even" } else { "odd" });
                }
            }
        }
    }
}

fn pin(lake: &LakePlace, name: &str, export: bool) {
    let request = CreateRequest {
        id: Some(id(name)),
        export,
        ..CreateRequest::default()
    };
    lake.create_with(&request).expect("a snapshot");
}

/// Takes away all that may go, at once.
fn prune(lake: &LakePlace) {
    let now = at("2030-01-01T00:00:00Z");
    let asked = Prune {
        grace: Duration::ZERO,
        dry_run: false,
        ..Prune::default()
    };
    lake.place.snapshots.prune(asked, now).expect("a project");
    let pruned = lake.place.snapshots.prune(asked, now).expect("a project");
    assert_eq!(pruned.pins_left, []);
}

/// Kills `kills` children, and looks after each.
fn kill(kind: Kind, what: What, kills: u32, look: impl Fn(&LakePlace, &str)) {
    let lake = LakePlace::shop(kind);
    lake.create("even");
    lake.execute("update lake.shop.orders set n = 1; update lake.shop.notes set n = 1");
    lake.create("odd");
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..kills {
        let work = Work {
            root: lake.place.root().to_path_buf(),
            address: lake.address.clone(),
            round,
            what,
        };
        let mut child = Role::Pin(work).start();
        assert!(
            child.wait_for_output("ready", LIMIT),
            "{}{}",
            child.stdout(),
            child.stderr()
        );
        let patience = Duration::from_micros(random.u64(0..400_000));
        let context = format!("{kind:?} {what:?}, seed {seed}, kill {round} after {patience:?}");
        if child.wait(patience).is_some() {
            panic!(
                "{context}: the child ended\n{}\n{}",
                child.stdout(),
                child.stderr()
            );
        }
        child.kill();
        look(&lake, &context);
    }
}

fn kills() -> u32 {
    let asked = std::env::var("PINTAIL_KILLS").ok();
    let all = asked.and_then(|asked| asked.parse().ok()).unwrap_or(60_u32);
    all.div_ceil(3)
}

/// Every visible snapshot has its pin and its rows, and after a sweep no other pin is left.
fn assert_whole(lake: &LakePlace, context: &str) {
    let (manifests, broken) = lake.place.snapshots.manifests().expect("a project");
    assert!(broken.is_empty(), "{context}: {broken:?}");
    assert_eq!(lake.place.verify().findings, [], "{context}");
    let needed: BTreeSet<String> = manifests
        .iter()
        .filter_map(|manifest| manifest.source.pin.clone())
        .collect();
    let pinned = || -> BTreeSet<String> { lake.pins().into_iter().map(|pin| pin.pin).collect() };
    assert!(pinned().is_superset(&needed), "{context}");
    // Nothing goes but what nobody sees.
    let asked = Prune {
        grace: Duration::from_secs(3600 * 24 * 3650),
        dry_run: false,
        ..Prune::default()
    };
    let pruned = lake
        .place
        .snapshots
        .prune(asked, at("2024-12-11T14:30:22Z"))
        .expect("a project");
    assert_eq!(pruned.pins_left, [], "{context}");
    assert_eq!(pinned(), needed, "{context}");
}

#[test]
fn a_take_that_dies_leaves_a_pinned_snapshot_or_none() {
    kill(Kind::Sqlite, What::Pin, kills(), |lake, context| {
        assert_whole(lake, context);
        lake.maintain();
        assert_eq!(lake.place.verify().findings, [], "{context}");
        // Not all of them are kept: the test would only become slower.
        if lake.place.visible().len() > 20 {
            prune(lake);
        }
    });
}

#[test]
fn a_prune_that_dies_leaves_no_pin_for_ever() {
    kill(Kind::Sqlite, What::Prune, kills(), |lake, context| {
        assert_whole(lake, context);
        prune(lake);
        assert_eq!(lake.pins().len(), lake.place.visible().len(), "{context}");
    });
}

#[test]
fn a_restore_that_dies_leaves_the_tables_of_before_or_of_after() {
    kill(Kind::Sqlite, What::Restore, kills(), |lake, context| {
        assert_whole(lake, context);
        let sql = "select (select count(*) = 1000 and min(n) = max(n) from lake.shop.orders),
                     (select count(*) = 10 and min(n) = max(n) from lake.shop.notes),
                     (select min(n) from lake.shop.orders) = (select min(n) from lake.shop.notes)";
        assert_eq!(lake.ask(sql), [["true", "true", "true"]], "{context}");
        if lake.place.visible().len() > 20 {
            for snapshot in lake.place.snapshots.ids().expect("a project") {
                if snapshot.as_str().starts_with("auto_") {
                    let now = at("2024-12-11T14:30:22Z");
                    lake.place.snapshots.delete(&snapshot, now).expect("marked");
                }
            }
            let asked = Prune {
                grace: Duration::ZERO,
                dry_run: false,
                ..Prune::default()
            };
            let now = at("2024-12-11T14:30:22Z");
            lake.place.snapshots.prune(asked, now).expect("a project");
        }
    });
}
