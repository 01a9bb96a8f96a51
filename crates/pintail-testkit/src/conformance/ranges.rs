//! Ranges cover the rows of a table without overlap and without a gap, and the source counts what the engine reads.

use pintail_lake::connector::{ScanRequest, SourceColumn};
use pintail_model::{CursorValue, KeyValue, LeafChecksums, Range};

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
    let ScanRequest { relation, .. } = attached.request("orders", Range::Whole);
    let mut ranges = plans(&attached).concat();
    ranges.push(Range::Whole);
    for range in ranges {
        let read = attached.checksums_now(&attached.request("orders", range.clone()));
        let counted = attached.count_now(&relation, &range);
        assert_eq!(counted, read.total().rows, "{range:?}");
    }
}

pub fn of_an_empty_table_are_empty(fixture: &dyn Fixture) {
    fixture.fill_orders(0);
    let attached = Attached::new(fixture.connector());
    let ScanRequest { relation, .. } = attached.request("orders", Range::Whole);
    let mut ranges = plans(&attached).concat();
    ranges.push(Range::Whole);
    for range in ranges {
        let read = attached.checksums_now(&attached.request("orders", range.clone()));
        assert_eq!(
            (read.total().rows, attached.count_now(&relation, &range)),
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
        tuples(
            &["customer", "id"],
            &[[3, 50], [3, 4_000], [7, 0], [7, 1], [900, 12_000]],
        ),
        tuples(
            &["id", "customer"],
            &[[0, 0], [1, 1], [500, 3], [501, -5], [19_999, i64::MAX]],
        ),
        times(),
        texts(),
    ];
    let description = attached.describe("orders");
    let columns: Vec<SourceColumn> = ["customer", "id", "note", "changed_at"]
        .iter()
        .filter_map(|name| description.column(name).cloned())
        .collect();
    // What the source itself would cut by.
    for sampled in [&columns[..2], &columns[1..2], &columns[2..3], &columns[1..]] {
        let names: Vec<&str> = sampled.iter().map(|column| column.name.as_str()).collect();
        plans.push(between(&names, attached.bounds("orders", sampled, 9)));
    }
    // A table of which no pages are told is cut by its key.
    plans.extend(description.pages.map(pages));
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

/// Ranges between bounds; the outer ones are open, and the first takes what is NULL.
fn between(columns: &[&str], bounds: Vec<Vec<KeyValue>>) -> Vec<Range> {
    let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
    let ends: Vec<Option<Vec<KeyValue>>> = std::iter::once(None)
        .chain(bounds.into_iter().map(Some))
        .chain([None])
        .collect();
    let range = |(index, ends): (usize, &[Option<Vec<KeyValue>>])| Range::Keys {
        columns: columns.clone(),
        low: ends[0].clone(),
        high: ends[1].clone(),
        with_null: index == 0,
    };
    ends.windows(2).enumerate().map(range).collect()
}

fn tuples(columns: &[&str], bounds: &[[i64; 2]]) -> Vec<Range> {
    let number = |number: &i64| KeyValue::Number(CursorValue::Integer(*number));
    between(
        columns,
        bounds
            .iter()
            .map(|bound| bound.iter().map(number).collect())
            .collect(),
    )
}

fn times() -> Vec<Range> {
    let at = |micros: i64| vec![KeyValue::Number(CursorValue::Timestamp(BEGIN + micros))];
    let bounds = [-1, 0, 100 * MINUTE + 1, 1_440 * MINUTE, 900_000 * MINUTE];
    between(&["changed_at"], bounds.map(at).to_vec())
}

/// Bounds of texts, in the order of their bytes: capitals before small letters, an umlaut after them.
fn texts() -> Vec<Range> {
    let note = |number: u32| format!("note {number:040}");
    let bounds = [
        "".to_owned(),
        "N".to_owned(),
        note(1),
        note(5_000),
        note(5_001),
        note(12_345) + " ",
        "ä".to_owned(),
    ];
    between(&["note"], bounds.map(|text| vec![KeyValue::Text(text)]).to_vec())
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
