//! Ranges cover the rows of a table without overlap and without a gap, and the source counts what the engine reads.

use pintail_lake::connector::ScanRequest;
use pintail_model::{CursorValue, LeafChecksums, Range};

use super::{Attached, Fixture};

const ROWS: u32 = 20_000;

/// 2024-01-01 in microseconds; row `id` was changed `id` minutes later.
const BEGIN: i64 = 1_704_067_200_000_000;
const MINUTE: i64 = 60_000_000;

pub fn cover_every_row_once(fixture: &dyn Fixture) {
    fixture.fill_orders(ROWS);
    let attached = Attached::new(fixture.connector());
    let whole = attached.checksums_now(&attached.request("orders", Range::Whole));
    assert_eq!(whole.total().rows, u64::from(ROWS));
    for ranges in plans(&attached) {
        let mut sum = LeafChecksums::default();
        for range in &ranges {
            let request = attached.request("orders", range.clone());
            sum.merge(&attached.checksums_now(&request));
        }
        assert_eq!(sum.total().rows, u64::from(ROWS), "{ranges:?}");
        assert_eq!(sum, whole, "{ranges:?}");
    }
}

pub fn are_counted_as_they_are_read(fixture: &dyn Fixture) {
    fixture.fill_orders(ROWS);
    let attached = Attached::new(fixture.connector());
    let ScanRequest { table, .. } = attached.request("orders", Range::Whole);
    let mut ranges = plans(&attached).concat();
    ranges.push(Range::Whole);
    for range in ranges {
        let read = attached.checksums_now(&attached.request("orders", range.clone()));
        let counted = attached.count_now(&table, &range);
        assert_eq!(counted, read.total().rows, "{range:?}");
    }
}

pub fn of_an_empty_table_are_empty(fixture: &dyn Fixture) {
    fixture.fill_orders(0);
    let attached = Attached::new(fixture.connector());
    let ScanRequest { table, .. } = attached.request("orders", Range::Whole);
    let mut ranges = plans(&attached).concat();
    ranges.push(Range::Whole);
    for range in ranges {
        let read = attached.checksums_now(&attached.request("orders", range.clone()));
        assert_eq!(
            (read.total().rows, attached.count_now(&table, &range)),
            (0, 0),
            "{range:?}"
        );
    }
}

/// Several ways to cut the table into ranges.
fn plans(attached: &Attached) -> Vec<Vec<Range>> {
    let mut plans = vec![
        keys("id", false),
        keys("customer", true),
        cursors(Some(BEGIN)),
        cursors(None),
    ];
    if attached.connector().capabilities().page_ranges {
        plans.push(pages(
            attached.describe("orders").pages.expect("a table has pages"),
        ));
    }
    plans
}

fn keys(column: &str, with_null: bool) -> Vec<Range> {
    let bounds = [
        None,
        Some(i64::MIN),
        Some(-7),
        Some(0),
        Some(1),
        Some(500),
        Some(501),
        Some(12_000),
        Some(i64::MAX),
        None,
    ];
    let mut nulls = with_null;
    bounds
        .windows(2)
        .map(|pair| Range::Key {
            column: column.to_owned(),
            low: pair[0],
            high: pair[1],
            with_null: std::mem::take(&mut nulls),
        })
        .collect()
}

/// Bounds that lie on values, between them and far away; the first range begins at `low`.
fn cursors(low: Option<i64>) -> Vec<Range> {
    let at = |micros: i64| CursorValue::Timestamp(BEGIN + micros);
    let bounds = [
        0,
        MINUTE,
        100 * MINUTE + 1,
        1_439 * MINUTE,
        1_440 * MINUTE,
        9_000 * MINUTE - 1,
        900_000 * MINUTE,
    ];
    let column = "changed_at".to_owned();
    let mut ranges = vec![Range::CursorNull {
        column: column.clone(),
    }];
    let mut low = low.map(CursorValue::Timestamp);
    for bound in bounds {
        ranges.push(Range::Cursor {
            column: column.clone(),
            low,
            high: at(bound),
        });
        low = Some(at(bound));
    }
    ranges
}

fn pages(pages: u64) -> Vec<Range> {
    let step = (pages / 7).max(1);
    let mut ranges: Vec<Range> = (0..7)
        .map(|part| Range::Pages {
            first: part * step,
            end: Some((part + 1) * step),
        })
        .collect();
    ranges.push(Range::Pages {
        first: 7 * step,
        end: None,
    });
    ranges
}
