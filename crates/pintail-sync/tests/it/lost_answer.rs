//! The answer to COMMIT is lost between a run and its Postgres catalogue: nothing is lost, nothing is doubled, every
//! file that the catalogue refers to exists, and the run says what it did.

use std::time::Duration;

use pintail_lake::{Catalogue, LakeLocation};
use pintail_model::ErrorKind;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{PartitionSpec, StepUnit};
use pintail_sync::{Error, StopSignal, SyncReport, Unwatched};
use pintail_testkit::{Fault, PostgresServer, TcpProxy, Trap};

use crate::lakes::Kind;
use crate::served::{Served, shown};

const LIMIT: Duration = Duration::from_secs(60);

/// What only commits to the table say, in the words of `extra_info`.
const TO_THE_TABLE: &str = r#""target":"main.orders""#;

/// What a committer asks after a lost answer.
const QUESTION: &str = "pintail_keys where key in";

/// Windows of two days lie before now, and every delta reads one of them.
const WINDOW_HOURS: u32 = 48;
const WINDOWS: u32 = 10;

/// 500 orders, stamped before the first window.
const ORDERS: &str = "create table orders (id bigint primary key, item text, version int, updated_at timestamptz not null);
     insert into orders select id, 'item-' || id, 1, now() - interval '30 days' from generate_series(1, 500) as ids (id);
     analyze orders";

/// A run reaches the catalogue through a proxy, everybody else directly.
struct Line {
    served: Served,
    proxy: TcpProxy,
    lake: LakeLocation,
    /// Windows that are left.
    windows: u32,
}

impl Line {
    /// A lake that does not exist yet.
    fn new() -> Self {
        let mut served = Served::new(Kind::Postgres, ORDERS);
        served.spec.strategies[1].primary_partitions = vec![PartitionSpec {
            column: "updated_at".to_owned(),
            step: Some(8),
            step_unit: StepUnit::Hour,
            data_type: None,
            bounded: false,
        }];
        let Catalogue::Postgres { address, .. } = &served.place.location.catalogue else {
            panic!("the place was made for a Postgres catalogue");
        };
        let database = address
            .rsplit('/')
            .next()
            .expect("an address ends with its database")
            .to_owned();
        let proxy = TcpProxy::start(PostgresServer::shared().address());
        let lake = served.place.through(proxy.port(), &database);
        let mut line = Self {
            served,
            proxy,
            lake,
            windows: WINDOWS,
        };
        line.read_up_to(WINDOWS);
        line
    }

    /// A lake with all orders in it, in two files.
    fn loaded() -> Self {
        let mut line = Self::new();
        line.served.partitions = Some(2);
        line.served.run(None);
        line
    }

    /// Lets the next run read up to so many windows before now.
    fn read_up_to(&mut self, windows: u32) {
        self.windows = windows;
        let margin = Duration::from_hours((windows * WINDOW_HOURS).into());
        self.served.delta(|delta| delta.margin = margin);
    }

    /// Changes a third of the orders and brings some new ones, all over the window that the next delta reads.
    fn change(&mut self, version: i64) {
        self.read_up_to(self.windows - 1);
        let hours = self.windows * WINDOW_HOURS;
        self.served.database.execute(&format!(
            "update orders set version = {version}, updated_at = now() - ({hours} + id % 40 + 1) * interval '1 hour'
             where id % 3 = {version} % 3;
             insert into orders
             select {version} * 1000 + id, 'new', {version}, now() - ({hours} + id * 4) * interval '1 hour'
             from generate_series(1, 10) as ids (id)"
        ));
    }

    fn run(&self, strategy: Option<&str>) -> SyncReport {
        let request = self.served.request(&self.lake, strategy);
        pintail_sync::run(&request, &Unwatched, &StopSignal::new()).unwrap_or_else(|error| shown(&error))
    }

    /// Runs while the trap is set, and fails unless it has sprung.
    fn run_into(&self, trap: Trap, strategy: Option<&str>) -> SyncReport {
        self.proxy.arm(trap);
        let report = self.run(strategy);
        assert!(self.proxy.wait_fired(LIMIT), "the trap was not sprung");
        report
    }

    /// Runs into `trap`, and asks the run to stop while the next query with `text` is under way. That one is held until
    /// `meanwhile` is done.
    fn run_and_stop(&self, trap: Trap, text: &str, meanwhile: impl FnOnce(&TcpProxy)) -> Error {
        self.proxy
            .arm_in_turn([trap, Trap::new(Fault::Hold).at_query(text)]);
        let stop = StopSignal::new();
        let request = self.served.request(&self.lake, None);
        std::thread::scope(|scope| {
            let run = scope.spawn(|| pintail_sync::run(&request, &Unwatched, &stop));
            assert!(self.proxy.wait_fired(LIMIT), "`{text}` was not sent");
            stop.stop();
            meanwhile(&self.proxy);
            self.proxy.release();
            run.join()
                .expect("a run does not panic")
                .expect_err("it was stopped")
        })
    }

    /// Runs into `trap`, and does not get to know what happened: the ledger does not answer until the run is to stop.
    fn run_without_answer(&self, trap: Trap) {
        let error = self.run_and_stop(trap, QUESTION, |proxy| {
            proxy.arm(Trap::new(Fault::CutAfterBytes(1)).after_query(QUESTION));
        });
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        let Error::Partition { source, .. } = error else {
            panic!("{error:?}");
        };
        assert!(
            source.to_string().starts_with("cannot tell whether the commit"),
            "{source}"
        );
    }
}

/// The commit takes place, and nobody learns it.
fn swallowed() -> Trap {
    Trap::new(Fault::SwallowCommitAnswer).after_query(TO_THE_TABLE)
}

/// The commit does not take place.
fn cut() -> Trap {
    Trap::new(Fault::CutBeforeCommit).after_query(TO_THE_TABLE)
}

fn assert_asked(report: &SyncReport, times: u64) {
    assert_eq!(report.commits.asked, times, "{:?}", report.commits);
    assert_eq!(
        (report.parity.status, report.errors),
        (ParityStatus::Ok, 0),
        "{:?}",
        report.parity
    );
}

#[test]
fn a_first_load_survives_a_lost_answer() {
    let line = Line::new();
    let report = line.run_into(swallowed(), None);
    assert_eq!(line.proxy.swallowed_answer().as_deref(), Some("COMMIT"));
    assert_asked(&report, 1);
    assert_eq!((report.rows_inserted, report.commits.count), (500, 1));
    assert!(report.snapshot.is_some());
    line.served.assert_equal();
}

#[test]
fn a_first_load_is_committed_again_where_its_commit_was_cut_off() {
    let line = Line::new();
    let report = line.run_into(cut(), None);
    assert_asked(&report, 1);
    assert_eq!((report.rows_inserted, report.commits.count), (500, 1));
    line.served.assert_equal();
}

#[test]
fn a_full_load_that_replaces_a_table_survives_a_lost_answer() {
    for (trap, version) in [(swallowed(), 2), (cut(), 3)] {
        let mut line = Line::loaded();
        line.change(version);
        let report = line.run_into(trap, Some("full"));
        assert_asked(&report, 1);
        assert_eq!(
            (report.rows_inserted, report.rows_deleted, report.commits.count),
            (510, 500, 1)
        );
        line.served.assert_equal();
    }
}

#[test]
fn partitions_of_a_delta_that_replace_rows_survive_a_lost_answer() {
    // The delta commits at least five partitions, and each replaces rows of files that keep others.
    for partition in [1, 3, 5] {
        let mut line = Line::loaded();
        line.change(2);
        let report = line.run_into(swallowed().at_commit(partition), None);
        assert_eq!(line.proxy.swallowed_answer().as_deref(), Some("COMMIT"));
        assert_asked(&report, 1);
        assert_eq!((report.kind.as_str(), report.rows_updated), ("delta", 167));
        assert!(report.commits.count >= 5, "{:?}", report.commits);
        // What DuckLake had deleted was put back.
        assert!(report.commits.repaired > 0, "{:?}", report.commits);
        line.served.assert_equal();
    }
}

#[test]
fn partitions_of_a_delta_are_committed_again_where_a_commit_was_cut_off() {
    for partition in [1, 4] {
        let mut line = Line::loaded();
        line.change(2);
        let report = line.run_into(cut().at_commit(partition), None);
        assert_asked(&report, 1);
        assert_eq!((report.commits.repaired, report.rows_updated), (0, 167));
        line.served.assert_equal();
    }
}

#[test]
fn a_run_says_that_an_answer_was_lost() {
    let mut line = Line::loaded();
    line.change(2);
    let report = line.run_into(swallowed(), None);
    let state = line.served.place.folder.path().join("state");
    let metrics = std::fs::read_to_string(state.join("metrics/orders/latest_run.json")).expect("a report");
    let metrics: serde_json::Value = serde_json::from_str(&metrics).expect("JSON");
    assert_eq!(metrics["commits"]["asked"], 1);
    assert_eq!(metrics["commits"]["repaired"], report.commits.repaired);
    let logs = std::fs::read_dir(state.join("logs/orders")).expect("logs of the pipeline");
    let log: String = logs
        .map(|log| std::fs::read_to_string(log.expect("an entry").path()).expect("a log"))
        .collect();
    assert!(log.contains("an answer was lost"), "{log}");
}

#[test]
fn a_run_that_could_not_ask_is_completed_by_the_next_one() {
    for trap in [swallowed(), cut()] {
        let mut line = Line::loaded();
        line.change(2);
        line.run_without_answer(trap);
        let report = line.run(None);
        assert_eq!((report.resumed, report.parity.status), (true, ParityStatus::Ok));
        line.served.assert_equal();
    }
}

#[test]
fn a_run_that_could_not_ask_about_its_last_commit_is_completed_by_the_next_one() {
    for (trap, came_in) in [(swallowed(), true), (cut(), false)] {
        let mut line = Line::loaded();
        // The whole window is one partition: where it came in, nothing is left to commit.
        line.served.spec.strategies[1].primary_partitions.clear();
        line.change(2);
        line.run_without_answer(trap);
        let report = line.run(None);
        assert_eq!(report.commits.repaired > 0, came_in, "{report:?}");
        assert_eq!(
            report.notes.iter().any(|note| note.contains("put back")),
            came_in,
            "{report:?}"
        );
        line.served.assert_equal();
    }
}

#[test]
fn a_full_load_that_could_not_ask_is_completed_by_the_next_run() {
    for trap in [swallowed(), cut()] {
        let line = Line::new();
        line.run_without_answer(trap);
        let report = line.run(None);
        assert_eq!(report.errors, 0, "{report:?}");
        line.served.assert_equal();
    }
}

#[test]
fn a_run_that_is_stopped_while_it_repeats_a_commit_leaves_nothing_behind() {
    // Before the lease is there, what became of the first try is not known; after that, the ledger says so.
    for query in ["pintail_grant", "ducklake_inlined_data"] {
        let mut line = Line::loaded();
        line.change(2);
        let error = line.run_and_stop(cut(), query, |_| {});
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
        let report = line.run(None);
        assert_eq!((report.resumed, report.parity.status), (true, ParityStatus::Ok));
        line.served.assert_equal();
    }
}

#[test]
fn random_losses_leave_both_sides_equal() {
    let seed = std::env::var("PINTAIL_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut line = Line::loaded();
    let (mut asked, mut repaired) = (0, 0);
    for round in 2..10 {
        line.change(round);
        let traps: Vec<Trap> = (0..random.usize(1..=2))
            .map(|_| if random.bool() { swallowed() } else { cut() }.at_commit(random.u64(1..=2)))
            .collect();
        line.proxy.arm_in_turn(traps);
        let report = line.run((random.u8(..4) == 0).then_some("full"));
        assert_eq!(
            report.parity.status,
            ParityStatus::Ok,
            "PINTAIL_SEED={seed}, round {round}: {:?}",
            report.parity
        );
        asked += report.commits.asked;
        repaired += report.commits.repaired;
        line.served.assert_equal();
    }
    assert!(
        asked > 0 && repaired > 0,
        "PINTAIL_SEED={seed}: {asked} answers were lost, {repaired} files were put back"
    );
}
