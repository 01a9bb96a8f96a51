//! What a source is spared: connections, and bytes a second.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use insta::assert_snapshot;
use pintail_config::units::ByteSize;
use pintail_model::ErrorKind;
use pintail_sync::report::ParityStatus;
use pintail_sync::throttle::TokenBucket;

use super::line::Line;
use crate::lakes::Kind;

const ORDERS: &str =
    "create table orders (id bigint primary key, item text, version int, updated_at timestamptz not null);
     insert into orders
     select id, repeat('item-' || id, 10), 1, now() - interval '1 day' - (30000 - id) * interval '1 minute'
     from generate_series(1, 30000) as ids (id);
     analyze orders";

/// The most connections of ours that the server saw at once while `work` was done.
fn most_connections<T>(line: &Line, work: impl FnOnce() -> T) -> (i64, T) {
    let over = AtomicBool::new(false);
    let mut client = line.served.database.client();
    let told = &over;
    let watch = move || {
        let mut most = 0;
        while !told.load(Ordering::Relaxed) {
            let sql = "select count(*) from pg_stat_activity
                       where application_name = 'pintail' and datname = current_database()";
            let seen: i64 = client.query_one(sql, &[]).expect("a count").get(0);
            most = most.max(seen);
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

#[test]
fn the_server_never_sees_more_connections_than_are_allowed() {
    // Several partitions at once, and one scan that the engine would read over several connections.
    for (cap, partitions) in [(1, Some(6)), (2, Some(6)), (1, None), (2, None)] {
        let mut line = Line::new(Kind::Sqlite, ORDERS);
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
        line.served
            .database
            .execute("update orders set version = 2, updated_at = now() where id % 3 = 0");
        let (most, report) = most_connections(&line, || line.run(None));
        assert!(
            (1..=i64::from(cap)).contains(&most),
            "{most} of {cap}, {partitions:?}"
        );
        assert_eq!((report.kind.as_str(), report.rows_updated), ("delta", 10_000));
        line.served.assert_equal();
    }
}

#[test]
fn a_broken_connection_is_replaced_within_the_cap() {
    let mut line = Line::new(Kind::Sqlite, ORDERS);
    line.served.partitions = Some(6);
    line.served.spec.limits.source_connections = Some(2);
    let cut = pintail_testkit::Trap::new(pintail_testkit::Fault::CutAfterBytes(300_000));
    line.source.arm(cut.after_query("set transaction snapshot"));
    let report = line.run(None);
    assert!(line.source.fired() && report.retries.count > 0);
    line.served.assert_equal();
}

#[test]
fn a_capped_run_brings_in_the_same() {
    let mut line = Line::new(Kind::Sqlite, ORDERS);
    line.served.spec.limits.source_bandwidth = Some(ByteSize(64 << 20));
    line.served.partitions = Some(3);
    line.source.arm(pintail_testkit::Fault::CutAfterBytes(400_000));
    let report = line.run(None);
    // What breaks behind the relay breaks in front of it, too.
    assert!(line.source.fired() && report.retries.count > 0);
    line.served.assert_equal();
}

#[test]
fn a_plan_shows_what_the_source_is_spared() {
    let mut line = Line::new(Kind::Sqlite, ORDERS);
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

#[test]
fn a_source_that_cannot_be_capped_is_refused() {
    let mut line = Line::new(Kind::Sqlite, ORDERS);
    line.served.spec.limits.source_bandwidth = Some(ByteSize(10 << 20));
    let mut request = line.request(None);
    let address = "postgres://postgres@/shop?host=/var/run/postgresql";
    let from = pintail_config::Location::parse(address, std::path::Path::new("/")).expect("an address");
    request.source = pintail_connectors::registry::source(&from.datastore).expect("a source");
    let error = pintail_sync::plan(&request).expect_err("a socket");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().starts_with("cannot cap the bandwidth"),
        "{error}"
    );
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
