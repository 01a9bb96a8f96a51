//! What is not worth another attempt, and when it is enough.

use std::time::Duration;

use pintail_model::ErrorKind;
use pintail_sync::spec::RetrySpec;
use pintail_sync::{Error, StopSignal, Unwatched};

use super::line::{AtRetry, Line};
use crate::lakes::Kind;

const ORDERS: &str =
    "create table orders (id bigint primary key, item text, updated_at timestamptz not null default now())";

#[track_caller]
fn fails_at_once(statements: &str, change: impl FnOnce(&mut Line), kind: ErrorKind) {
    let mut line = Line::new(Kind::Sqlite, statements);
    change(&mut line);
    let error = line.fails(&Unwatched, &StopSignal::new());
    assert_eq!(error.kind(), kind, "{error:?}");
    assert_eq!(line.report_on_disk()["retries"]["count"], 0);
}

#[test]
fn a_missing_table_and_a_value_without_a_home_are_not_tried_again() {
    fails_at_once("create table other (id int)", |_| {}, ErrorKind::NotFound);
    let not_a_number = "create table orders (id bigint primary key, price numeric(9, 2), updated_at timestamptz not null default now());
         insert into orders values (1, 'NaN')";
    fails_at_once(not_a_number, |_| {}, ErrorKind::Data);
    let without_cursor = "create table orders (id bigint primary key, item text)";
    let asked = |line: &mut Line| line.served.spec.strategies.remove(0);
    fails_at_once(without_cursor, |line| drop(asked(line)), ErrorKind::NotFound);
}

#[test]
fn a_role_that_the_server_does_not_know_is_not_tried_again() {
    let line = Line::new(Kind::Sqlite, ORDERS);
    let mut request = line.request(None);
    let url = line.source.url("postgres").replace("postgres@", "nobody@");
    let from = pintail_config::Location::parse(&url, std::path::Path::new("/")).expect("an address");
    request.source = pintail_connectors::registry::source(&from.datastore).expect("a source");
    let error = pintail_sync::run(&request, &Unwatched, &StopSignal::new()).expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert_eq!(line.report_on_disk()["retries"]["count"], 0);
}

#[test]
fn a_server_that_stays_away_ends_the_run_after_the_last_attempt() {
    let mut line = Line::new(Kind::Sqlite, ORDERS);
    line.served.spec.retries.attempts = 3;
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = nowhere.local_addr().expect("an address").port();
    drop(nowhere);
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let from = pintail_config::Location::parse(&url, std::path::Path::new("/")).expect("an address");
    let mut request = line.request(None);
    request.source = pintail_connectors::registry::source(&from.datastore).expect("a source");
    let error = pintail_sync::run(&request, &Unwatched, &StopSignal::new()).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let report = line.report_on_disk();
    assert_eq!(report["retries"]["count"], 3);
    assert_eq!(
        report["retries"]["of"],
        serde_json::json!([{"phase": "planning", "kind": "unavailable", "times": 3}])
    );
}

#[test]
fn a_request_to_stop_ends_the_wait() {
    let mut line = Line::new(Kind::Sqlite, ORDERS);
    line.served.spec.retries = RetrySpec {
        attempts: 1,
        initial_wait: Duration::from_hours(10),
        longest_wait: Duration::from_hours(10),
        total: Duration::from_hours(24),
    };
    line.source.arm(pintail_testkit::Fault::CutAfterBytes(1));
    let stop = StopSignal::new();
    let error = line.fails(&AtRetry::new(|| stop.stop()), &stop);
    assert!(matches!(error, Error::Stopped { .. }), "{error:?}");
}

#[test]
fn waits_grow_to_a_limit_and_are_never_the_same_for_two_runs() {
    let spec = RetrySpec {
        attempts: 8,
        initial_wait: Duration::from_secs(1),
        longest_wait: Duration::from_secs(20),
        total: Duration::from_secs(3600),
    };
    let waits: Vec<f64> = spec.waits(1).map(|wait| wait.as_secs_f64()).collect();
    let least = [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0, 20.0];
    assert_eq!(waits.len(), least.len());
    for (wait, least) in waits.iter().zip(least) {
        assert!((least..=2.0 * least).contains(wait), "{waits:?}");
    }
    assert_eq!(
        spec.waits(1).collect::<Vec<_>>(),
        spec.waits(1).collect::<Vec<_>>()
    );
    assert_ne!(
        spec.waits(1).collect::<Vec<_>>(),
        spec.waits(2).collect::<Vec<_>>()
    );
    let short = RetrySpec {
        total: Duration::from_secs(10),
        ..spec
    };
    assert!(short.waits(1).sum::<Duration>() <= Duration::from_secs(10));
}
