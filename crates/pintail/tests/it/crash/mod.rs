//! `kill -9` at random moments: whatever dies, running again until done gives the table that undisturbed runs give, and
//! whoever reads the destination in between sees whole states only.
//!
//! - `PINTAIL_CRASHES`: kills of all tests together, 96 if it is not set.
//! - `PINTAIL_SEED`: the seed of the choices. It is printed.

mod moment;
mod orders;
mod scene;
mod shop;
mod target;
mod witness;

use std::io::Write;
use std::time::Instant;

use fastrand::Rng;

use self::moment::Hits;
use self::scene::Scene;
use self::shop::Shop;
use self::target::Kind;

/// Kinds of destination, each with a test.
const TESTS: u64 = 9;

/// Kills after which everything begins anew, without a destination.
const KILLS_OF_A_SCENE: u64 = 10;

#[test]
fn killed_runs_from_postgres_leave_a_lake_on_sqlite_whole() {
    check(0, Shop::postgres, Kind::LakeOnSqlite);
}

#[test]
fn killed_runs_from_sqlite_leave_a_lake_on_duckdb_whole() {
    check(1, Shop::sqlite, Kind::LakeOnDuckDb);
}

#[test]
fn killed_runs_from_postgres_leave_a_lake_on_postgres_whole() {
    check(2, Shop::postgres, Kind::LakeOnPostgres);
}

#[test]
fn killed_runs_from_postgres_leave_a_postgres_whole() {
    check(3, Shop::postgres, Kind::Postgres);
}

#[test]
fn killed_runs_from_postgres_leave_a_sqlite_file_whole() {
    check(4, Shop::postgres, Kind::Sqlite);
}

#[test]
fn killed_runs_from_sqlite_leave_a_duckdb_file_whole() {
    check(5, Shop::sqlite, Kind::DuckDb);
}

#[test]
fn killed_runs_from_sqlite_leave_a_folder_of_files_whole() {
    check(6, Shop::sqlite, Kind::Folder);
}

#[test]
fn killed_runs_from_postgres_leave_a_bucket_of_files_whole() {
    check(7, Shop::postgres, Kind::Bucket);
}

#[test]
fn killed_runs_from_postgres_leave_a_mariadb_whole() {
    check(8, Shop::postgres, Kind::MariaDb);
}

fn check(test: u64, shop: fn() -> Shop, kind: Kind) {
    let seed = number("PINTAIL_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let kills = number("PINTAIL_CRASHES").unwrap_or(96);
    let share = kills / TESTS + u64::from(test < kills % TESTS);
    say(&format!("{kind:?}: PINTAIL_SEED={seed}"));

    let mut random = Rng::with_seed(seed.wrapping_add(test));
    let (began, mut hits, mut resumed) = (Instant::now(), Hits::default(), 0);
    while hits.all() < share {
        let until = share.min(hits.all() + KILLS_OF_A_SCENE);
        let mut scene = Scene::open(shop(), kind, random.fork(), hits);
        scene.play(until);
        (hits, resumed) = (scene.hits, resumed + scene.resumed);
    }
    say(&format!(
        "{kind:?}: {} kills: {hits}; {resumed} runs went on where another one was killed; {:.1} s",
        hits.all(),
        began.elapsed().as_secs_f64()
    ));
    hits.assert_spread();
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
    )
}

fn say(line: &str) {
    // Not `println!`: the harness keeps that back from whoever reads the log of a test that passed.
    writeln!(std::io::stdout(), "crash: {line}").expect("an open output");
}
