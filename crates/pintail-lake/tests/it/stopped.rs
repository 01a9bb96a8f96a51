//! A committer is stopped, another one takes over, and the first one wakes up: it changes nothing any more.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pintail_lake::connector::Attachment;
use pintail_lake::{
    Call, Change, CommitPart, Engine, EngineSettings, Lake, LeaseSettings, Session, extension,
};
use pintail_model::{ErrorKind, Secret};
use pintail_testkit::{Fault, PostgresServer, Process, TcpProxy, Trap};
use serde::{Deserialize, Serialize};

use crate::lakes::{
    Address, Kind, Place, assert_sound, commit, contents, key, seeded, stage, stage_attempt, try_commit,
    upsert,
};
use crate::roles::{Gate, LIMIT, Role, answer, answers, assert_ends_well, pass_gate};

/// A committer that is going to be stopped.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sleeper {
    address: Address,
    idle: Duration,
    appends: bool,
    jobs: Vec<Job>,
    /// When this opens, the engine is told to stop, so that a commit that is refused is not repeated.
    farewell: Option<PathBuf>,
}

/// A partition of run `r1`.
#[derive(Clone, Serialize, Deserialize)]
struct Job {
    partition: String,
    rows: (i64, i64),
    version: i64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Said {
    Ready,
    WillNotRepeat,
    Committed { keys: Vec<String>, asked: u32 },
    Already { asked: u32 },
    Failed { kind: String },
}

impl Job {
    fn stage(&self, lake: &Lake) -> CommitPart {
        let attempt = u32::try_from(self.version).expect("a small version");
        stage_attempt(
            lake,
            "r1",
            &self.partition,
            attempt,
            self.rows.0..self.rows.1,
            1,
            self.version,
        )
    }
}

impl Sleeper {
    pub(crate) fn play(&self) {
        let lake = self.address.open(LeaseSettings {
            wait: LIMIT,
            idle: self.idle,
        });
        let staged: Vec<CommitPart> = self.jobs.iter().map(|job| job.stage(&lake)).collect();
        answer(&Said::Ready);
        std::thread::scope(|scope| {
            if let Some(gate) = &self.farewell {
                let stopper = lake.engine().stopper();
                scope.spawn(move || {
                    pass_gate(gate);
                    stopper.stop();
                    answer(&Said::WillNotRepeat);
                });
            }
            for part in staged {
                let change = if self.appends { Change::Append } else { upsert() };
                answer(&said(try_commit(&lake, change, vec![part])));
            }
        });
    }
}

fn said(result: pintail_lake::Result<pintail_lake::CommitOutcome>) -> Said {
    match result {
        Ok(outcome) if outcome.committed.is_empty() => Said::Already { asked: outcome.asked },
        Ok(outcome) => Said::Committed {
            keys: outcome
                .committed
                .iter()
                .map(|key| key.as_str().to_owned())
                .collect(),
            asked: outcome.asked,
        },
        Err(error) => Said::Failed {
            kind: error.kind().as_str().to_owned(),
        },
    }
}

/// A lake with ids 0..1000 of version 1.
fn begin(kind: Kind) -> (Place, Lake) {
    let place = Place::new(kind);
    let lake = place.open();
    commit(
        &lake,
        Change::ReplaceAll,
        vec![stage(&lake, "r0", "all", 0..1000, 1, 1)],
    );
    (place, lake)
}

/// What the stopped one and the one who takes over commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    Same,
    Different,
}

fn sleeper(address: Address, idle: Duration, farewell: Option<&Gate>) -> Sleeper {
    Sleeper {
        address,
        idle,
        appends: false,
        jobs: vec![Job {
            partition: "a".to_owned(),
            rows: (0, 100),
            version: 5,
        }],
        farewell: farewell.map(|gate| gate.path.clone()),
    }
}

/// Commits over the head of the stopped one, once more after that, and lets the snapshots expire.
fn take_over(lake: &Lake, keys: Keys) {
    let partition = if keys == Keys::Same { "a" } else { "b" };
    let outcome = commit(
        lake,
        upsert(),
        vec![stage_attempt(lake, "r1", partition, 9, 0..100, 1, 9)],
    );
    assert_eq!((outcome.committed.len(), outcome.rows_updated), (1, 100));
    commit(lake, upsert(), vec![stage(lake, "r2", "c", 500..510, 1, 9)]);
    let session = lake.session().unwrap();
    let sql = "call ducklake_expire_snapshots('lake', older_than => now() + interval 1 day)";
    session.batch(Call::new("expire"), sql).unwrap_or_else(|_| {
        // Without the extension for instants, versions have to be named.
        let newest = lake.snapshot(&session).unwrap();
        let all = (0..newest)
            .map(|version| version.to_string())
            .collect::<Vec<_>>()
            .join(", ");
        let sql = format!("call ducklake_expire_snapshots('lake', versions => [{all}])");
        session.batch(Call::new("expire"), &sql).unwrap();
    });
    assert_eq!(snapshots(&session), 1, "the winner's snapshot has not expired");
}

fn snapshots(session: &Session) -> i64 {
    let rows = session.query(Call::new("count"), "select count(*) from lake.snapshots()");
    rows.unwrap()[0].integer(0).unwrap()
}

/// What is there when both are through: the winner's rows, and nothing else happened.
fn assert_only_the_winner(lake: &Lake, keys: Keys, sleeper: &Process) {
    let said: Vec<Said> = answers(sleeper);
    let session = lake.session().unwrap();
    let ledger = lake.ledger().committed(&session, &[key("r1", "a")]).unwrap();
    match keys {
        Keys::Same => {
            assert!(
                matches!(said.last(), Some(Said::Already { asked: 1.. })),
                "{said:?}"
            );
            assert_eq!(ledger.len(), 1);
        }
        Keys::Different => {
            let kind = ErrorKind::Cancelled.as_str().to_owned();
            assert_eq!(said.last(), Some(&Said::Failed { kind }));
            assert_eq!(ledger.len(), 0);
        }
    }
    assert_eq!(snapshots(&session), 1);
    assert_eq!(contents(&session), (1000, 1000, 499_500, 890 + 110 * 9));
    assert_sound(lake, "after a takeover");
}

/// The committer reaches Postgres through a proxy that holds its commit, and is stopped meanwhile.
struct Held {
    place: Place,
    lake: Lake,
    proxy: TcpProxy,
    child: Process,
}

impl Held {
    fn new(trap: Trap, idle: Duration, keys: Keys) -> Self {
        let (place, lake) = begin(Kind::Postgres);
        let proxy = TcpProxy::start(PostgresServer::shared().address());
        let gate = Gate::new(place.folder.path().join("farewell"));
        let farewell = (keys == Keys::Different).then_some(&gate);
        let address = place.address.through(proxy.port());
        proxy.arm(trap);
        let child = Role::Sleeper(sleeper(address, idle, farewell)).start();
        assert!(proxy.wait_fired(LIMIT), "{}{}", child.stdout(), child.stderr());
        gate.open();
        if keys == Keys::Different {
            assert!(child.wait_for_output("WillNotRepeat", LIMIT));
        }
        assert!(child.stop());
        Self {
            place,
            lake,
            proxy,
            child,
        }
    }

    fn wake(&mut self) {
        self.proxy.release();
        self.child.resume();
        assert_ends_well(&mut self.child);
    }

    /// Ends the session that holds the lease, and no other.
    fn end_lease(&self) {
        let ended = PostgresServer::shared()
            .client(&self.place.address.database)
            .query(
                "select pg_terminate_backend(pid) from pg_locks
                 where locktype = 'advisory' and granted
                   and database = (select oid from pg_database where datname = current_database())",
                &[],
            )
            .unwrap();
        assert_eq!(ended.len(), 1, "one committer holds one lease");
    }
}

#[test]
fn postgres_ends_a_stopped_committer_and_the_next_one_takes_over() {
    for keys in [Keys::Same, Keys::Different] {
        let trap = Trap::new(Fault::Hold).after_query(BATCH);
        let mut held = Held::new(trap, Duration::from_secs(3), keys);
        take_over(&held.lake, keys);
        held.wake();
        assert_only_the_winner(&held.lake, keys, &held.child);
    }
}

/// The query of DuckLake's commit that a Postgres catalogue sees first.
const BATCH: &str = "ducklake_snapshot VALUES";

#[test]
fn the_fence_refuses_a_stopped_committer_whose_session_is_alive() {
    for keys in [Keys::Same, Keys::Different] {
        let trap = Trap::new(Fault::Hold).at_query(BATCH);
        let mut held = Held::new(trap, Duration::from_secs(600), keys);
        held.end_lease();
        take_over(&held.lake, keys);
        held.wake();
        assert_only_the_winner(&held.lake, keys, &held.child);
    }
}

#[test]
fn an_undecided_commit_is_waited_for_and_then_counts() {
    let trap = Trap::new(Fault::Hold).after_query(BATCH);
    let mut held = Held::new(trap, Duration::from_secs(600), Keys::Same);
    held.end_lease();
    let outcome = std::thread::scope(|scope| {
        let lake = &held.lake;
        let second = scope.spawn(move || {
            commit(
                lake,
                upsert(),
                vec![stage_attempt(lake, "r1", "a", 9, 0..100, 1, 9)],
            )
        });
        held.proxy.release();
        held.child.resume();
        second.join().unwrap()
    });
    assert_ends_well(&mut held.child);
    assert_eq!((outcome.committed.len(), outcome.already.len()), (0, 1));
    let session = held.lake.session().unwrap();
    assert_eq!(contents(&session), (1000, 1000, 499_500, 900 + 500));
    assert_sound(&held.lake, "after an undecided commit");
}

#[test]
fn sqlite_refuses_a_stopped_committer_that_was_passed_over() {
    for keys in [Keys::Same, Keys::Different] {
        let (place, lake) = begin(Kind::Sqlite);
        let gate = Gate::new(place.folder.path().join("farewell"));
        let farewell = (keys == Keys::Different).then_some(&gate);
        // Nobody can write to the catalogue: the child is held right before its commit takes effect.
        let lock = CatalogueLock::take(&place.folder.path().join("lake.sqlite"));
        let mut child = Role::Sleeper(sleeper(place.address.clone(), LIMIT, farewell)).start();
        assert!(wait_for_links(&place), "{}{}", child.stdout(), child.stderr());
        gate.open();
        if keys == Keys::Different {
            assert!(child.wait_for_output("WillNotRepeat", LIMIT));
        }
        assert!(child.stop());
        lock.release();
        drop(lake);
        let lake = place.address.open(LeaseSettings {
            wait: Duration::from_millis(100),
            ..LeaseSettings::default()
        });
        take_over(&lake, keys);
        child.resume();
        assert_ends_well(&mut child);
        assert_only_the_winner(&lake, keys, &child);
    }
}

/// A transaction that writes to a SQLite catalogue.
struct CatalogueLock {
    session: Session,
}

impl CatalogueLock {
    fn take(catalogue: &Path) -> Self {
        let engine = Engine::open(&EngineSettings::default()).unwrap();
        let attach = format!("attach '{}' as catalogue (type sqlite)", catalogue.display());
        let attachment = Attachment {
            extensions: vec![extension::SQLITE],
            statements: vec![Secret::new(attach)],
            secrets: Vec::new(),
        };
        engine.attach("attach the catalogue", &attachment).unwrap();
        let session = engine.session().unwrap();
        session.begin().unwrap();
        session
            .batch(Call::new("write"), "create table catalogue.lock (id integer)")
            .unwrap();
        Self { session }
    }

    fn release(self) {
        self.session.rollback();
    }
}

/// Waits until a committer has linked its delete files, which it does right before COMMIT.
fn wait_for_links(place: &Place) -> bool {
    let folder = place.location.data_path.join("shop/numbers/pintail-guard");
    let deadline = Instant::now() + LIMIT;
    while crate::lakes::parquet_files(&folder).is_empty() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn stops_at_random_moments_change_nothing() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let context = format!("random stops on {kind:?}");
        let mut random = seeded(&context);
        let (place, lake) = begin(kind);
        drop(lake);
        let jobs = |version| -> Vec<Job> {
            let job = |partition: i64| Job {
                partition: format!("p{partition}"),
                rows: (partition * 20, partition * 20 + 20),
                version,
            };
            (0..STOPS).map(job).collect()
        };
        let mut child = Role::Sleeper(Sleeper {
            address: place.address.clone(),
            idle: LIMIT,
            appends: false,
            jobs: jobs(2),
            farewell: None,
        })
        .start();
        let lake = place.address.open(LeaseSettings {
            wait: Duration::from_millis(50),
            idle: LIMIT,
        });
        assert!(child.wait_for_output("Ready", LIMIT));
        let mut won = 0;
        let mut slept = 0;
        // From the other end: in the middle, both want the same.
        for job in jobs(3).iter().rev() {
            child.wait(Duration::from_micros(random.u64(0..20_000)));
            let part = job.stage(&lake);
            slept += i32::from(child.stop());
            won += i32::from(commit_beside(&lake, &child, &part));
        }
        assert_ends_well(&mut child);
        let by_child = answers::<Said>(&child)
            .iter()
            .filter(|said| matches!(said, Said::Committed { .. }))
            .count();
        let session = lake.session().unwrap();
        assert_eq!(
            won + i32::try_from(by_child).unwrap(),
            i32::try_from(STOPS).unwrap(),
            "{context}"
        );
        let sum = (1000 - STOPS * 20) + 20 * (2 * i64::try_from(by_child).unwrap() + 3 * i64::from(won));
        assert_eq!(contents(&session), (1000, 1000, 499_500, sum), "{context}");
        assert_sound(&lake, &context);
        use std::io::Write;
        writeln!(
            std::io::stdout(),
            "{context}: stopped {slept} times, {by_child} commits by it, {won} beside it"
        )
        .unwrap();
    }
}

const STOPS: i64 = 40;

/// Commits beside a stopped child. If the child was stopped with a lock of the catalogue in its hands, nobody can
/// commit: it is then let go. Returns whether the commit brought the part in.
fn commit_beside(lake: &Lake, child: &Process, part: &CommitPart) -> bool {
    std::thread::scope(|scope| {
        let (sender, done) = std::sync::mpsc::channel();
        scope.spawn(move || {
            let mut result = try_commit(lake, upsert(), vec![part.clone()]);
            while result
                .as_ref()
                .is_err_and(|error| matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Unavailable))
            {
                result = try_commit(lake, upsert(), vec![part.clone()]);
            }
            sender.send(result).expect("somebody waits");
        });
        let early = done.recv_timeout(Duration::from_millis(500));
        child.resume();
        let result = early.unwrap_or_else(|_| done.recv_timeout(LIMIT).expect("a commit ends"));
        match said(result) {
            Said::Committed { .. } => true,
            Said::Already { .. } => false,
            other => panic!("{other:?}"),
        }
    })
}
