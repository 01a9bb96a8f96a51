//! Bad lines to a MariaDB that is written to: answers to COMMIT that get lost.

use std::time::Duration;

use mysql::prelude::Queryable;
use pintail_sync::{StopSignal, SyncReport, Unwatched};
use pintail_testkit::{Database, Fault, MariaDbServer, Trap};

use super::line::{Line, orders};
use crate::lakes::Kind;
use crate::served::shown;

const LIMIT: Duration = Duration::from_secs(60);

/// A Postgres and a MariaDB that has its rows.
fn line() -> Line {
    let line = Line::new(
        Kind::Sqlite,
        &orders::<Database<'static>>(500, "concat('item-', id)"),
    );
    let line = line.into_mariadb();
    line.run(None);
    line.served.database.execute(
        "update orders set item = 'changed', updated_at = now() where id % 3 = 0;
         insert into orders values (1000, 'new', 1, now())",
    );
    line
}

/// Where only the transaction that brings rows in comes by.
fn at_its_commit(line: &Line, fault: Fault) -> Trap {
    let (database, _) = line.database.as_ref().expect("a MariaDB");
    Trap::new(fault).after_query(&format!("INSERT INTO `{}`.`pintail_ledger`", database.name()))
}

fn entries_of_the_ledger(line: &Line) -> u64 {
    let (database, _) = line.database.as_ref().expect("a MariaDB");
    let mut client = MariaDbServer::shared().client(database.name());
    let count = client.query_first("select count(*) from pintail_ledger");
    count.expect("a ledger").expect("a row")
}

#[track_caller]
fn run_into(line: &Line, fault: Fault, strategy: Option<&str>) -> SyncReport {
    let (_, proxy) = line.database.as_ref().expect("a MariaDB");
    proxy.arm(at_its_commit(line, fault));
    let report = line.run(strategy);
    assert!(proxy.wait_fired(LIMIT), "the trap was not sprung");
    report
}

#[test]
fn a_load_and_a_delta_are_in_once_whatever_becomes_of_their_commit() {
    for fault in [
        Fault::SwallowCommitAnswer,
        Fault::CutAfterCommit,
        Fault::CutBeforeCommit,
    ] {
        for strategy in [Some("everything"), None] {
            let line = line();
            let report = run_into(&line, fault, strategy);
            assert_eq!(
                (report.commits.count, report.commits.asked),
                (1, 1),
                "{fault:?}, {strategy:?}"
            );
            if strategy.is_none() {
                assert_eq!((report.rows_updated, report.rows_inserted), (166, 1));
            }
            line.assert_equal();
            assert_eq!(entries_of_the_ledger(&line), 2);
        }
    }
}

#[test]
fn an_answer_is_not_final_while_mariadb_still_commits() {
    let line = line();
    let (database, proxy) = line.database.as_ref().expect("a MariaDB");
    let request = line.request(None);
    proxy.arm(at_its_commit(&line, Fault::HoldAndCut));
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| pintail_sync::run(&request, &Unwatched, &StopSignal::new()));
        assert!(proxy.wait_fired(LIMIT));
        // The run asks on a fresh connection, and waits for the lock of the one that it lost.
        let waits = format!(
            "begin not atomic
                 declare attempt int default 0;
                 while (select count(*) from information_schema.processlist
                        where db = '{}' and state = 'User lock') = 0 do
                     set attempt = attempt + 1;
                     if attempt > 6000 then
                         signal sqlstate '45000' set message_text = 'nobody waits for the undecided commit';
                     end if;
                     do sleep(0.01);
                 end while;
             end",
            database.name()
        );
        database.execute(&waits);
        proxy.release();
        run.join().expect("a run")
    });
    let report = report.unwrap_or_else(|error| shown(&error));
    assert_eq!((report.commits.count, report.commits.asked), (1, 1));
    assert_eq!((report.rows_updated, report.rows_inserted), (166, 1));
    line.assert_equal();
    assert_eq!(entries_of_the_ledger(&line), 2);
}
