//! Several committers at once: every partition comes in once, with the rows of the one that won.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::Duration;

use pintail_lake::{Call, Change, CommitPart, Lake, LeaseSettings};
use pintail_model::{ErrorKind, PartitionKey};
use pintail_testkit::Process;
use serde::{Deserialize, Serialize};

use crate::lakes::{
    Address, KINDS, Kind, Place, assert_sound, assert_swept, commit, contents, key, numbers, seeded, shown,
    stage, stage_attempt, try_commit,
};
use crate::roles::{Gate, LIMIT, Role, answer, answers, assert_ends_well, pass_gate};

const ROWS: i64 = 50;

/// One committer of a race. In every round it waits at a gate and then commits groups of partitions.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Racer {
    address: Address,
    /// Rows of racer `n` have version `n`; the table begins with version 0.
    number: i64,
    gates: Vec<PathBuf>,
    /// For every round, the groups in order.
    rounds: Vec<Vec<Vec<i64>>>,
    /// It does not wait for the lease but passes it over, and tries again when it is refused.
    hasty: bool,
}

/// Somebody who makes a lake, or finds that another one has just made it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Maker {
    address: Address,
    gate: PathBuf,
    number: i64,
}

impl Maker {
    pub(crate) fn play(&self) {
        answer(&Step::Ready(0));
        pass_gate(&self.gate);
        let lake = self.address.open(LeaseSettings::default());
        let rows = self.number * 10..(self.number + 1) * 10;
        commit(
            &lake,
            Change::Append,
            vec![stage(&lake, "r", &self.number.to_string(), rows, 1, 1)],
        );
    }
}

/// What a racer says when it stands at a gate, and after every commit.
#[derive(Debug, Serialize, Deserialize)]
enum Step {
    Ready(usize),
    Done {
        committed: Vec<String>,
        already: Vec<String>,
        asked: u32,
    },
}

impl Racer {
    pub(crate) fn play(&self) {
        let mut lease = LeaseSettings::default();
        if self.hasty {
            lease.wait = Duration::ZERO;
        }
        let lake = self.address.open(lease);
        for (round, gate) in self.gates.iter().enumerate() {
            answer(&Step::Ready(round));
            pass_gate(gate);
            self.commit_round(&lake, round, &mut |step| answer(&step));
        }
    }

    fn commit_round(&self, lake: &Lake, round: usize, done: &mut dyn FnMut(Step)) {
        for group in &self.rounds[round] {
            let parts: Vec<CommitPart> = group
                .iter()
                .map(|partition| {
                    let attempt = u32::try_from(self.number).expect("a few racers");
                    let rows = partition * ROWS..(partition + 1) * ROWS;
                    stage_attempt(
                        lake,
                        "race",
                        &format!("p{partition}"),
                        attempt,
                        rows,
                        1,
                        self.number,
                    )
                })
                .collect();
            let mut attempts = 0;
            let outcome = loop {
                attempts += 1;
                match try_commit(lake, race(), parts.clone()) {
                    Ok(outcome) => break outcome,
                    Err(error) if self.hasty && attempts < 200 && error.kind() == ErrorKind::Conflict => {}
                    Err(error) => shown(&error),
                }
            };
            let texts = |keys: &[PartitionKey]| keys.iter().map(|key| key.as_str().to_owned()).collect();
            done(Step::Done {
                committed: texts(&outcome.committed),
                already: texts(&outcome.already),
                asked: outcome.asked,
            });
        }
    }
}

/// Rows of the same key go, whatever their version: whoever commits a partition last has its rows there.
fn race() -> Change {
    Change::Upsert {
        key: vec!["id".to_owned()],
        newer: None,
    }
}

/// How the partitions are given to the racers.
#[derive(Debug, Clone, Copy)]
enum Division {
    /// All of them commit all partitions, in the same groups and order.
    Same,
    /// Each has partitions of its own.
    Different,
    /// All of them commit all partitions, in groups and an order of their own.
    Regrouped,
}

impl Division {
    /// The groups of each of `racers` for partitions `first..end`.
    fn groups(self, random: &mut fastrand::Rng, racers: usize, first: i64, end: i64) -> Vec<Vec<Vec<i64>>> {
        let mut group = |mut partitions: Vec<i64>, shuffled: bool| {
            if shuffled {
                random.shuffle(&mut partitions);
            }
            let mut groups = Vec::new();
            while !partitions.is_empty() {
                let size = random.usize(1..=5).min(partitions.len());
                groups.push(partitions.drain(..size).collect::<Vec<_>>());
            }
            groups
        };
        match self {
            Self::Same => {
                let groups = group((first..end).collect(), false);
                vec![groups; racers]
            }
            Self::Different => (0..racers)
                .map(|racer| {
                    let own =
                        (first..end).filter(|partition| partition.unsigned_abs() as usize % racers == racer);
                    group(own.collect(), true)
                })
                .collect(),
            Self::Regrouped => (0..racers).map(|_| group((first..end).collect(), true)).collect(),
        }
    }
}

const DIVISIONS: [Division; 3] = [Division::Same, Division::Different, Division::Regrouped];
/// Rounds of a race, and partitions in each of them.
const ROUNDS: usize = 3;
const PARTITIONS: i64 = 12;

/// Plans a race over a table that begins with rows of version 0.
fn racers(
    place: &Place,
    lake: &Lake,
    random: &mut fastrand::Rng,
    count: usize,
    hasty: bool,
) -> (Vec<Gate>, Vec<Racer>) {
    let end = PARTITIONS * i64::try_from(ROUNDS).expect("a few rounds");
    commit(
        lake,
        Change::ReplaceAll,
        vec![stage(lake, "base", "all", 0..end * ROWS, 1, 0)],
    );
    let gates: Vec<Gate> = (0..ROUNDS)
        .map(|round| Gate::new(place.folder.path().join(format!("gate-{round}"))))
        .collect();
    let mut racers: Vec<Racer> = (1..=count)
        .map(|number| Racer {
            address: place.address.clone(),
            number: i64::try_from(number).expect("a few racers"),
            gates: gates.iter().map(|gate| gate.path.clone()).collect(),
            rounds: Vec::new(),
            hasty,
        })
        .collect();
    for round in 0..ROUNDS {
        let division = DIVISIONS[round % DIVISIONS.len()];
        let first = PARTITIONS * i64::try_from(round).expect("a few rounds");
        let groups = division.groups(random, count, first, first + PARTITIONS);
        for (racer, groups) in racers.iter_mut().zip(groups) {
            racer.rounds.push(groups);
        }
    }
    (gates, racers)
}

/// Checks the table against what the racers say they did.
fn check(lake: &Lake, steps: &[(i64, Step)], context: &str) {
    let mut winners: BTreeMap<&str, i64> = BTreeMap::new();
    let (mut commits, mut lost, mut asked) = (0, 0, 0);
    for (racer, step) in steps {
        let Step::Done {
            committed,
            already,
            asked: times,
        } = step
        else {
            continue;
        };
        commits += usize::from(!committed.is_empty());
        lost += already.len();
        asked += times;
        for key in committed {
            let before = winners.insert(key, *racer);
            assert_eq!(before, None, "{context}: {key} was won twice");
        }
    }
    let partitions = PARTITIONS * i64::try_from(ROUNDS).expect("a few rounds");
    assert_sound(lake, context);
    let session = lake.session().expect("a session");
    for partition in 0..partitions {
        let name = key("race", &format!("p{partition}"));
        let winner = winners.get(name.as_str());
        let winner = winner.unwrap_or_else(|| panic!("{context}: nobody won {name}"));
        let sql = format!(
            "select count(note), min(version), max(version) from lake.shop.numbers where id // {ROWS} = {partition}"
        );
        let rows = session.query(Call::new("read a partition"), &sql).expect("rows");
        let found = [0, 1, 2].map(|index| rows[0].integer(index));
        assert_eq!(
            found,
            [Some(ROWS), Some(*winner), Some(*winner)],
            "{context}: {name}"
        );
    }
    let sql = "select count(*) from lake.pintail.ledger where run_id = 'race'";
    let ledger = session.query(Call::new("read the ledger"), sql).expect("rows");
    assert_eq!(ledger[0].integer(0), Some(partitions), "{context}");
    drop(session);
    let policy = pintail_lake::SweepPolicy {
        own_runs: vec![pintail_model::RunId::from_stored("race")],
        older_than: None,
    };
    lake.sweep(&numbers(), &policy).expect("a sweep");
    assert_swept(lake, context);
    use std::io::Write;
    writeln!(
        std::io::stdout(),
        "{context}: {commits} commits, {lost} partitions lost to others, ledger asked {asked} times"
    )
    .expect("an open output");
}

fn race_processes(kind: Kind, count: usize, hasty: bool) {
    let manner = if hasty { "hasty " } else { "" };
    let context = format!("{count} {manner}processes on {kind:?}");
    let mut random = seeded(&context);
    let place = Place::new(kind);
    let lake = place.open();
    let (gates, racers) = racers(&place, &lake, &mut random, count, hasty);
    let mut children: Vec<Process> = racers
        .into_iter()
        .map(|racer| Role::Racer(racer).start())
        .collect();
    for (round, gate) in gates.into_iter().enumerate() {
        let ready = serde_json::to_string(&Step::Ready(round)).expect("plain data");
        for child in &children {
            assert!(
                child.wait_for_output(&ready, LIMIT),
                "{}{}",
                child.stdout(),
                child.stderr()
            );
        }
        gate.open();
    }
    let mut steps = Vec::new();
    for (racer, child) in (1..).zip(&mut children) {
        assert_ends_well(child);
        steps.extend(answers(child).into_iter().map(|step| (racer, step)));
    }
    check(&lake, &steps, &context);
}

#[test]
fn two_processes_commit_each_partition_once_on_postgres() {
    race_processes(Kind::Postgres, 2, false);
}

#[test]
fn four_processes_commit_each_partition_once_on_postgres() {
    race_processes(Kind::Postgres, 4, false);
}

#[test]
fn two_processes_commit_each_partition_once_on_sqlite() {
    race_processes(Kind::Sqlite, 2, false);
}

#[test]
fn four_processes_commit_each_partition_once_on_sqlite() {
    race_processes(Kind::Sqlite, 4, false);
}

#[test]
fn processes_that_pass_the_lease_over_double_nothing_on_sqlite() {
    race_processes(Kind::Sqlite, 3, true);
}

#[test]
fn processes_may_make_a_lake_at_once() {
    for kind in [Kind::Postgres, Kind::Sqlite, Kind::Postgres, Kind::Sqlite] {
        let place = Place::new(kind);
        let gate = Gate::new(place.folder.path().join("gate"));
        let maker = |number| {
            Role::Maker(Maker {
                address: place.address.clone(),
                gate: gate.path.clone(),
                number,
            })
        };
        let mut children: Vec<Process> = (0..4).map(|number| maker(number).start()).collect();
        let ready = serde_json::to_string(&Step::Ready(0)).unwrap();
        for child in &children {
            assert!(child.wait_for_output(&ready, LIMIT));
        }
        gate.open();
        children.iter_mut().for_each(assert_ends_well);
        let lake = place.open();
        assert_sound(&lake, "a lake that four processes made");
        assert_eq!(contents(&lake.session().unwrap()), (40, 40, 780, 40), "{kind:?}");
    }
}

#[test]
fn threads_commit_each_partition_once_on_a_duckdb_file() {
    for count in [2, 4] {
        let context = format!("{count} threads on a DuckDB file");
        let mut random = seeded(&context);
        let place = Place::new(Kind::DuckDb);
        let lake = place.open();
        let (_gates, racers) = racers(&place, &lake, &mut random, count, false);
        let barrier = Barrier::new(count);
        let steps: Vec<(i64, Step)> = std::thread::scope(|scope| {
            let threads: Vec<_> = racers
                .iter()
                .map(|racer| {
                    let (lake, barrier) = (&lake, &barrier);
                    scope.spawn(move || {
                        let mut steps = Vec::new();
                        for round in 0..ROUNDS {
                            barrier.wait();
                            racer.commit_round(lake, round, &mut |step| steps.push((racer.number, step)));
                        }
                        steps
                    })
                })
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().expect("a racer does not fail"))
                .collect()
        });
        check(&lake, &steps, &context);
    }
}

#[test]
fn full_loads_at_once_replace_each_other_as_a_whole() {
    const LOADERS: i64 = 3;
    const LOADS: i64 = 5;
    for kind in KINDS {
        let place = Place::new(kind);
        let first = place.open();
        commit(
            &first,
            Change::ReplaceAll,
            vec![stage(&first, "base", "all", 0..10, 1, 0)],
        );
        // A DuckDB file takes one engine.
        let lakes: Vec<Lake> = (0..LOADERS)
            .map(|_| {
                if kind == Kind::DuckDb {
                    first.clone()
                } else {
                    place.open()
                }
            })
            .collect();
        let barrier = Barrier::new(lakes.len());
        let done: Vec<(i64, u64, u64)> = std::thread::scope(|scope| {
            let loaders: Vec<_> = (1..)
                .zip(&lakes)
                .map(|(loader, lake)| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        let load = |number: i64| {
                            let run = format!("loader-{loader}-{number}");
                            let rows = 0..loader * 10 + number;
                            let part = stage(lake, &run, "all", rows, 1, loader);
                            barrier.wait();
                            let outcome = commit(lake, Change::ReplaceAll, vec![part]);
                            let snapshot = outcome.snapshot.expect("a new snapshot");
                            (snapshot, outcome.rows_inserted, outcome.rows_deleted)
                        };
                        (0..LOADS).map(load).collect::<Vec<_>>()
                    })
                })
                .collect();
            loaders
                .into_iter()
                .flat_map(|thread| thread.join().expect("a loader does not fail"))
                .collect()
        });
        // Each load took away what the one before it had brought, and nothing else.
        let mut done = done;
        done.sort_unstable();
        let mut there = 10;
        for (snapshot, inserted, deleted) in done {
            assert_eq!(deleted, there, "{kind:?}: snapshot {snapshot}");
            there = inserted;
        }
        let session = first.session().expect("a session");
        let (rows, ids, _, versions) = contents(&session);
        assert_eq!(
            (rows, ids),
            (there.cast_signed(), there.cast_signed()),
            "{kind:?}"
        );
        assert_eq!(versions % rows, 0, "{kind:?}: rows of two loads are there");
        assert_sound(&first, "full loads at once");
    }
}
