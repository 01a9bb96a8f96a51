//! `pintail lake maintain` that is killed at random moments, alone and beside a run.
//!
//! It changes no row, and whoever reads meanwhile sees all of them. What a killed one left undone the next one does.

use std::time::{Duration, Instant};

use fastrand::Rng;
use pintail_lake::Access;
use pintail_testkit::Process;

use super::moment::Hits;
use super::run::{Mix, Run};
use super::scene::{LIMIT, Scene};
use super::shop::Shop;
use super::target::Kind;
use super::witness::{LakeWitness, Witness};
use super::{number, say};

/// Tests that share the kills.
const TESTS: u64 = 4;

/// What it says, at the level `trace`, when it is done with a part of its work. The first it says soon.
const SIGNS: [&str; 6] = [
    "list the tables of the lake",
    "write files of a table anew",
    "merge files of a table",
    "expire snapshots of the lake",
    "remove files that the lake gave up",
    "commit the maintenance of the lake",
];

/// Everything that is not of today.
const MAINTAIN: [&str; 9] = [
    "lake",
    "maintain",
    "copy",
    "--expire-older-than",
    "1h",
    "--clean-older-than",
    "1h",
    "--yes",
    "--json",
];

#[test]
fn killed_maintenance_leaves_a_lake_on_sqlite_whole() {
    check(0, Kind::LakeOnSqlite);
}

#[test]
fn killed_maintenance_leaves_a_lake_on_duckdb_whole() {
    check(1, Kind::LakeOnDuckDb);
}

#[test]
fn killed_maintenance_leaves_a_lake_on_postgres_whole() {
    check(2, Kind::LakeOnPostgres);
}

#[test]
fn killed_maintenance_leaves_a_lake_in_a_bucket_whole() {
    check(3, Kind::LakeInBucket);
}

fn check(test: u64, kind: Kind) {
    let seed = number("PINTAIL_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    // One takes as long as several of runs, for all that has to be there before.
    let kills = number("PINTAIL_CRASHES").unwrap_or(136) / 8;
    let share = kills / TESTS + u64::from(test < kills % TESTS);
    say(&format!("maintenance of {kind:?}: PINTAIL_SEED={seed}"));
    let began = Instant::now();
    let mut random = Rng::with_seed(seed.wrapping_add(test));
    let scene = Scene::open(Shop::sqlite(), kind, Mix::Loads, random.fork(), Hits::default());
    let aimed = random.usize(..SIGNS.len());
    let mut upkeep = Upkeep {
        scene,
        kind,
        random,
        usual: Duration::from_secs(1),
        kills: [0; SIGNS.len()],
        aimed,
        beside: 0,
    };
    upkeep.play(share);
    say(&format!(
        "maintenance of {kind:?}: kills after each step {:?}, {} of them beside a run; {:.1} s",
        upkeep.kills,
        upkeep.beside,
        began.elapsed().as_secs_f64()
    ));
}

/// A lake that is filled, maintained and looked at in turns.
struct Upkeep {
    scene: Scene,
    kind: Kind,
    random: Rng,
    /// How long maintenance took that nobody disturbed.
    usual: Duration,
    /// How many kills came after which step.
    kills: [u64; SIGNS.len()],
    aimed: usize,
    /// Kills while a run was under way.
    beside: u64,
}

impl Upkeep {
    fn play(&mut self, kills: u64) {
        self.scene.finish(Run::Full);
        while self.kills.iter().sum::<u64>() < kills {
            self.fill();
            for _ in 0..self.random.usize(1..=3) {
                self.kill();
            }
            self.finish();
        }
        self.scene.update();
        self.scene.finish(Run::Delta);
        let lake = self.lake(Access::ReadWrite);
        lake.assert_swept("at the end");
        lake.orders().assert_same(&self.scene.wanted(), "at the end");
    }

    /// Commits until there is something to merge, to expire and to clean, all of it old.
    fn fill(&mut self) {
        for _ in 0..2 {
            self.scene.change();
            self.scene.finish(Run::Delta);
        }
        if self.scene.lacks_deletes() || self.random.u8(..3) == 0 {
            self.scene.finish(Run::Full);
            self.scene.update();
            self.scene.finish(Run::Delta);
        }
        self.lake(Access::ReadWrite).age();
    }

    /// Starts maintenance and kills it at a random moment, unless it ends before. Nothing is to be seen of that.
    fn kill(&mut self) {
        let sign = SIGNS[self.aimed % SIGNS.len()];
        self.aimed += 1;
        let delay = self.usual.mul_f64(0.2 * self.random.f64() * self.random.f64());
        // A DuckDB file takes one process at a time.
        let beside = self.kind != Kind::LakeOnDuckDb && self.random.u8(..3) == 0;
        if beside {
            self.scene.update();
        }
        let run = beside.then(|| Process::spawn(&mut self.scene.command(&Run::Delta.arguments())));
        let mut command = self.scene.command(&MAINTAIN);
        let mut process = Process::spawn(command.env("PINTAIL_LOG_LEVEL", "trace"));
        let alive = process.wait_for_output(sign, LIMIT) && process.wait(delay).is_none();
        let end = process.kill();
        process.wait_for_output("\0", LIMIT);
        let said = process.stderr();
        if alive && !end.success() {
            let last = SIGNS.iter().rposition(|sign| said.contains(sign));
            self.kills[last.unwrap_or(0)] += 1;
            self.beside += u64::from(beside);
        } else {
            assert!(end.success(), "{said}");
        }
        let context = format!("maintenance killed after \"{sign}\"\n{said}");
        if let Some(mut run) = run {
            let ended = run.wait(LIMIT).is_some_and(|end| end.success());
            assert!(
                ended,
                "{context}\na run beside it: {}\n{}",
                run.stdout(),
                run.stderr()
            );
        }
        self.scene.settle();
        self.look(&context);
    }

    /// Maintains until nothing is left to do.
    fn finish(&mut self) {
        for round in 0.. {
            // Also what one gave up that was killed just now.
            self.lake(Access::ReadWrite).age();
            let began = Instant::now();
            let report = self.scene.succeed(&MAINTAIN);
            self.usual = began.elapsed();
            self.look(&format!("maintained, {report}"));
            let table = &report["tables"][0];
            let done = [
                &table["rewritten"]["from"],
                &table["merged"]["from"],
                &report["snapshots_expired"],
                &report["files_removed"],
            ];
            if done.iter().all(|done| **done == 0) {
                break;
            }
            assert!(round < 6, "it always finds something to do: {report}");
        }
        let lake = self.lake(Access::ReadOnly);
        assert_eq!(
            lake.given_up(),
            Vec::<std::path::PathBuf>::new(),
            "files that nobody needs"
        );
        lake.assert_nothing_left("maintained");
    }

    /// Looks at the lake as anybody may.
    fn look(&self, context: &str) {
        let lake = self.lake(Access::ReadOnly);
        lake.orders().assert_same(&self.scene.wanted(), context);
        lake.assert_complete(context);
        lake.assert_ledger(context);
    }

    #[track_caller]
    fn lake(&self, access: Access) -> LakeWitness {
        self.scene.lake(access)
    }
}
