//! What follows from what earlier runs measured: the strategy, and the way to compare.

use jiff::{SignedDuration, Timestamp};
use pintail_sync::PlanKind;
use pintail_sync::spec::{Compare, DeletePolicy, HashSpec, StrategyKind, StrategySpec};
use pintail_sync::state::{Measured, Pace};

use super::{Setting, instant};

/// As a plan of these tests has it.
fn now() -> Timestamp {
    instant("2024-01-15T14:00:00Z")
}

fn days_ago(days: i64) -> Timestamp {
    now() - SignedDuration::from_hours(24 * days)
}

fn with_hash(mut setting: Setting, compare: Compare) -> Setting {
    setting.spec.strategies.push(StrategySpec::new(
        "compare",
        StrategyKind::Hash(HashSpec { compare }),
    ));
    setting
}

fn measured(way: &str, seconds: f64) -> Measured {
    Measured {
        way: way.to_owned(),
        rows: 1_000_000,
        bytes: Some(100_000_000),
        differing: 40,
        seconds,
        at: days_ago(1),
    }
}

#[test]
fn a_comparison_takes_the_place_of_a_full_load_that_nobody_asked_for() {
    let check = |change: fn(&mut Setting), expected: (&str, &str)| {
        let mut setting = with_hash(Setting::loaded(), Compare::Auto);
        change(&mut setting);
        let (strategy, reason) = setting.chosen();
        assert_eq!((strategy.as_str(), reason.as_str()), expected);
    };
    check(
        |_| {},
        ("changes", "the lake's ledger says how far the source was read"),
    );
    check(
        |setting| setting.entry = |entry| entry.watermark = None,
        (
            "compare",
            "the last load set no watermark; a comparison brings in just what differs",
        ),
    );
    check(
        |setting| setting.spec.strategies[1].enabled = false,
        (
            "compare",
            "the pipeline has no other strategy that is enabled and built; a comparison brings in just what differs",
        ),
    );
    // It has nothing to compare, or everything differs.
    check(
        |setting| setting.found = None,
        ("everything", "the table is not in the lake yet"),
    );
    check(
        |setting| setting.found.as_mut().expect("a table").fits = false,
        ("everything", "the columns differ from those of the lake's table"),
    );
    check(
        |setting| setting.entry = |entry| entry.source = "file:shop shop.orders #6".to_owned(),
        (
            "everything",
            "the source's table was made anew, or another one took its name",
        ),
    );
    check(
        |setting| setting.history.start_fresh = Some("the state was reset".to_owned()),
        ("everything", "the state was reset"),
    );
    check(
        |setting| {
            setting.history.start_fresh = Some("the last comparison found a difference".to_owned());
            setting.history.comparisons = vec![Measured {
                differing: 400_000,
                ..measured("stream", 2.0)
            }];
        },
        (
            "everything",
            "the last comparison found a difference; 40 % of the rows differed in the last comparison",
        ),
    );
    // What was named is not something else.
    check(
        |setting| {
            setting.asked.strategy = Some("full".to_owned());
        },
        ("everything", "it was asked for"),
    );
}

#[test]
fn rows_that_a_delta_would_have_to_replace_are_loaded_where_they_are_most_of_the_table() {
    let check = |change: fn(&mut Setting), expected: (&str, &str)| {
        let mut setting = Setting::loaded();
        setting.history.pace = Some(Pace {
            rows_a_second: 1.0,
            since: days_ago(20),
        });
        change(&mut setting);
        let (strategy, reason) = setting.chosen();
        assert_eq!((strategy.as_str(), reason.as_str()), expected);
    };
    let goes_on = ("changes", "the lake's ledger says how far the source was read");
    check(
        |_| {},
        (
            "everything",
            "about 82 % of the rows are expected to have changed in the 20 days since the last run",
        ),
    );
    check(
        |setting| setting.history.pace.as_mut().expect("a pace").since = days_ago(2),
        goes_on,
    );
    check(
        |setting| setting.history.pace.as_mut().expect("a pace").rows_a_second = 0.1,
        goes_on,
    );
    check(|setting| setting.table.rows = Some(50_000), goes_on);
    check(|setting| setting.spec.strategies[0].enabled = false, goes_on);
    check(
        |setting| setting.spec.deletes.policy = DeletePolicy::Ignore,
        goes_on,
    );
    check(
        |setting| setting.asked.strategy = Some("changes".to_owned()),
        ("changes", "it was asked for"),
    );
}

#[test]
fn both_sides_are_compared_where_nobody_did_for_long() {
    let check = |days: i64, hash: bool, expected: (&str, &str)| {
        let mut setting = Setting::loaded();
        if hash {
            setting = with_hash(setting, Compare::Auto);
        }
        setting.history.whole_at = Some(days_ago(days));
        let (strategy, reason) = setting.chosen();
        assert_eq!((strategy.as_str(), reason.as_str()), expected);
    };
    let goes_on = ("changes", "the lake's ledger says how far the source was read");
    check(6, true, goes_on);
    check(
        9,
        true,
        (
            "compare",
            "all rows were last looked at 9 days ago, and a delta sees no deleted rows; a comparison brings in just what differs",
        ),
    );
    check(9, false, goes_on);
}

#[test]
fn the_way_to_compare_follows_from_what_was_measured() {
    let check = |sums_up: bool, comparisons: &[Measured], expected: &str| {
        let mut setting = with_hash(Setting::loaded(), Compare::Auto);
        setting.asked.strategy = Some("compare".to_owned());
        setting.connector.script.lock().expect("no holder panics").sums_up = sums_up;
        setting.table.bytes = Some(100_000_000);
        setting.history.comparisons = comparisons.to_vec();
        let plan = setting.plan();
        assert_eq!(plan.kind, PlanKind::Hash);
        assert_eq!(plan.comparison.to_string(), expected);
    };
    check(
        true,
        &[],
        "stream, because nothing is measured yet, and one reading of both sides tells every difference",
    );
    check(
        true,
        &[measured("stream", 0.5)],
        "stream, because it took 0.5 s the last time (190.7 MiB/s)",
    );
    check(
        true,
        &[measured("stream", 2.2)],
        "stream, because it took 2.2 s the last time (43.3 MiB/s), and `pushdown` would take about 1.6 s",
    );
    check(
        true,
        &[measured("stream", 50.0)],
        "pushdown, because `stream` took 50.0 s the last time (1.9 MiB/s), and this takes about 2.3 s",
    );
    check(
        true,
        &[measured("pushdown", 45.0), measured("stream", 50.0)],
        "stream, because it took 50.0 s the last time (1.9 MiB/s), and `pushdown` would take about 45.0 s",
    );
    check(
        false,
        &[measured("stream", 50.0)],
        "stream, because it took 50.0 s the last time (1.9 MiB/s), and `pushdown` cannot be: the source has no function for that",
    );
}
