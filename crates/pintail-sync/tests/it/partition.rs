//! Cutting tables and windows.

use pintail_model::{CursorType, CursorValue, Range};
use pintail_sync::partition::{cursor_shares, cursor_steps, expected, id, key_steps, keys, pages};
use pintail_sync::spec::StepUnit;
use proptest::prelude::{ProptestConfig, any, proptest};
use proptest::{prop_assert, prop_assert_eq};

fn ids(ranges: &[Range]) -> Vec<String> {
    ranges.iter().map(id).collect()
}

fn instant(text: &str) -> CursorValue {
    CursorValue::parse(CursorType::TimestampTz, text).expect("a cursor")
}

#[test]
fn pages_are_shared_out_evenly_and_the_last_range_is_open() {
    assert_eq!(ids(&pages(10, 3)), ["pages_0_3", "pages_3_6", "pages_6_"]);
    assert_eq!(ids(&pages(2, 5)), ["pages_0_1", "pages_1_"]);
    assert_eq!(ids(&pages(0, 5)), ["pages_0_"]);
}

#[test]
fn keys_follow_the_histogram_and_the_outer_ranges_are_open() {
    assert_eq!(
        ids(&keys("id", &[0, 10, 20, 1000], 3)),
        ["id__10", "id_10_20", "id_20_"]
    );
    assert_eq!(
        ids(&keys("id", &[0, 100], 4)),
        ["id__25", "id_25_50", "id_50_75", "id_75_"]
    );
    assert_eq!(ids(&keys("id", &[7, 7, 7], 4)), ["id__"]);
    assert_eq!(ids(&keys("id", &[], 4)), ["id__"]);
    assert_eq!(ids(&keys("id", &[i64::MIN, i64::MAX], 2)), ["id__0", "id_0_"]);
}

#[test]
fn steps_are_multiples_and_are_widened_until_there_are_few_enough() {
    assert_eq!(ids(&key_steps("id", 1, 25, 10)), ["id__10", "id_10_20", "id_20_"]);
    assert_eq!(ids(&key_steps("id", -5, 5, 10)), ["id__0", "id_0_"]);
    assert!(key_steps("id", i64::MIN, i64::MAX, 1).len() <= 1000);
    let (low, high) = (
        instant("2024-01-15 12:30:00.5+00"),
        instant("2024-01-15 15:00:00+00"),
    );
    assert_eq!(
        ids(&cursor_steps("updated_at", low, high, 7200, StepUnit::Second)),
        [
            "updated_at_2024-01-15T12:30:00.500000_2024-01-15T14:00:00",
            "updated_at_2024-01-15T14:00:00_2024-01-15T15:00:00"
        ]
    );
    let (low, high) = (
        instant("2023-11-15 00:00:00+00"),
        instant("2024-02-01 00:00:00+00"),
    );
    assert_eq!(
        ids(&cursor_steps("at", low, high, 1, StepUnit::Month)),
        [
            "at_2023-11-15T00:00:00_2023-12-01T00:00:00",
            "at_2023-12-01T00:00:00_2024-01-01T00:00:00",
            "at_2024-01-01T00:00:00_2024-02-01T00:00:00"
        ]
    );
    let (low, high) = (
        instant("1970-01-01 00:00:00+00"),
        instant("2024-01-01 00:00:00+00"),
    );
    assert!(cursor_steps("at", low, high, 1, StepUnit::Second).len() <= 1000);
    let days = |text| CursorValue::parse(CursorType::Date, text).expect("a day");
    assert_eq!(
        ids(&cursor_steps(
            "day",
            days("2024-01-01"),
            days("2024-01-04"),
            1,
            StepUnit::Day
        )),
        [
            "day_2024-01-01_2024-01-02",
            "day_2024-01-02_2024-01-03",
            "day_2024-01-03_2024-01-04"
        ]
    );
}

#[test]
fn windows_beyond_the_statistics_are_one_partition() {
    let (low, high) = (CursorValue::Integer(500), CursorValue::Integer(900));
    assert_eq!(ids(&cursor_shares("v", low, high, &[0, 100], 4)), ["v_500_900"]);
    let (low, high) = (CursorValue::Integer(50), CursorValue::Integer(900));
    assert_eq!(
        ids(&cursor_shares("v", low, high, &[0, 100], 2)),
        ["v_50_75", "v_75_900"]
    );
    assert_eq!(expected(&[0, 100], 1000, 50, 900), 500);
    assert_eq!(expected(&[0, 100], 1000, 500, 900), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_key_belongs_to_exactly_one_range(
        mut histogram in proptest::collection::vec(any::<i64>(), 0..20),
        parts in 1_u64..50,
        step in 1_u64..1_000_000,
        key in any::<i64>(),
    ) {
        histogram.sort_unstable();
        let mut all = vec![keys("id", &histogram, parts)];
        if let (Some(least), Some(most)) = (histogram.first(), histogram.last()) {
            all.push(key_steps("id", *least, *most, step));
        }
        for ranges in all {
            let holding = ranges.iter().filter(|range| match range {
                Range::Key { low, high, .. } => low.is_none_or(|low| low <= key) && high.is_none_or(|high| key < high),
                _ => false,
            });
            prop_assert_eq!(holding.count(), 1);
            prop_assert!(ranges.len() <= 1000);
        }
    }

    #[test]
    fn windows_are_cut_without_gaps(
        low in -1_000_000_000_000_000_i64..1_000_000_000_000_000,
        width in 1_i64..1_000_000_000_000_000,
        step in 1_u64..100_000,
        parts in 1_u64..20,
        mut histogram in proptest::collection::vec(-2_000_000_000_000_000_i64..2_000_000_000_000_000, 0..10),
    ) {
        histogram.sort_unstable();
        let (low, high) = (CursorValue::Timestamp(low), CursorValue::Timestamp(low + width));
        let units = [StepUnit::Second, StepUnit::Hour, StepUnit::Week, StepUnit::Month, StepUnit::Year];
        let mut all: Vec<Vec<Range>> = units.iter().map(|unit| cursor_steps("at", low, high, step, *unit)).collect();
        all.push(cursor_shares("at", low, high, &histogram, parts));
        for ranges in all {
            let mut reached = low;
            for range in &ranges {
                let Range::Cursor { low, high, .. } = range else { panic!("a cursor range") };
                prop_assert_eq!(*low, Some(reached));
                prop_assert!(*high > reached);
                reached = *high;
            }
            prop_assert_eq!(reached, high);
            prop_assert!(ranges.len() <= 1000);
        }
    }
}
