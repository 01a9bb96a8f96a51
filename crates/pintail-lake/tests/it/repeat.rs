//! Delete, re-add, flush, merge, rewrite, expire, clean up and maintain, over and over on the same keys, in random order. After
//! each step the table equals a model: in number, in sums that DuckDB computes, and in a checksum of all values.
//!
//! DuckLake has open faults where inlined deletes meet re-inserted keys, flushes and compaction. This shows that the
//! way Pintail writes (staged files, delete files, nothing inlined) stays clear of them on the version that we pin, also
//! beside another program with DuckLake's own defaults, which would inline: our tables say that it must not.
//! `PINTAIL_STEPS=2000` goes on for longer.

use std::collections::BTreeMap;
use std::time::Duration;

use pintail_lake::{Call, Change, Lake, Maintenance, Session, SweepPolicy};
use pintail_model::checksum::{Class, SEED, bytes_word, fold};
use pintail_model::{Checksum, LeafChecksums};

use crate::lakes::{Kind, Place, assert_sound, commit, numbers, seeded, shown, stage, upsert};

/// Ids that occur. Few, so that they come and go often.
const IDS: i64 = 300;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A full load of a random part of the ids.
    Replace,
    /// A commit of one to three partitions.
    Upsert,
    /// The same, of rows whose version is too old: those that are there stay.
    Stale,
    /// Another program deletes rows.
    Delete,
    /// Another program brings new rows.
    Insert,
    Flush,
    Merge,
    Rewrite,
    Expire,
    CleanUp,
    /// All of that by our own maintenance.
    Maintain,
    Sweep,
}

const STEPS: [Step; 16] = [
    Step::Replace,
    Step::Upsert,
    Step::Upsert,
    Step::Upsert,
    Step::Upsert,
    Step::Stale,
    Step::Delete,
    Step::Delete,
    Step::Insert,
    Step::Flush,
    Step::Merge,
    Step::Rewrite,
    Step::Expire,
    Step::CleanUp,
    Step::Maintain,
    Step::Sweep,
];

/// The table as it should be: versions by id.
type Model = BTreeMap<i64, i64>;

struct Repeat {
    lake: Lake,
    session: Session,
    model: Model,
    version: i64,
}

impl Repeat {
    fn take(&mut self, step: Step, random: &mut fastrand::Rng) {
        self.version += 1;
        let run = format!("r{}", self.version);
        match step {
            Step::Replace => {
                let rows = some_ids(random);
                let part = stage(&self.lake, &run, "a", rows.clone(), 1, self.version);
                commit(&self.lake, Change::ReplaceAll, vec![part]);
                self.model = rows.map(|id| (id, self.version)).collect();
            }
            Step::Upsert | Step::Stale => {
                let version = if matches!(step, Step::Stale) {
                    0
                } else {
                    self.version
                };
                let count = random.i64(1..=3);
                // Partitions of one commit share no key: each takes every `count`th id.
                let rows = some_ids(random);
                let parts = (0..count)
                    .map(|first| {
                        let rows = rows.start + first..rows.end.max(rows.start + first + 1);
                        stage(&self.lake, &run, &format!("p{first}"), rows, count, version)
                    })
                    .collect();
                commit(&self.lake, upsert(), parts);
                for id in rows.start..rows.end.max(rows.start + count) {
                    let newest = self.model.entry(id).or_insert(version);
                    *newest = version.max(*newest);
                }
            }
            Step::Delete => {
                let rows = some_ids(random);
                let every = random.i64(1..=3);
                self.run_elsewhere(&format!(
                    "delete from lake.shop.numbers where id >= {} and id < {} and id % {every} = 0",
                    rows.start, rows.end
                ));
                self.model.retain(|id, _| !rows.contains(id) || id % every != 0);
            }
            Step::Insert => {
                let id = random.i64(0..IDS);
                if self.model.insert(id, self.version).is_none() {
                    self.run_elsewhere(&format!(
                        "insert into lake.shop.numbers values ({id}, {}, 'note {id}')",
                        self.version
                    ));
                } else {
                    self.run_elsewhere(&format!(
                        "update lake.shop.numbers set version = {} where id = {id}",
                        self.version
                    ));
                }
            }
            Step::Flush => {
                let sql = "call ducklake_flush_inlined_data('lake', schema_name => 'shop', table_name => 'numbers')";
                let flushed = self.session.query(Call::new("flush"), sql);
                let flushed = flushed.unwrap_or_else(|error| shown(&error));
                assert_eq!(flushed.iter().filter_map(|row| row.integer(2)).sum::<i64>(), 0);
            }
            Step::Merge => {
                self.run("call ducklake_merge_adjacent_files('lake', 'numbers', schema => 'shop')");
            }
            Step::Rewrite => {
                let threshold = if random.bool() { "0.05" } else { "0.5" };
                self.run(&format!(
                    "call ducklake_rewrite_data_files('lake', 'numbers', schema => 'shop', delete_threshold => {threshold})"
                ));
            }
            Step::Expire => {
                let newest = self.lake.snapshot(&self.session).expect("a snapshot");
                let oldest = (newest - random.i64(1..6)).max(0);
                let versions: Vec<String> = self
                    .session
                    .query(
                        Call::new("list snapshots"),
                        "select snapshot_id from lake.snapshots()",
                    )
                    .expect("snapshots")
                    .iter()
                    .filter_map(|row| row.integer(0))
                    .filter(|id| *id < oldest)
                    .map(|id| id.to_string())
                    .collect();
                if !versions.is_empty() {
                    self.run(&format!(
                        "call ducklake_expire_snapshots('lake', versions => [{}])",
                        versions.join(", ")
                    ));
                }
            }
            Step::CleanUp => self.run("call ducklake_cleanup_old_files('lake', cleanup_all => true)"),
            Step::Maintain => {
                let asked = Maintenance {
                    rewrite_from: random.f64(),
                    expire_older_than: random.bool().then_some(Duration::ZERO),
                    clean_older_than: Duration::ZERO,
                    ..Maintenance::default()
                };
                let done = self.lake.maintain(&asked).unwrap_or_else(|error| shown(&error));
                assert!(
                    done.tables.iter().all(|table| table.skipped.is_none()),
                    "{done:?}"
                );
            }
            Step::Sweep => {
                let policy = SweepPolicy {
                    own_runs: Vec::new(),
                    older_than: Some(Duration::ZERO),
                };
                self.lake
                    .sweep(&numbers(), &policy)
                    .unwrap_or_else(|error| shown(&error));
            }
        }
    }

    fn run(&self, sql: &str) {
        let ran = self.session.batch(Call::new("maintain"), sql);
        ran.unwrap_or_else(|error| shown(&error));
    }

    /// Runs a statement as a program does that knows nothing of us.
    fn run_elsewhere(&self, sql: &str) {
        self.run("set global ducklake_default_data_inlining_row_limit = 10");
        self.run(sql);
        self.run("set global ducklake_default_data_inlining_row_limit = 0");
    }

    /// Compares the table with the model.
    #[track_caller]
    fn check(&self, context: &str) {
        let session = self.lake.session().expect("a session");
        let tap = self.lake.engine().tap();
        let sql = format!(
            "select count(note), count(distinct id), coalesce(sum(id), 0)::bigint, coalesce(sum(version), 0)::bigint,
                    coalesce(min(id), -1), coalesce(max(version), -1)
             from lake.shop.numbers where {}",
            tap.filter(Some("id // 32"), &["id", "version", "note"])
        );
        let rows = session
            .query(Call::new("read"), &sql)
            .unwrap_or_else(|error| shown(&error));
        let found: Vec<Option<i64>> = (0..6).map(|index| rows[0].integer(index)).collect();
        let count = i64::try_from(self.model.len()).expect("a small model");
        let wanted = [
            count,
            count,
            self.model.keys().sum(),
            self.model.values().sum(),
            self.model.keys().min().copied().unwrap_or(-1),
            self.model.values().max().copied().unwrap_or(-1),
        ];
        assert_eq!(found, wanted.map(Some), "{context}");
        assert_eq!(tap.checksums(), checksums(&self.model), "{context}");
        let rows = session.query(Call::new("count"), "select count(*) from lake.shop.numbers");
        assert_eq!(
            rows.expect("a count")[0].integer(0),
            Some(count),
            "{context}: COUNT(*)"
        );
    }
}

fn some_ids(random: &mut fastrand::Rng) -> std::ops::Range<i64> {
    let first = random.i64(0..IDS - 1);
    // Small ones and large ones, and now and then a whole file.
    let length = if random.u8(0..4) == 0 {
        IDS
    } else {
        random.i64(1..40)
    };
    first..(first + length).min(IDS)
}

/// The checksums of a model, by the published function and without DuckDB.
fn checksums(model: &Model) -> LeafChecksums {
    let mut leaves: BTreeMap<i64, Checksum> = BTreeMap::new();
    for (id, version) in model {
        let hash = fold(SEED, Class::Integer, id.cast_unsigned());
        let hash = fold(hash, Class::Integer, version.cast_unsigned());
        let hash = fold(hash, Class::Text, bytes_word(format!("note {id}").as_bytes()));
        leaves.entry(id / 32).or_default().add(hash);
    }
    LeafChecksums(leaves)
}

fn repeat(kind: Kind) {
    let name = format!("repeated changes on {kind:?}");
    let mut random = seeded(&name);
    let steps = std::env::var("PINTAIL_STEPS")
        .ok()
        .and_then(|text| text.parse().ok());
    let place = Place::new(kind);
    let lake = place.open();
    let mut repeat = Repeat {
        session: lake.session().expect("a session"),
        lake,
        model: Model::new(),
        version: 0,
    };
    repeat.take(Step::Replace, &mut random);
    let mut history = Vec::new();
    for number in 0..steps.unwrap_or(50) {
        let step = STEPS[random.usize(0..STEPS.len())];
        history.push(step);
        let last = &history[history.len().saturating_sub(12)..];
        let context = format!("{name}, step {number} of … {last:?}");
        repeat.take(step, &mut random);
        repeat.check(&context);
    }
    assert_sound(&repeat.lake, &name);
}

#[test]
fn repeated_changes_of_the_same_keys_stay_right_on_sqlite() {
    repeat(Kind::Sqlite);
}

#[test]
fn repeated_changes_of_the_same_keys_stay_right_on_a_duckdb_file() {
    repeat(Kind::DuckDb);
}

#[test]
fn repeated_changes_of_the_same_keys_stay_right_on_postgres() {
    repeat(Kind::Postgres);
}
