//! `kill -9` at random moments: whatever dies, running again until done gives the table that undisturbed runs give, and
//! whoever reads the destination in between sees whole states only.
//!
//! - `PINTAIL_CRASHES`: kills of all tests together, 136 if it is not set.
//! - `PINTAIL_SEED`: the seed of the choices. It is printed.

mod moment;
mod orders;
mod run;
mod scene;
mod shop;
mod target;
mod upkeep;
mod witness;

use std::io::Write;
use std::time::Instant;

use fastrand::Rng;

use self::moment::Hits;
use self::run::Mix;
use self::scene::Scene;
use self::shop::Shop;
use self::target::Kind;

/// Tests that share the kills.
const TESTS: u64 = 17;

/// Kills after which everything begins anew, without a destination.
const KILLS_OF_A_SCENE: u64 = 10;

#[test]
fn killed_runs_from_postgres_leave_a_lake_on_sqlite_whole() {
    check(0, Shop::postgres, Kind::LakeOnSqlite, Mix::Loads);
}

#[test]
fn killed_runs_from_sqlite_leave_a_lake_on_duckdb_whole() {
    check(1, Shop::sqlite, Kind::LakeOnDuckDb, Mix::Loads);
}

#[test]
fn killed_runs_from_postgres_leave_a_lake_on_postgres_whole() {
    check(2, Shop::postgres, Kind::LakeOnPostgres, Mix::Loads);
}

#[test]
fn killed_runs_from_postgres_leave_a_postgres_whole() {
    check(3, Shop::postgres, Kind::Postgres, Mix::Loads);
}

#[test]
fn killed_runs_from_postgres_leave_a_sqlite_file_whole() {
    check(4, Shop::postgres, Kind::Sqlite, Mix::Loads);
}

#[test]
fn killed_runs_from_sqlite_leave_a_duckdb_file_whole() {
    check(5, Shop::sqlite, Kind::DuckDb, Mix::Loads);
}

#[test]
fn killed_runs_from_sqlite_leave_a_folder_of_files_whole() {
    check(6, Shop::sqlite, Kind::Folder, Mix::Loads);
}

#[test]
fn killed_runs_from_postgres_leave_a_bucket_of_files_whole() {
    check(7, Shop::postgres, Kind::Bucket, Mix::Loads);
}

#[test]
fn killed_runs_from_postgres_leave_a_mariadb_whole() {
    check(8, Shop::postgres, Kind::MariaDb, Mix::Loads);
}

#[test]
fn killed_runs_from_sqlite_leave_a_lake_in_a_bucket_whole() {
    check(9, Shop::sqlite, Kind::LakeInBucket, Mix::Loads);
}

#[test]
fn killed_runs_from_postgres_leave_a_lake_on_postgres_in_a_bucket_whole() {
    check(10, Shop::postgres, Kind::LakeOnPostgresInBucket, Mix::Loads);
}

#[test]
fn killed_comparisons_leave_a_lake_whole() {
    check(11, Shop::postgres, Kind::LakeOnSqlite, Mix::Comparisons);
}

#[test]
fn killed_comparisons_leave_a_postgres_whole() {
    check(12, Shop::postgres, Kind::Postgres, Mix::Comparisons);
}

#[test]
fn killed_comparisons_leave_a_mariadb_whole() {
    check(13, Shop::postgres, Kind::MariaDb, Mix::Comparisons);
}

#[test]
fn killed_runs_of_aggregates_from_postgres_leave_a_lake_whole() {
    check(14, Shop::postgres, Kind::LakeOnPostgres, Mix::Groups);
}

#[test]
fn killed_runs_of_aggregates_from_sqlite_leave_a_lake_whole() {
    check(15, Shop::sqlite, Kind::LakeOnSqlite, Mix::Groups);
}

#[test]
fn killed_runs_of_aggregates_leave_a_postgres_whole() {
    check(16, Shop::postgres, Kind::Postgres, Mix::Groups);
}

fn check(test: u64, shop: fn() -> Shop, kind: Kind, mix: Mix) {
    let seed = number("PINTAIL_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let kills = number("PINTAIL_CRASHES").unwrap_or(136);
    let share = kills / TESTS + u64::from(test < kills % TESTS);
    let who = format!("{mix:?} into {kind:?}");
    say(&format!("{who}: PINTAIL_SEED={seed}"));

    let mut random = Rng::with_seed(seed.wrapping_add(test));
    let (began, mut hits, mut resumed, mut followed) = (Instant::now(), Hits::default(), 0, 0);
    while hits.all() < share {
        let until = share.min(hits.all() + KILLS_OF_A_SCENE);
        let mut scene = Scene::open(shop(), kind, mix, random.fork(), hits);
        scene.play(until);
        hits = scene.hits;
        resumed += scene.resumed;
        followed += scene.followed;
    }
    say(&format!(
        "{who}: {} kills: {hits}; {resumed} runs went on where another one was killed, {followed} followed groups; {:.1} s",
        hits.all(),
        began.elapsed().as_secs_f64()
    ));
    hits.assert_spread();
    assert!(
        mix != Mix::Groups || share == 0 || followed > 0,
        "no delta could tell which groups changed"
    );
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
