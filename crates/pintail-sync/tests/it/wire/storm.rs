//! Faults at random on both lines at once, over loads and deltas; both sides are compared after every run.
//!
//! - `PINTAIL_WIRE_SEED`: the one case to play.
//! - `PINTAIL_WIRE_CASES`: number of cases of each test, 2 if it is not set.

use pintail_sync::report::ParityStatus;
use pintail_testkit::{Database, MariaDbDatabase, TcpProxy, Weather};

use super::line::{Line, held_back, orders};
use crate::lakes::Kind;
use crate::shared::Dialect;

/// Long texts, so that a load sends a megabyte.
fn long_orders<D: Dialect>() -> String {
    orders::<D>(10_000, "repeat(concat('item-', id), 10)")
}

fn seeds() -> Vec<u64> {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match variable("PINTAIL_WIRE_SEED") {
        Some(seed) => vec![seed],
        None => {
            let cases = variable("PINTAIL_WIRE_CASES").unwrap_or(2);
            (0..cases).map(|_| fastrand::u64(..)).collect()
        }
    }
}

/// Some storms come while a run looks around, most of them later.
fn weather(random: &mut fastrand::Rng, bytes_between: u64) -> Weather {
    Weather {
        seed: random.u64(..),
        calm_bytes: random.u64(..10 * bytes_between),
        bytes_between,
        cuts: random.u32(1..=4),
        commits: true,
    }
}

fn storms_leave_both_sides_equal<D: Dialect>(make: impl Fn() -> Line<D>) {
    let mut felt_retries = 0;
    for seed in seeds() {
        eprintln!("PINTAIL_WIRE_SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut line = make();
        line.served.spec.max_concurrent_partitions = Some(random.u32(1..=3));
        for round in 2..5 {
            line.served.partitions = Some(random.u32(1..=6));
            let (now, part) = (D::ago("0"), random.u32(2..20));
            line.served.database.execute(&format!(
                "update orders set version = {round}, updated_at = {now} where id % {part} = {round} % {part};
                 insert into orders select {round} * 100000 + id, 'new', {round}, {now} from {}",
                D::numbers(100),
            ));
            line.source.set_weather(weather(&mut random, 60_000));
            let written = line
                .catalogue
                .as_ref()
                .or(line.database.as_ref().map(|(_, proxy)| proxy));
            if let Some(written) = written {
                written.set_weather(weather(&mut random, 15_000));
            }
            let report = line.run((random.u8(..3) == 0).then_some("everything"));
            let felt = (line.source.calm(), written.map(TcpProxy::calm));
            let told = format!(
                "PINTAIL_WIRE_SEED={seed}, round {round}: {felt:?}, {:?}, {:?}",
                report.retries, report.commits
            );
            assert_eq!(report.errors, 0, "{told}");
            let mut held = held_back(&report);
            let nothing_yet = held && report.parity.status == ParityStatus::Unchanged;
            assert!(
                nothing_yet || matches!(report.parity.status, ParityStatus::Ok | ParityStatus::Unproven),
                "{told}: {:?}",
                report.parity
            );
            eprintln!("{told}");
            felt_retries += report.retries.count;
            while held {
                held = held_back(&line.run(None));
            }
            line.assert_equal();
        }
    }
    assert!(felt_retries > 0, "no storm was felt");
}

#[test]
fn storms_on_the_way_to_the_source_leave_both_sides_equal() {
    storms_leave_both_sides_equal(|| Line::new(Kind::Sqlite, &long_orders::<Database<'static>>()));
}

#[test]
fn storms_on_the_way_to_source_and_catalogue_leave_both_sides_equal() {
    storms_leave_both_sides_equal(|| Line::new(Kind::Postgres, &long_orders::<Database<'static>>()));
}

#[test]
fn storms_on_the_way_to_two_databases_leave_both_sides_equal() {
    storms_leave_both_sides_equal(|| {
        Line::new(Kind::Sqlite, &long_orders::<Database<'static>>()).into_database()
    });
}

#[test]
fn storms_on_the_way_to_a_mariadb_leave_both_sides_equal() {
    storms_leave_both_sides_equal(|| Line::mariadb(Kind::Sqlite, &long_orders::<MariaDbDatabase<'static>>()));
}

#[test]
fn storms_on_the_way_to_a_mariadb_and_a_catalogue_leave_both_sides_equal() {
    storms_leave_both_sides_equal(|| {
        Line::mariadb(Kind::Postgres, &long_orders::<MariaDbDatabase<'static>>())
    });
}
