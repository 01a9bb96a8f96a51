//! The answer to COMMIT is lost between a Postgres catalogue and the committer: nothing is lost, nothing is doubled.

use std::time::Duration;

use pintail_lake::{Call, Change, CommitOutcome, CommitPart, Error, Lake, LeaseSettings, SweepPolicy};
use pintail_model::{ErrorKind, LogicalType};
use pintail_testkit::{Fault, PostgresServer, TcpProxy, Trap};

use crate::lakes::{
    Kind, Place, assert_sound, assert_swept, commit, contents, key, numbers, parquet_files, references,
    seeded, stage, try_commit, upsert,
};
use crate::loads::{Loads, column};

const LIMIT: Duration = Duration::from_secs(30);

/// Only DuckLake's own commits write snapshots; the other transactions of a session are left alone.
const SNAPSHOT: &str = "ducklake_snapshot VALUES";

/// A lake whose committer reaches the catalogue through a proxy.
struct Line {
    place: Place,
    proxy: TcpProxy,
    /// Through the proxy.
    lake: Lake,
}

impl Line {
    /// A lake with ids 0..1000 of version 1 in two files.
    fn open() -> Self {
        let place = Place::new(Kind::Postgres);
        let proxy = TcpProxy::start(PostgresServer::shared().address());
        let lake = place.address.through(proxy.port()).open(LeaseSettings::default());
        let parts = vec![
            stage(&lake, "r0", "a", 0..600, 1, 1),
            stage(&lake, "r0", "b", 600..1000, 1, 1),
        ];
        commit(&lake, Change::ReplaceAll, parts);
        Self { place, proxy, lake }
    }

    /// Commits while the trap is set, and waits until it has sprung.
    fn commit(&self, trap: Trap, change: Change, parts: Vec<CommitPart>) -> CommitOutcome {
        self.proxy.arm(trap);
        let outcome = commit(&self.lake, change, parts);
        assert!(self.proxy.wait_fired(LIMIT), "the trap was not sprung");
        outcome
    }

    /// What somebody else reads, who was not there: rows, ids, and their sums.
    fn contents(&self) -> (i64, i64, i64, i64) {
        let lake = self.place.open();
        assert_sound(&lake, "after a lost answer");
        contents(&lake.session().unwrap())
    }
}

fn swallowed() -> Trap {
    Trap::new(Fault::SwallowCommitAnswer).after_query(SNAPSHOT)
}

fn cut() -> Trap {
    Trap::new(Fault::CutBeforeCommit).after_query(SNAPSHOT)
}

#[test]
fn a_full_load_survives_a_lost_answer() {
    let line = Line::open();
    let parts = vec![
        stage(&line.lake, "r1", "a", 0..10, 1, 2),
        stage(&line.lake, "r1", "b", 10..30, 1, 2),
    ];
    let outcome = line.commit(swallowed(), Change::ReplaceAll, parts);
    assert_eq!(line.proxy.swallowed_answer().as_deref(), Some("COMMIT"));
    assert_eq!((outcome.asked, outcome.repaired), (1, 0));
    assert_eq!((outcome.rows_inserted, outcome.rows_deleted), (30, 1000));
    assert_eq!(outcome.committed.len(), 2);
    assert_eq!(
        outcome.snapshot,
        Some(line.lake.snapshot(&line.lake.session().unwrap()).unwrap())
    );
    assert_eq!(line.contents(), (30, 30, 435, 60));
}

#[test]
fn an_upsert_with_delete_files_survives_a_lost_answer() {
    let line = Line::open();
    let parts = vec![stage(&line.lake, "r1", "a", 500..1100, 1, 2)];
    let outcome = line.commit(swallowed(), upsert(), parts);
    assert_eq!(line.proxy.swallowed_answer().as_deref(), Some("COMMIT"));
    // Ids 500..600 stand in the first file, which gets a delete file; the second file ends as a whole.
    assert_eq!((outcome.asked, outcome.repaired), (1, 1));
    assert_eq!((outcome.rows_inserted, outcome.rows_updated), (100, 500));
    assert_eq!(line.contents(), (1100, 1100, 604_450, 1700));
    assert_eq!(
        parquet_files(&guard_folder(&line)),
        Vec::<std::path::PathBuf>::new()
    );
}

#[test]
fn a_commit_that_never_reached_the_catalogue_is_repeated() {
    let line = Line::open();
    let parts = vec![stage(&line.lake, "r1", "a", 500..1100, 1, 2)];
    let outcome = line.commit(cut(), upsert(), parts);
    assert_eq!((outcome.asked, outcome.repaired), (1, 0));
    assert_eq!((outcome.rows_inserted, outcome.rows_updated), (100, 500));
    assert_eq!(line.contents(), (1100, 1100, 604_450, 1700));

    let parts = vec![stage(&line.lake, "r2", "a", 0..10, 1, 3)];
    let outcome = line.commit(cut(), Change::ReplaceAll, parts);
    assert_eq!((outcome.asked, outcome.rows_deleted), (1, 1100));
    assert_eq!(line.contents(), (10, 10, 45, 30));
}

#[test]
fn parts_that_were_in_before_are_told_apart_after_a_lost_answer() {
    let line = Line::open();
    let first = stage(&line.lake, "r1", "a", 0..10, 1, 2);
    commit(&line.lake, upsert(), vec![first.clone()]);
    let parts = vec![first, stage(&line.lake, "r1", "b", 10..30, 1, 2)];
    let outcome = line.commit(swallowed(), upsert(), parts);
    assert_eq!(outcome.committed, [key("r1", "b")]);
    assert_eq!(outcome.already, [key("r1", "a")]);
    assert_eq!((outcome.rows_inserted, outcome.rows_updated), (0, 20));
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1030));
}

#[test]
fn a_catalogue_that_cannot_be_asked_at_once_is_asked_again() {
    let line = Line::open();
    // These are the first three questions after the lost answer.
    let unreachable = || Trap::new(Fault::CutBeforeCommit).at_query("pintail_keys");
    line.proxy
        .arm_in_turn([swallowed(), unreachable(), unreachable(), unreachable()]);
    let parts = vec![stage(&line.lake, "r1", "a", 0..10, 1, 2)];
    let outcome = commit(&line.lake, upsert(), parts);
    assert!(line.proxy.wait_fired(LIMIT));
    assert_eq!((outcome.committed.len(), outcome.repaired), (1, 1));
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1010));
}

#[test]
fn a_repair_goes_on_when_the_engine_is_told_to_stop() {
    let line = Line::open();
    // The first question after the lost answer.
    let held = Trap::new(Fault::Hold).at_query("pintail_keys");
    line.proxy.arm_in_turn([swallowed(), held]);
    let parts = vec![stage(&line.lake, "r1", "a", 0..10, 1, 2)];
    let outcome = std::thread::scope(|scope| {
        let committer = scope.spawn(|| commit(&line.lake, upsert(), parts));
        assert!(line.proxy.wait_fired(LIMIT));
        line.lake.engine().stopper().stop();
        line.proxy.release();
        committer.join().unwrap()
    });
    assert_eq!((outcome.asked, outcome.repaired), (1, 1));
    assert_eq!((outcome.committed.len(), outcome.rows_updated), (1, 10));
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1010));
}

#[test]
fn while_nobody_knows_what_became_of_a_commit_every_error_says_so() {
    let line = Line::open();
    let hasty = line.place.address.through(line.proxy.port()).open(LeaseSettings {
        wait: Duration::from_millis(300),
        ..LeaseSettings::default()
    });
    let unreachable = || Trap::new(Fault::CutBeforeCommit).at_query("pintail_keys");
    let traps = std::iter::once(swallowed()).chain(std::iter::repeat_with(unreachable).take(50));
    line.proxy.arm_in_turn(traps);
    let part = stage(&hasty, "r1", "a", 0..10, 1, 2);
    let error = try_commit(&hasty, upsert(), vec![part.clone()]).unwrap_err();
    assert!(
        matches!(&error, Error::Undecided { source, .. } if matches!(**source, Error::Statement { .. })),
        "{error:?}"
    );
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.hint().is_some());
    line.proxy.arm_in_turn([]);
    let outcome = commit(&hasty, upsert(), vec![part]);
    assert_eq!((outcome.committed.len(), outcome.already.len()), (0, 1));
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1010));
}

#[test]
fn a_committer_that_is_stopped_before_the_catalogue_decides_does_not_say_that_it_failed() {
    let line = Line::open();
    let parts = vec![stage(&line.lake, "r1", "a", 0..10, 1, 2)];
    line.proxy.arm(Trap::new(Fault::HoldAndCut).after_query(SNAPSHOT));
    let error = std::thread::scope(|scope| {
        let committer = scope.spawn(|| try_commit(&line.lake, upsert(), parts.clone()));
        assert!(line.proxy.wait_fired(LIMIT));
        assert!(waits_for_a_lock(&line), "nobody waits for the undecided commit");
        line.lake.engine().stopper().stop();
        line.proxy.release();
        committer.join().unwrap().unwrap_err()
    });
    assert!(matches!(error, Error::Undecided { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    // It took place.
    let outcome = commit(&line.place.open(), upsert(), parts);
    assert_eq!((outcome.committed.len(), outcome.already.len()), (0, 1));
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1010));
}

#[test]
fn a_catalogue_that_is_lost_over_and_over_ends_in_certainty() {
    let line = Line::open();
    // Not one of these reaches the catalogue, and after the last one a lease tells so.
    line.proxy.arm_in_turn(std::iter::repeat_with(cut).take(4));
    let part = stage(&line.lake, "r1", "a", 0..10, 1, 2);
    let error = try_commit(&line.lake, upsert(), vec![part.clone()]).unwrap_err();
    assert!(!matches!(error, Error::Undecided { .. }), "{error:?}");
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1000));
    assert_eq!(commit(&line.lake, upsert(), vec![part]).committed.len(), 1);
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1010));
}

#[test]
fn a_table_that_is_made_anew_survives_a_lost_answer() {
    for trap in [swallowed(), cut()] {
        let line = Line::open();
        let columns = vec![column("id", LogicalType::Text), column("when", LogicalType::Date)];
        let loads = Loads::new(&line.lake, numbers(), columns);
        line.proxy.arm(trap);
        let outcome = loads.replace("r1", "select 'x' as id, date '2024-01-02' as \"when\"");
        assert!(line.proxy.fired());
        assert_eq!(
            (outcome.asked, outcome.rows_inserted, outcome.rows_deleted),
            (1, 1, 1000)
        );
        let lake = line.place.open();
        let after = Loads::new(&lake, numbers(), loads.columns.clone());
        assert_eq!(after.rows(), [["x", "2024-01-02"]]);
        let before = format!(
            "select count(note) from lake.shop.numbers at (version => {})",
            outcome.snapshot.unwrap() - 1
        );
        let rows = lake
            .session()
            .unwrap()
            .query(Call::new("read what was there"), &before);
        assert_eq!(rows.unwrap()[0].integer(0), Some(1000));
    }
}

#[test]
fn an_answer_is_not_final_while_the_catalogue_still_commits() {
    let line = Line::open();
    let parts = vec![stage(&line.lake, "r1", "a", 0..10, 1, 2)];
    line.proxy.arm(Trap::new(Fault::HoldAndCut).after_query(SNAPSHOT));
    let outcome = std::thread::scope(|scope| {
        let committer = scope.spawn(|| commit(&line.lake, upsert(), parts));
        assert!(line.proxy.wait_fired(LIMIT));
        // The committer has asked, was told that nothing is in, and waits for the transaction that it lost.
        assert!(waits_for_a_lock(&line), "nobody waits for the undecided commit");
        line.proxy.release();
        committer.join().unwrap()
    });
    assert_eq!((outcome.committed.len(), outcome.already.len()), (1, 0));
    assert_eq!((outcome.rows_updated, outcome.repaired), (10, 1));
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1010));
}

#[test]
fn a_committer_that_died_before_its_repair_is_finished_by_the_next_one() {
    let line = Line::open();
    break_by_hand(&line);
    let next = vec![stage(&line.lake, "r2", "a", 10..20, 1, 3)];
    let outcome = commit(&line.lake, upsert(), next);
    assert_eq!((outcome.asked, outcome.rows_updated), (0, 10));
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1030));
}

#[test]
fn a_committer_that_died_before_its_repair_is_finished_when_it_comes_back() {
    let line = Line::open();
    let parts = break_by_hand(&line);
    let outcome = commit(&line.lake, upsert(), parts);
    assert_eq!((outcome.committed.len(), outcome.already.len()), (0, 1));
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1010));
}

#[test]
fn a_sweep_finishes_a_repair_before_it_removes_anything() {
    let line = Line::open();
    break_by_hand(&line);
    let policy = SweepPolicy {
        own_runs: Vec::new(),
        older_than: Some(Duration::ZERO),
    };
    line.lake.sweep(&numbers(), &policy).unwrap();
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1010));
    assert_swept(&line.lake, "after a sweep");
}

#[test]
fn a_table_is_made_readable_without_a_commit() {
    let line = Line::open();
    break_by_hand(&line);
    let session = line.lake.session().unwrap();
    let table = crate::lakes::numbers();
    assert_eq!(line.lake.repair(&session, &table).unwrap(), 1);
    assert_eq!(line.lake.repair(&session, &table).unwrap(), 0);
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1010));
}

#[test]
fn links_stay_while_the_committer_that_made_them_is_at_work() {
    let line = Line::open();
    break_by_hand(&line);
    let links = std::fs::read_dir(guard_folder(&line))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let maker = std::fs::File::create(links.join("maker.lock")).unwrap();
    maker.lock().unwrap();
    // Rows of the other file: a new delete file of the same one would replace that which was lost.
    let next = |run| {
        commit(
            &line.lake,
            upsert(),
            vec![stage(&line.lake, run, "a", 700..710, 1, 3)],
        )
    };
    assert_eq!(next("r2").repaired, 1);
    // It has not learnt yet that its answer is lost. When it does, DuckLake deletes the file once more.
    let [link] = parquet_files(&links).try_into().expect("the link stays");
    std::fs::remove_file(
        line.place
            .location
            .data_path
            .join("shop/numbers")
            .join(link.file_name().unwrap()),
    )
    .unwrap();
    drop(maker);
    assert_eq!(next("r3").repaired, 1);
    assert!(!links.exists());
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1030));
}

#[test]
fn a_commit_that_is_lost_twice_leaves_no_links() {
    let line = Line::open();
    line.proxy.arm_in_turn([cut(), swallowed()]);
    let outcome = commit(
        &line.lake,
        upsert(),
        vec![stage(&line.lake, "r1", "a", 0..10, 1, 2)],
    );
    assert!(line.proxy.wait_fired(LIMIT));
    assert_eq!((outcome.asked, outcome.repaired), (2, 1));
    assert!(!guard_folder(&line).exists());
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1010));
}

#[test]
fn a_lake_outlives_the_end_of_all_connections_to_its_catalogue() {
    let line = Line::open();
    let server = PostgresServer::shared();
    for round in 1..=3_i64 {
        let parts = vec![stage(&line.lake, &format!("r{round}"), "a", 0..10, 1, 1 + round)];
        server
            .client("postgres")
            .execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1",
                &[&line.place.address.database],
            )
            .unwrap();
        let outcome = commit(&line.lake, upsert(), parts);
        assert_eq!(outcome.rows_updated, 10);
    }
    assert_eq!(line.contents(), (1000, 1000, 499_500, 1030));
}

#[test]
fn random_losses_neither_lose_nor_double_rows() {
    let mut random = seeded("random losses");
    let line = Line::open();
    let mut versions = vec![1_i64; 1000];
    let (mut asked, mut repaired) = (0, 0);
    for round in 1..=25_i64 {
        let first = random.usize(0..990);
        let end = (first + random.usize(1..400)).min(1000);
        let rows = i64::try_from(first).unwrap()..i64::try_from(end).unwrap();
        let parts = vec![stage(&line.lake, &format!("r{round}"), "a", rows, 1, 1 + round)];
        let trap = if random.bool() { swallowed() } else { cut() };
        line.proxy.arm(trap);
        let outcome = try_commit(&line.lake, upsert(), parts).unwrap();
        assert!(line.proxy.fired());
        assert_eq!(outcome.rows_updated, (end - first) as u64);
        versions[first..end].fill(1 + round);
        asked += outcome.asked;
        repaired += outcome.repaired;
        assert_eq!(
            contents(&line.lake.session().unwrap()).3,
            versions.iter().sum::<i64>(),
            "round {round}"
        );
    }
    assert_eq!(
        line.contents(),
        (1000, 1000, 499_500, versions.iter().sum::<i64>())
    );
    assert_eq!(asked, 25);
    assert!(repaired > 0, "no answer was lost that needed a repair");
}

fn guard_folder(line: &Line) -> std::path::PathBuf {
    line.place.location.data_path.join("shop/numbers/pintail-guard")
}

/// Commits an upsert, and leaves the lake as a committer does that dies after DuckLake deleted the delete file and
/// before the link to it was put back. Returns the parts that are in.
fn break_by_hand(line: &Line) -> Vec<CommitPart> {
    let parts = vec![stage(&line.lake, "r1", "a", 0..10, 1, 2)];
    let (_, before) = line.delete_files();
    commit(&line.lake, upsert(), parts.clone());
    let (_, after) = line.delete_files();
    let new: Vec<_> = after.into_iter().filter(|path| !before.contains(path)).collect();
    let [file] = new.as_slice() else {
        panic!("one delete file, not {new:?}")
    };
    let folder = guard_folder(line).join(file.file_stem().unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::rename(file, folder.join(file.file_name().unwrap())).unwrap();
    let session = line.lake.session().unwrap();
    let broken = session.query(
        Call::new("read"),
        "select sum(length(note)) from lake.shop.numbers",
    );
    assert!(broken.is_err(), "the table can be read without its delete file");
    parts
}

impl Line {
    fn delete_files(&self) -> (usize, Vec<std::path::PathBuf>) {
        let session = self.lake.session().unwrap();
        let files: Vec<_> = references(&self.lake, &session)
            .into_iter()
            .filter(|file| file.live && file.deletes)
            .map(|file| file.path)
            .collect();
        (files.len(), files)
    }
}

/// Waits until a session of the catalogue waits for another one's transaction.
fn waits_for_a_lock(line: &Line) -> bool {
    let mut client = PostgresServer::shared().client("postgres");
    let deadline = std::time::Instant::now() + LIMIT;
    while std::time::Instant::now() < deadline {
        let waiting: i64 = client
            .query_one(
                "select count(*) from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'",
                &[&line.place.address.database],
            )
            .unwrap()
            .get(0);
        if waiting > 0 {
            return true;
        }
    }
    false
}
