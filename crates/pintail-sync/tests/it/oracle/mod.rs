//! The oracle: random histories of a table, interleaved with runs, against a model in plain Rust.
//!
//! ```text
//! seed ─▶ history ─┬▶ source ─────────────▶ runs ─▶ destination ───┐ equal after every run?
//!                  └▶ model of the source ──────▶ model of the destination ┘
//! ```
//!
//! Histories write and delete rows, use keys again, stamp several rows alike or not at all, hold transactions open
//! across runs and commit them late, change the source between the bound and the snapshot of a run and while it
//! reads, stop runs and start them again. A case is one history with several runs. The first seed is printed; a case
//! that fails is cut down to its shortest prefix that fails.
//!
//! In a third of them, rows that are gone from the source stay, and say so. The same histories are played for
//! [aggregates](groups), where a row of the destination is a group of rows, and for [tables without a key](bags).
//!
//! - `PINTAIL_ORACLE_SEED`: the first seed. The seeds of the cases follow it one by one.
//! - `PINTAIL_ORACLE_CASES`: number of cases of all tests together, 300 if it is not set.

mod bags;
mod case;
mod course;
mod engine;
mod expected;
mod groups;
mod history;
mod kept;
mod model;
mod mysql;
mod postgres;
mod request;
mod rows;
mod source;
mod sqlite;
mod stamped;
mod tally;
mod target;
mod world;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use self::course::Scene;
use self::engine::{EngineTable, Holder};
use self::history::{ANY_FLOATS, History, PLAIN_FLOATS, generate};
use self::mysql::MySqlTable;
use self::postgres::PostgresTable;
use self::source::Source;
use self::sqlite::SqliteTable;
use self::tally::Tally;
use self::target::{DatabaseTarget, FilesTarget, LakeTarget, Target};
use crate::lakes::Kind;

/// Kinds of source times kinds of destination, and some of them once more with groups and without a key.
const TESTS: u64 = 48;

/// Cases that share a destination: to make one costs more than a run.
const CASES_OF_A_TARGET: u64 = 10;

#[test]
fn histories_of_postgres_hold_in_a_lake_on_sqlite() {
    check(0, &mut PostgresTable::new(), || {
        Box::new(LakeTarget::new(Kind::Sqlite))
    });
}

#[test]
fn histories_of_postgres_hold_in_a_lake_on_duckdb() {
    check(1, &mut PostgresTable::new(), || {
        Box::new(LakeTarget::new(Kind::DuckDb))
    });
}

#[test]
fn histories_of_postgres_hold_in_a_lake_on_postgres() {
    check(2, &mut PostgresTable::new(), || {
        Box::new(LakeTarget::new(Kind::Postgres))
    });
}

#[test]
fn histories_of_sqlite_hold_in_a_lake_on_sqlite() {
    check(3, &mut SqliteTable::new(), || {
        Box::new(LakeTarget::new(Kind::Sqlite))
    });
}

#[test]
fn histories_of_sqlite_hold_in_a_lake_on_duckdb() {
    check(4, &mut SqliteTable::new(), || {
        Box::new(LakeTarget::new(Kind::DuckDb))
    });
}

#[test]
fn histories_of_sqlite_hold_in_a_lake_on_postgres() {
    check(5, &mut SqliteTable::new(), || {
        Box::new(LakeTarget::new(Kind::Postgres))
    });
}

#[test]
fn histories_of_postgres_hold_in_postgres() {
    check(6, &mut PostgresTable::new(), || {
        Box::new(DatabaseTarget::postgres())
    });
}

#[test]
fn histories_of_postgres_hold_in_sqlite() {
    check(
        7,
        &mut PostgresTable::new(),
        || Box::new(DatabaseTarget::sqlite()),
    );
}

#[test]
fn histories_of_sqlite_hold_in_postgres() {
    check(
        8,
        &mut SqliteTable::new(),
        || Box::new(DatabaseTarget::postgres()),
    );
}

#[test]
fn histories_of_sqlite_hold_in_sqlite() {
    check(9, &mut SqliteTable::new(), || Box::new(DatabaseTarget::sqlite()));
}

#[test]
fn histories_of_postgres_hold_in_duckdb() {
    check(13, &mut PostgresTable::new(), || {
        Box::new(DatabaseTarget::duckdb())
    });
}

#[test]
fn histories_of_sqlite_hold_in_duckdb() {
    check(14, &mut SqliteTable::new(), || Box::new(DatabaseTarget::duckdb()));
}

#[test]
fn histories_of_mariadb_hold_in_a_lake_on_sqlite() {
    check(10, &mut MySqlTable::new(), || {
        Box::new(LakeTarget::new(Kind::Sqlite))
    });
}

#[test]
fn histories_of_mariadb_hold_in_a_lake_on_postgres() {
    check(11, &mut MySqlTable::new(), || {
        Box::new(LakeTarget::new(Kind::Postgres))
    });
}

#[test]
fn histories_of_mariadb_hold_in_postgres() {
    check(
        12,
        &mut MySqlTable::new(),
        || Box::new(DatabaseTarget::postgres()),
    );
}

#[test]
fn histories_of_postgres_hold_in_folders_of_csv() {
    // The value of a row changes, and so does the folder that it lies in.
    check(15, &mut PostgresTable::new(), || {
        Box::new(FilesTarget::new("format=csv&partition_by=value"))
    });
}

#[test]
fn histories_of_sqlite_hold_in_files_of_json() {
    check(16, &mut SqliteTable::new(), || {
        Box::new(FilesTarget::new("format=json"))
    });
}

#[test]
fn histories_of_sqlite_hold_in_folders_of_parquet() {
    check(17, &mut SqliteTable::new(), || {
        Box::new(FilesTarget::new("format=parquet&partition_by=updated_at,value"))
    });
}

#[test]
fn histories_of_mariadb_hold_in_files_of_csv() {
    check(18, &mut MySqlTable::new(), || {
        Box::new(FilesTarget::new("format=csv"))
    });
}

#[test]
fn histories_of_postgres_hold_in_mariadb() {
    check(19, &mut PostgresTable::new(), || {
        Box::new(DatabaseTarget::mariadb())
    });
}

#[test]
fn histories_of_sqlite_hold_in_mariadb() {
    check(
        20,
        &mut SqliteTable::new(),
        || Box::new(DatabaseTarget::mariadb()),
    );
}

#[test]
fn histories_of_mariadb_hold_in_mariadb() {
    check(21, &mut MySqlTable::new(), || Box::new(DatabaseTarget::mariadb()));
}

#[test]
fn histories_of_a_duckdb_file_hold_in_a_lake_on_sqlite() {
    check(22, &mut EngineTable::new(Holder::DuckDb), || {
        Box::new(LakeTarget::new(Kind::Sqlite))
    });
}

#[test]
fn histories_of_a_duckdb_file_hold_in_postgres() {
    check(23, &mut EngineTable::new(Holder::DuckDb), || {
        Box::new(DatabaseTarget::postgres())
    });
}

#[test]
fn histories_of_a_duckdb_file_hold_in_mariadb() {
    check(24, &mut EngineTable::new(Holder::DuckDb), || {
        Box::new(DatabaseTarget::mariadb())
    });
}

#[test]
fn histories_of_a_duckdb_file_hold_in_another_duckdb_file() {
    check(25, &mut EngineTable::new(Holder::DuckDb), || {
        Box::new(DatabaseTarget::duckdb())
    });
}

#[test]
fn histories_of_a_lake_hold_in_another_lake() {
    check(26, &mut EngineTable::new(Holder::Lake), || {
        Box::new(LakeTarget::new(Kind::DuckDb))
    });
}

#[test]
fn histories_of_a_lake_hold_in_postgres() {
    check(27, &mut EngineTable::new(Holder::Lake), || {
        Box::new(DatabaseTarget::postgres())
    });
}

#[test]
fn histories_of_a_lake_hold_in_sqlite() {
    check(28, &mut EngineTable::new(Holder::Lake), || {
        Box::new(DatabaseTarget::sqlite())
    });
}

#[test]
fn histories_of_a_lake_hold_in_files_of_csv() {
    check(29, &mut EngineTable::new(Holder::Lake), || {
        Box::new(FilesTarget::new("format=csv"))
    });
}

#[test]
fn histories_of_parquet_files_hold_in_a_lake_on_postgres() {
    check(30, &mut EngineTable::new(Holder::Parquet), || {
        Box::new(LakeTarget::new(Kind::Postgres))
    });
}

#[test]
fn histories_of_parquet_files_hold_in_mariadb() {
    check(31, &mut EngineTable::new(Holder::Parquet), || {
        Box::new(DatabaseTarget::mariadb())
    });
}

#[test]
fn histories_of_parquet_files_hold_in_files_of_json() {
    check(32, &mut EngineTable::new(Holder::Parquet), || {
        Box::new(FilesTarget::new("format=json"))
    });
}

#[test]
fn histories_of_postgres_hold_in_a_lake_in_a_bucket() {
    check(33, &mut PostgresTable::new(), || {
        Box::new(LakeTarget::in_bucket(Kind::Sqlite))
    });
}

#[test]
fn histories_of_a_duckdb_file_hold_in_a_lake_in_a_bucket() {
    check(34, &mut EngineTable::new(Holder::DuckDb), || {
        Box::new(LakeTarget::in_bucket(Kind::Sqlite))
    });
}

#[test]
fn histories_of_mariadb_hold_in_a_bucket_of_parquet() {
    check(35, &mut MySqlTable::new(), || {
        Box::new(FilesTarget::in_bucket("format=parquet&partition_by=value"))
    });
}

#[test]
fn histories_of_sqlite_hold_in_a_bucket_of_csv() {
    check(36, &mut SqliteTable::new(), || {
        Box::new(FilesTarget::in_bucket("format=csv"))
    });
}

#[test]
fn histories_of_postgres_hold_as_groups_in_a_lake_on_sqlite() {
    check_groups(37, &mut PostgresTable::new(), || {
        Box::new(LakeTarget::new(Kind::Sqlite))
    });
}

#[test]
fn histories_of_sqlite_hold_as_groups_in_a_lake_on_postgres() {
    check_groups(38, &mut SqliteTable::new(), || {
        Box::new(LakeTarget::new(Kind::Postgres))
    });
}

#[test]
fn histories_of_mariadb_hold_as_groups_in_postgres() {
    check_groups(
        39,
        &mut MySqlTable::new(),
        || Box::new(DatabaseTarget::postgres()),
    );
}

#[test]
fn histories_of_a_duckdb_file_hold_as_groups_in_mariadb() {
    check_groups(40, &mut EngineTable::new(Holder::DuckDb), || {
        Box::new(DatabaseTarget::mariadb())
    });
}

#[test]
fn histories_of_postgres_hold_as_groups_in_files_of_csv() {
    check_groups(41, &mut PostgresTable::new(), || {
        Box::new(FilesTarget::new("format=csv"))
    });
}

#[test]
fn histories_of_a_duckdb_file_hold_as_groups_in_another_duckdb_file() {
    check_groups(42, &mut EngineTable::new(Holder::DuckDb), || {
        Box::new(DatabaseTarget::duckdb())
    });
}

#[test]
fn histories_of_postgres_hold_without_a_key_in_a_lake_on_postgres() {
    check_bags(43, &mut PostgresTable::new(), || {
        Box::new(LakeTarget::new(Kind::Postgres))
    });
}

#[test]
fn histories_of_sqlite_hold_without_a_key_in_postgres() {
    check_bags(44, &mut SqliteTable::new(), || {
        Box::new(DatabaseTarget::postgres())
    });
}

#[test]
fn histories_of_mariadb_hold_without_a_key_in_mariadb() {
    check_bags(45, &mut MySqlTable::new(), || Box::new(DatabaseTarget::mariadb()));
}

#[test]
fn histories_of_a_duckdb_file_hold_without_a_key_in_sqlite() {
    check_bags(46, &mut EngineTable::new(Holder::DuckDb), || {
        Box::new(DatabaseTarget::sqlite())
    });
}

#[test]
fn histories_of_a_lake_hold_without_a_key_in_files_of_csv() {
    check_bags(47, &mut EngineTable::new(Holder::Lake), || {
        Box::new(FilesTarget::new("format=csv"))
    });
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
    )
}

fn say(line: &str) {
    // Not `println!`: the harness keeps that back from whoever reads the log of a run that passed.
    writeln!(std::io::stdout(), "oracle: {line}").expect("an open output");
}

/// What is kept of the orders of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Orders,
    Groups,
    /// Their values alone.
    Bags,
}

fn check(test: u64, source: &mut dyn Source, target: fn() -> Box<dyn Target>) {
    check_all(test, source, Stage::new(Subject::Orders, target));
}

fn check_groups(test: u64, source: &mut dyn Source, target: fn() -> Box<dyn Target>) {
    check_all(test, source, Stage::new(Subject::Groups, target));
}

fn check_bags(test: u64, source: &mut dyn Source, target: fn() -> Box<dyn Target>) {
    check_all(test, source, Stage::new(Subject::Bags, target));
}

/// Plays the share of one test in all cases.
fn check_all(test: u64, source: &mut dyn Source, mut stage: Stage) {
    let first = number("PINTAIL_ORACLE_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let cases = number("PINTAIL_ORACLE_CASES").unwrap_or(300);
    let share = cases / TESTS + u64::from(test < cases % TESTS);
    let who = format!(
        "{:?} of {} to {}",
        stage.subject,
        source.name(),
        stage.target.name()
    );
    let floats = match source.traits().any_float && stage.target.any_float() {
        true => ANY_FLOATS,
        false => PLAIN_FLOATS,
    };
    say(&format!(
        "{who}: PINTAIL_ORACLE_SEED={first} PINTAIL_ORACLE_CASES={cases}"
    ));
    let mut total = Tally::default();
    for case in 0..share {
        let seed = first.wrapping_add(test + TESTS * case);
        let history = generate(seed, source.traits(), floats);
        match stage.play(source, &history, usize::MAX) {
            Ok(tally) => total += tally,
            Err(problem) => {
                let (steps, problem) = shortest(&mut stage, source, &history, problem);
                let steps = history.steps.iter().take(steps).enumerate();
                let steps: Vec<String> = steps
                    .map(|(number, step)| format!("{number}: {step:?}"))
                    .collect();
                panic!(
                    "{who}, seed {seed}: {problem}\n{:?}\n{}",
                    history.setting,
                    steps.join("\n")
                );
            }
        }
    }
    say(&format!("{who}: {share} cases, {total:?}"));
    let covered = match stage.subject {
        Subject::Orders => total.covers(share),
        Subject::Groups => total.covers_groups(share),
        Subject::Bags => total.covers_bags(share),
    };
    assert!(covered, "the histories did not go everywhere: {total:?}");
}

/// The shortest prefix of a history that still fails, and how.
fn shortest(
    stage: &mut Stage,
    source: &mut dyn Source,
    history: &History,
    problem: String,
) -> (usize, String) {
    for steps in 1..history.steps.len() {
        if let Err(problem) = stage.play(source, history, steps) {
            return (steps, problem);
        }
    }
    (history.steps.len(), problem)
}

/// The destination of some cases.
struct Stage {
    subject: Subject,
    make: fn() -> Box<dyn Target>,
    target: Box<dyn Target>,
    played: u64,
}

impl Stage {
    fn new(subject: Subject, make: fn() -> Box<dyn Target>) -> Self {
        Self {
            subject,
            make,
            target: make(),
            played: 0,
        }
    }

    /// Plays a history, on a table that no other history knows.
    fn play(&mut self, source: &mut dyn Source, history: &History, steps: usize) -> Result<Tally, String> {
        if self.played > 0 && self.played.is_multiple_of(CASES_OF_A_TARGET) {
            self.target = (self.make)();
        }
        self.played += 1;
        let name = format!("orders_{}", self.played);
        let scene = Scene {
            target: self.target.as_ref(),
            name: &name,
        };
        let play = || match self.subject {
            Subject::Orders => course::play::<case::Case<'_>>(&scene, source, history, steps),
            Subject::Groups => course::play::<groups::Case<'_>>(&scene, source, history, steps),
            Subject::Bags => course::play::<bags::Case<'_>>(&scene, source, history, steps),
        };
        catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("panic: {}", message.unwrap_or("without words")))
        })
    }
}
