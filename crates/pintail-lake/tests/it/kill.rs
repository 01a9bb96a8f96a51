//! `kill -9` at random moments, and start again: nothing is lost, nothing is doubled, nothing lies around.
//!
//! `PINTAIL_KILLS=1000` kills that often, all catalogues together; 60 is the default.

use std::time::Duration;

use pintail_lake::{Call, Change, CommitPart, Lake, LeaseSettings, LedgerEntry, SweepPolicy};
use serde::{Deserialize, Serialize};

use crate::lakes::{
    Address, KINDS, Kind, Place, assert_sound, assert_swept, commit, contents, key, numbers, references,
    seeded, stage_attempt, upsert,
};
use crate::roles::{LIMIT, Role, answer};

/// Ids in the table.
const IDS: i64 = 2000;
/// Partitions of a round, after the full load that it begins with.
const UPSERTS: i64 = 12;

/// A worker that loads the table in full and then brings changes, partition by partition. Whatever the ledger knows
/// is done.
#[derive(Serialize, Deserialize)]
pub(crate) struct Loader {
    address: Address,
    round: i64,
    /// Staged files are never written twice: an earlier attempt's may be in the lake.
    attempt: u32,
}

impl Loader {
    pub(crate) fn play(&self) {
        let lake = self.address.open(LeaseSettings::default());
        answer(&"ready");
        if !self.done(&lake, "full") {
            let parts = vec![
                self.stage(&lake, "full", 0..IDS / 2, self.version(0)),
                self.stage(&lake, "full-2", IDS / 2..IDS, self.version(0)),
            ];
            commit(&lake, Change::ReplaceAll, parts);
        }
        for number in 1..=UPSERTS {
            let partition = format!("p{number}");
            if !self.done(&lake, &partition) {
                let part = self.stage(&lake, &partition, changed(number), self.version(number));
                commit(&lake, upsert(), vec![part]);
                answer(&partition);
            }
        }
    }

    fn run(&self) -> String {
        format!("round-{}", self.round)
    }

    fn version(&self, number: i64) -> i64 {
        self.round * 100 + number
    }

    fn stage(&self, lake: &Lake, partition: &str, rows: std::ops::Range<i64>, version: i64) -> CommitPart {
        stage_attempt(lake, &self.run(), partition, self.attempt, rows, 1, version)
    }

    fn done(&self, lake: &Lake, partition: &str) -> bool {
        let session = lake.session().expect("a session");
        let known: pintail_lake::Result<Vec<LedgerEntry>> =
            lake.ledger().committed(&session, &[key(&self.run(), partition)]);
        // Nobody has committed to a lake without a ledger.
        known.is_ok_and(|entries| !entries.is_empty())
    }
}

/// The ids that an upsert changes: they overlap with those of its neighbours.
fn changed(number: i64) -> std::ops::Range<i64> {
    let first = number * 131 % (IDS - 300);
    first..first + 300
}

/// Rows, ids, sum of ids and sum of versions after a whole round.
fn expected(round: i64) -> (i64, i64, i64, i64) {
    let mut versions = vec![round * 100; usize::try_from(IDS).expect("a small table")];
    for number in 1..=UPSERTS {
        let rows = changed(number);
        let rows = usize::try_from(rows.start).expect("an id")..usize::try_from(rows.end).expect("an id");
        versions[rows].fill(round * 100 + number);
    }
    (IDS, IDS, IDS * (IDS - 1) / 2, versions.iter().sum())
}

/// Runs rounds until there were `kills`; every round ends undisturbed.
fn kill_loaders(place: &Place, kills: u32) {
    let context = format!("{kills} kills on {:?}", place.address.kind);
    let mut random = seeded(&context);
    let (mut killed, mut attempt, mut round) = (0, 0, 0);
    while killed < kills || round == 0 {
        round += 1;
        let mut left = random.u32(2..8).min(kills - killed);
        loop {
            attempt += 1;
            let loader = Loader {
                address: place.address.clone(),
                round,
                attempt,
            };
            let mut child = Role::Loader(loader).start();
            // Now and then while it starts; mostly while it stages and commits.
            let early = random.u8(0..10) == 0;
            let ready = early || child.wait_for_output("ready", LIMIT);
            assert!(ready, "{}{}", child.stdout(), child.stderr());
            let patience = match left > 0 {
                true if early => Duration::from_millis(random.u64(0..500)),
                true => Duration::from_micros(random.u64(0..400_000)),
                false => LIMIT,
            };
            if let Some(status) = child.wait(patience) {
                assert!(
                    status.success(),
                    "{context}\n{}\n{}",
                    child.stdout(),
                    child.stderr()
                );
                break;
            }
            assert!(left > 0, "{context}: a loader does not end\n{}", child.stdout());
            child.kill();
            killed += 1;
            left -= 1;
        }
        let lake = place.open();
        let context = format!("{context}, round {round}");
        assert_sound(&lake, &context);
        let session = lake.session().expect("a session");
        assert_eq!(contents(&session), expected(round), "{context}");
        let sql = "select count(*) from lake.pintail.ledger";
        let rows = session.query(Call::new("count keys"), sql).expect("rows");
        assert_eq!(rows[0].integer(0), Some(round * (UPSERTS + 2)), "{context}");
        if killed >= kills {
            let policy = SweepPolicy {
                own_runs: Vec::new(),
                older_than: Some(Duration::ZERO),
            };
            let swept = lake.sweep(&numbers(), &policy).expect("a sweep");
            assert_swept(&lake, &context);
            assert_sound(&lake, &context);
            assert_eq!(contents(&session), expected(round), "{context}");
            report(&context, &swept, references(&lake, &session).len());
        }
        // A DuckDB file takes one process at a time.
        drop(session);
        drop(lake);
    }
}

fn report(context: &str, swept: &pintail_lake::Swept, references: usize) {
    use std::io::Write;
    writeln!(
        std::io::stdout(),
        "{context}: {} files swept, {references} referenced",
        swept.files
    )
    .expect("an open output");
}

/// The share of one catalogue.
fn kills() -> u32 {
    let all = std::env::var("PINTAIL_KILLS")
        .ok()
        .and_then(|text| text.parse().ok());
    let all: u32 = all.unwrap_or(60);
    all.div_ceil(u32::try_from(KINDS.len()).expect("three"))
}

#[test]
fn nothing_is_lost_or_doubled_by_kills_on_sqlite() {
    kill_loaders(&Place::new(Kind::Sqlite), kills());
}

#[test]
fn nothing_is_lost_or_doubled_by_kills_on_a_duckdb_file() {
    kill_loaders(&Place::new(Kind::DuckDb), kills());
}

#[test]
fn nothing_is_lost_or_doubled_by_kills_on_postgres() {
    kill_loaders(&Place::new(Kind::Postgres), kills());
}

#[test]
fn nothing_is_lost_or_doubled_by_kills_with_files_in_a_bucket() {
    kill_loaders(&Place::in_bucket(Kind::Sqlite), kills().div_ceil(2));
}
