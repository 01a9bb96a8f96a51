//! What a source is spared: connections, and bytes a second.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use insta::assert_snapshot;
use pintail_config::units::ByteSize;
use pintail_model::ErrorKind;
use pintail_sync::report::ParityStatus;
use pintail_sync::throttle::TokenBucket;
use pintail_testkit::{Database, Fault, MariaDbDatabase, Trap};

use super::line::{Line, held_back, orders};
use crate::lakes::Kind;
use crate::shared::Dialect;

fn long_orders<D: Dialect>() -> String {
    orders::<D>(30_000, "repeat(concat('item-', id), 10)")
}

fn line() -> Line {
    Line::new(Kind::Sqlite, &long_orders::<Database<'static>>())
}

fn mariadb() -> Line<MariaDbDatabase<'static>> {
    Line::mariadb(Kind::Sqlite, &long_orders::<MariaDbDatabase<'static>>())
}

/// The most connections of ours that the server saw at once while `work` was done.
fn most_connections<D: Dialect, T>(line: &Line<D>, work: impl FnOnce() -> T) -> (i64, T) {
    let over = AtomicBool::new(false);
    let mut connections = line.served.database.watch();
    let told = &over;
    let watch = move || {
        let mut most = 0;
        while !told.load(Ordering::Relaxed) {
            most = most.max(connections());
        }
        most
    };
    std::thread::scope(|scope| {
        let watcher = scope.spawn(watch);
        let done = work();
        over.store(true, Ordering::Relaxed);
        (watcher.join().expect("a watcher"), done)
    })
}

fn never_more_connections_than_are_allowed<D: Dialect>(make: fn() -> Line<D>) {
    // Several partitions at once, and one scan that the engine would read over several connections.
    for (cap, partitions) in [(1, Some(6)), (2, Some(6)), (1, None), (2, None)] {
        let mut line = make();
        line.served.partitions = partitions;
        line.served.spec.max_concurrent_partitions = Some(4);
        line.served.spec.limits.source_connections = Some(cap);
        let (most, report) = most_connections(&line, || line.run(None));
        assert!(
            (1..=i64::from(cap)).contains(&most),
            "{most} of {cap}, {partitions:?}"
        );
        assert_eq!(
            (report.rows_inserted, report.parity.status),
            (30_000, ParityStatus::Ok)
        );
        line.served.database.execute(&format!(
            "update orders set version = 2, updated_at = {} where id % 3 = 0",
            D::ago("0")
        ));
        let mut updated = 0;
        loop {
            let (most, report) = most_connections(&line, || line.run(None));
            assert!(
                (1..=i64::from(cap)).contains(&most),
                "{most} of {cap}, {partitions:?}"
            );
            assert_eq!(report.kind.as_str(), "delta");
            updated += report.rows_updated;
            if !held_back(&report) {
                break;
            }
        }
        assert_eq!(updated, 10_000);
        line.served.assert_equal();
    }
}

#[test]
fn a_postgres_never_sees_more_connections_than_are_allowed() {
    never_more_connections_than_are_allowed(line);
}

#[test]
fn a_mariadb_never_sees_more_connections_than_are_allowed() {
    never_more_connections_than_are_allowed(mariadb);
}

fn a_broken_connection_is_replaced<D: Dialect>(mut line: Line<D>, cap: u32, snapshot: &str) {
    line.served.partitions = Some(6);
    line.served.spec.limits.source_connections = Some(cap);
    line.source
        .arm(Trap::new(Fault::CutAfterBytes(300_000)).after_query(snapshot));
    let report = line.run(None);
    assert!(line.source.fired() && report.retries.count > 0);
    line.served.assert_equal();
}

#[test]
fn a_broken_connection_is_replaced_within_the_cap() {
    a_broken_connection_is_replaced(line(), 2, "set transaction snapshot");
    a_broken_connection_is_replaced(mariadb(), 1, "consistent snapshot");
}

fn a_capped_run<D: Dialect>(mut line: Line<D>) {
    line.served.spec.limits.source_bandwidth = Some(ByteSize(64 << 20));
    line.served.partitions = Some(3);
    line.source.arm(Fault::CutAfterBytes(400_000));
    let report = line.run(None);
    // What breaks behind the relay breaks in front of it, too.
    assert!(line.source.fired() && report.retries.count > 0);
    line.served.assert_equal();
}

#[test]
fn a_capped_run_brings_in_the_same() {
    a_capped_run(line());
    a_capped_run(mariadb());
}

#[test]
fn a_plan_shows_what_the_source_is_spared() {
    let mut line = line();
    let limits = &mut line.served.spec.limits;
    limits.source_connections = Some(1);
    limits.source_bandwidth = Some(ByteSize(10 << 20));
    limits.run_for = Some(Duration::from_secs(1800));
    let plan = pintail_sync::plan(&line.request(None)).unwrap_or_else(|error| panic!("{error}"));
    let text = plan.to_string();
    let shown = text.lines().find(|line| line.contains("limits")).expect("a line");
    assert_snapshot!(shown.trim(), @"limits       1 connection to the source, 10.0 MiB/s from it, a pause after 1800 s");
    assert_eq!(plan.concurrency, 1);
    let json = serde_json::to_value(&plan).expect("JSON");
    assert_snapshot!(json["limits"], @r#"{"run_for_seconds":1800,"source_bytes_per_second":10485760,"source_connections":1}"#);
}

/// Why the bandwidth of the source behind `address` cannot be capped.
fn refusal(address: &str) -> String {
    let mut line = line();
    line.served.spec.limits.source_bandwidth = Some(ByteSize(10 << 20));
    let mut request = line.request(None);
    let from = pintail_config::Location::parse(address, std::path::Path::new("/")).expect("an address");
    request.source = pintail_connectors::registry::source(&from.datastore).expect("a source");
    let error = pintail_sync::plan(&request).expect_err("it cannot be capped");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let text = error.to_string();
    assert!(text.starts_with("cannot cap the bandwidth of source "), "{text}");
    let (_, why) = text.split_once(", because ").expect("a reason");
    why.to_owned()
}

#[test]
fn a_source_that_cannot_be_capped_is_refused() {
    assert_snapshot!(refusal("postgres://postgres@/shop?host=/var/run/postgresql"), @"no single `host` and `port` is given");
    assert_snapshot!(refusal("mysql:///shop?socket=/run/mysqld/mysqld.sock"), @"it is reached by a `socket`");
    assert_snapshot!(refusal("mysql://sync@localhost/shop"), @"`localhost` may be a socket: `host: 127.0.0.1` is not");
    // Behind a relay, the client library would look at no certificate.
    let proven =
        "its `ssl_mode` asks for a proof of who answers, which is not to be had on the way through a cap";
    for mode in ["required", "verify_ca", "verify_identity", "REQUIRED"] {
        assert_eq!(refusal(&format!("mysql://sync@db/shop?ssl_mode={mode}")), proven);
    }
    assert_snapshot!(refusal("sqlite:shop.db"), @"it is not reached over a network");
}

#[test]
fn a_bucket_lets_pass_what_its_rate_allows() {
    let seconds = Duration::from_secs_f64;
    let mut bucket = TokenBucket::new(1000);
    // A tenth of a second's worth passes at once, whatever was not used before.
    assert_eq!(bucket.take(100, seconds(60.0)), Duration::ZERO);
    assert_eq!(bucket.take(100, seconds(60.0)), seconds(0.1));
    // Whoever waits as long as told gets the rate.
    let mut now = seconds(60.1);
    for _ in 0..50 {
        now += bucket.take(200, now);
    }
    assert_eq!(now, seconds(70.1));
    // More than there is at once is paid for afterwards.
    assert_eq!(bucket.take(5000, now), seconds(5.0));
}
