//! The line to a MariaDB breaks at chosen places, and MariaDB lets nobody in for reasons of its own.

use std::path::Path;
use std::sync::Mutex;

use mysql::prelude::Queryable;
use mysql::{Conn, Opts, OptsBuilder};
use pintail_config::Location;
use pintail_connectors::registry;
use pintail_model::ErrorKind;
use pintail_sync::report::{Failure, ParityStatus};
use pintail_sync::{Error, Phase, StopSignal, SyncReport, Unwatched};
use pintail_testkit::{Fault, MariaDbDatabase, MariaDbOptions, MariaDbServer, Trap};

use super::line::{AtRetry, Line, held_back, orders};
use crate::lakes::Kind;
use crate::served::shown;

type MariaDbLine = Line<MariaDbDatabase<'static>>;

fn line() -> MariaDbLine {
    let statements = orders::<MariaDbDatabase<'static>>(20_000, "concat('item-', id)");
    Line::mariadb(Kind::Sqlite, &statements)
}

/// What only the transaction of a snapshot has said.
const SNAPSHOT: &str = "consistent snapshot";

#[track_caller]
fn assert_retried(report: &SyncReport, phases: &[Phase]) {
    let retries = &report.retries;
    let as_expected = |step: &pintail_sync::report::RetriedStep| {
        phases.contains(&step.phase) && step.kind == ErrorKind::Unavailable
    };
    assert!(
        retries.count > 0 && retries.of.iter().all(as_expected),
        "{retries:?}"
    );
    let nothing_yet = held_back(report) && report.parity.status == ParityStatus::Unchanged;
    assert!(
        nothing_yet || report.parity.status == ParityStatus::Ok,
        "{:?}",
        report.parity
    );
    assert_eq!(report.errors, 0);
}

#[test]
fn wherever_a_connection_breaks_it_is_tried_again() {
    // From the greeting to the last rows: log-in, catalogue, read point, snapshot, rows, counts.
    let line = line();
    for step in 0..12 {
        let bytes = 1 + 100 * step * step * step;
        line.source.arm(Fault::CutAfterBytes(bytes));
        let report = line.run(Some("everything"));
        assert!(line.source.fired(), "{bytes}");
        assert_retried(&report, &[Phase::Planning, Phase::Reading]);
        assert_eq!(report.rows_inserted, 20_000);
    }
    line.served.assert_equal();
}

#[test]
fn a_load_whose_snapshot_is_lost_starts_again_and_says_so() {
    let mut line = line();
    line.served.partitions = Some(6);
    // Without a cursor nobody knows what changed since.
    line.served.spec.strategies.truncate(1);
    line.source
        .arm(Trap::new(Fault::CutAfterBytes(500_000)).after_query(SNAPSHOT));
    let change = "insert into orders values (30000, 'later', 1, now(6) - interval 2 day);
                  delete from orders where id = 1";
    let progress = AtRetry::new(|| line.served.database.execute(change));
    let report = line.watched(None, &progress);
    assert!(line.source.fired());
    assert_retried(&report, &[Phase::Reading]);
    let said = report.notes.iter().any(|note| note.contains("started again"));
    assert!(said, "{:?}", report.notes);
    assert_eq!((report.rows_inserted, report.partitions_skipped), (20_000, 0));
    line.served.assert_equal();
}

#[test]
fn a_delta_goes_on_behind_its_last_commit() {
    let line = line();
    line.run(None);
    for bytes in [100, 20_000, 60_000] {
        line.served
            .database
            .execute("update orders set version = version + 1, updated_at = now(6) where id % 4 = 0");
        let mut updated = 0;
        let report = loop {
            line.source
                .arm(Trap::new(Fault::CutAfterBytes(bytes)).after_query(SNAPSHOT));
            let report = line.run(None);
            if line.source.fired() {
                break report;
            }
            // A transaction of another test was open, and there was too little to read.
            assert!(held_back(&report), "{bytes}: {:?}", report.notes);
            updated += report.rows_updated;
        };
        assert_retried(&report, &[Phase::Planning, Phase::Reading]);
        assert_eq!(report.kind, "delta");
        updated += report.rows_updated;
        let mut held = held_back(&report);
        while held {
            let more = line.run(None);
            (updated, held) = (updated + more.rows_updated, held_back(&more));
        }
        assert_eq!(updated, 5_000);
        line.served.assert_equal();
    }
}

#[test]
fn a_connection_that_an_administrator_ends_is_replaced() {
    let line = line();
    for kill in ["kill connection", "kill query"] {
        line.source
            .arm(Trap::new(Fault::Hold).at_query("START TRANSACTION"));
        let request = line.request(Some("everything"));
        let report = std::thread::scope(|scope| {
            let run = scope.spawn(|| pintail_sync::run(&request, &Unwatched, &StopSignal::new()));
            assert!(line.source.wait_fired(std::time::Duration::from_secs(60)));
            let mut client = line.served.database.client();
            let others: Vec<u64> = client
                .query("select id from information_schema.processlist where db = database() and id <> connection_id()")
                .expect("a list");
            for id in others {
                client.query_drop(format!("{kill} {id}")).expect("the right to");
            }
            line.source.release();
            run.join().expect("a run")
        });
        let report = report.unwrap_or_else(|error| shown(&error));
        assert_eq!(report.rows_inserted, 20_000);
        if kill == "kill connection" {
            assert_retried(&report, &[Phase::Planning, Phase::Reading]);
        }
        line.served.assert_equal();
    }
}

/// A run whose source is behind `url`.
fn run_from(
    line: &MariaDbLine,
    url: &str,
    progress: &dyn pintail_sync::Progress,
) -> Result<SyncReport, Error> {
    let mut request = line.request(None);
    let from = Location::parse(url, Path::new("/")).expect("an address");
    request.source = registry::source(&from.datastore).expect("a source");
    pintail_sync::run(&request, progress, &StopSignal::new())
}

/// What is said of a source that is refused, and what to do about it, but for its address.
#[track_caller]
fn refused_at_once(line: &MariaDbLine, url: &str, kind: ErrorKind) -> String {
    let error = run_from(line, url, &Unwatched).expect_err("it is refused");
    assert_eq!(error.kind(), kind, "{error:?}");
    assert_eq!(line.report_on_disk()["retries"]["count"], 0);
    let failure = Failure::of(&error);
    let (_, said) = failure.message.split_once(": ").expect("a reason");
    let said = said.replace(line.served.database.name(), "DATABASE");
    format!("{said} / {}", failure.hint.unwrap_or_default())
}

#[test]
fn what_will_not_change_is_not_tried_again() {
    let line = line();
    let (server, database) = (MariaDbServer::shared(), line.served.database.name());
    server.create_user("knocker", "canary");
    let said = |url: &str, kind: ErrorKind| refused_at_once(&line, url, kind);
    let denied = said(
        &server.url_as("knocker", "wrong", database),
        ErrorKind::Unauthorized,
    );
    insta::assert_snapshot!(denied, @"Access denied for user 'knocker'@'127.0.0.1' (using password: YES) / Check `user` and `password`.");
    let nobody = said(&server.url_as("nobody", "x", database), ErrorKind::Unauthorized);
    insta::assert_snapshot!(nobody, @"Access denied for user 'nobody'@'127.0.0.1' (using password: YES) / Check `user` and `password`.");
    let not_granted = said(
        &server.url_as("knocker", "canary", database),
        ErrorKind::Unauthorized,
    );
    insta::assert_snapshot!(not_granted, @"Access denied for user 'knocker'@'%' to database 'DATABASE' / Grant the user what it needs in this database: docs/connectors/mysql.md.");
    let unknown = said(&server.url("nowhere"), ErrorKind::NotFound);
    insta::assert_snapshot!(unknown, @"Unknown database 'nowhere' / Check `database`.");
    let plain = said(
        &format!("{}?ssl_mode=required", server.url(database)),
        ErrorKind::Unauthorized,
    );
    insta::assert_snapshot!(plain, @"TLS/SSL error: SSL is required, but the server does not support it / Check `ssl_mode` and `ssl_ca`, and that `host` is the name in the server's certificate.");
}

#[test]
fn a_table_that_is_missing_and_one_that_may_not_be_read_are_not_tried_again() {
    let line = line();
    let (server, database) = (MariaDbServer::shared(), &line.served.database);
    server.create_user("visitor", "canary");
    database.execute("create table other (id int); grant select on other to visitor");
    let error = run_from(&line, &database.url_as("visitor", "canary"), &Unwatched).expect_err("no right");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert_eq!(line.report_on_disk()["retries"]["count"], 0);
    database.execute("drop table orders");
    let error = line.fails(&Unwatched, &StopSignal::new());
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert_eq!(line.report_on_disk()["retries"]["count"], 0);
}

/// Fails unless a run that finds the server full waits until somebody goes.
fn comes_in_when_somebody_goes(line: &MariaDbLine, url: &str, others: Vec<Conn>) {
    let others = Mutex::new(others);
    let progress = AtRetry::new(|| drop(std::mem::take(&mut *others.lock().expect("nobody panics"))));
    let report = run_from(line, url, &progress).unwrap_or_else(|error| shown(&error));
    assert_retried(&report, &[Phase::Planning]);
    assert_eq!(report.rows_inserted, 20_000);
}

#[test]
fn a_server_that_is_full_is_tried_again() {
    let line = line();
    let database = line.served.database.name();
    let connect = |url: &str| {
        let options = OptsBuilder::from_opts(Opts::from_url(url).expect("an address"));
        // To look for a socket would take a second place.
        Conn::new(options.prefer_socket(false)).expect("a place")
    };

    // A user that may have two connections at once.
    let server = MariaDbServer::shared();
    server.create_user("narrow", "canary");
    line.served.database.execute(&format!(
        "grant select on {database}.* to narrow; alter user narrow with max_user_connections 2"
    ));
    let url = server.url_as("narrow", "canary", database);
    comes_in_when_somebody_goes(&line, &url, vec![connect(&url), connect(&url)]);
    line.served.assert_equal();

    // A server that takes ten, and one more for its administrator.
    let small = MariaDbOptions::default()
        .with_setting("max-connections", "10")
        .start()
        .expect("a server");
    small.create_database("shop");
    small.create_user("sync", "canary");
    small
        .client("shop")
        .query_drop("grant all on shop.* to sync")
        .expect("a grant");
    let url = small.url_as("sync", "canary", "shop");
    let mut others: Vec<Conn> = (0..10).map(|_| connect(&url)).collect();
    others[0]
        .query_drop(orders::<MariaDbDatabase<'static>>(20_000, "concat('item-', id)"))
        .expect("a table");
    let line = self::line();
    comes_in_when_somebody_goes(&line, &url, others);
}

#[test]
fn a_server_that_goes_away_ends_the_run_after_the_last_attempt() {
    let server = MariaDbServer::start().expect("a server");
    let url = server.url("mysql");
    server.stop();
    let mut line = line();
    line.served.spec.retries.attempts = 2;
    let error = run_from(&line, &url, &Unwatched).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(line.report_on_disk()["retries"]["count"], 2);
}
