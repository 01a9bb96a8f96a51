//! Comparisons of a table of a real server with its copy in a lake.

use pintail_sync::plan::Task;
use pintail_sync::report::{Drift, ParityStatus};
use pintail_sync::spec::{Compare, HashSpec, StrategyKind, StrategySpec};
use pintail_sync::{Error, StopSignal, SyncReport, SyncRequest, Unwatched};

use super::counts;
use crate::postgres::Copy;

/// A table of that many orders; `n` is the number that each had in the beginning.
pub(super) fn orders_by(key: &str) -> String {
    format!(
        "create table orders (id {key} primary key, n integer, price numeric(12,2), note text, at timestamptz);
         insert into orders select i::{key}, i, i / 4.0, nullif('note ' || i % 9, 'note 0'),
             timestamptz '2024-01-01' + i * interval '1 s'
         from generate_series(1, 4000) as i; analyze orders"
    )
}

/// A copy that was loaded.
pub(super) fn loaded(statements: &str) -> Copy<'static> {
    let copy = Copy::new(statements);
    assert_eq!(copy.run().kind, "full");
    copy
}

pub(super) fn request(copy: &Copy<'_>, compare: Compare) -> SyncRequest {
    let mut request = copy.request();
    let hash = StrategyKind::Hash(HashSpec { compare });
    request.spec.strategies.push(StrategySpec::new("compare", hash));
    request.strategy = Some("compare".to_owned());
    request
}

pub(super) fn try_compare(copy: &Copy<'_>, compare: Compare) -> Result<SyncReport, Error> {
    pintail_sync::run(&request(copy, compare), &Unwatched, &StopSignal::new())
}

/// A comparison, after which both sides are equal.
pub(super) fn compare(copy: &Copy<'_>, compare: Compare) -> SyncReport {
    let report = try_compare(copy, compare).unwrap_or_else(|error| panic!("{error}: {error:?}"));
    assert_eq!(report.kind, "hash", "{}", report.reason);
    assert_eq!(report.parity.status, ParityStatus::Ok, "{:?}", report.parity);
    report
}

/// In what both sides differ, by a comparison of all rows that changes neither.
pub(super) fn drift(copy: &Copy<'_>) -> Drift {
    let mut request = copy.request();
    request.task = Task::Verify { keys_named: 0 };
    let report = pintail_sync::run(&request, &Unwatched, &StopSignal::new())
        .unwrap_or_else(|error| panic!("{error}: {error:?}"));
    report.drift.expect("a comparison of both sides")
}

/// Changes some of the [`orders_by`] a key of that type.
fn change_at_random(copy: &Copy<'_>, random: &mut fastrand::Rng, key: &str) {
    let moved = if key == "text" { "id || '.' || " } else { "id + " };
    for _ in 0..random.usize(1..12) {
        let (from, rows, value) = (random.i32(-50..4_200), random.i32(1..6), random.i32(-3..3));
        let among = format!("n between {from} and {}", from + rows);
        copy.database.execute(&match random.u8(0..6) {
            0 => format!("delete from orders where {among}"),
            1 => format!("update orders set price = {value} / 8.0 where {among}"),
            2 => format!("update orders set note = nullif('{value}', '0') where {among}"),
            3 => format!("update orders set at = at + {value} * interval '1 us' where {among}"),
            4 => format!(
                "update orders set id = {moved}{} where {among}",
                random.i64(1 << 40..1 << 50)
            ),
            _ => format!(
                "insert into orders select i::{key}, i, 0, '', null from generate_series({from}, {}) as i
                 on conflict do nothing",
                from + rows
            ),
        });
    }
}

/// Fails unless `compare` finds what a comparison of all rows finds, whatever happens to copies that `make` makes.
#[track_caller]
pub(super) fn assert_follows(make: fn(&str) -> Copy<'static>, compare: fn(&Copy<'_>) -> SyncReport) {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for key in ["bigint", "text"] {
        let copy = make(&orders_by(key));
        for round in 0..4 {
            let context = format!("seed {seed}, {key}, round {round}");
            change_at_random(&copy, &mut random, key);
            let expected = drift(&copy);
            let report = compare(&copy);
            assert_eq!(
                counts(&report),
                (expected.missing, expected.changed, expected.extra),
                "{context}: {:?}",
                report.notes
            );
            assert_eq!(drift(&copy), Drift::default(), "{context}");
        }
    }
}
