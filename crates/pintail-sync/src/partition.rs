//! Cutting: how a table, or the rows between two cursors, become partitions. Pure.
//!
//! Cuts come from what the source's statistics say, never from looking at rows. Wrong statistics make partitions
//! uneven, not wrong: the first and the last range of a table are open, and neighbours share their bound.

use jiff::civil;
use pintail_model::{CursorType, CursorValue, KeyValue, Range, checksum};

use crate::spec::StepUnit;

/// Partitions of one run at most: each is a statement, a file and, for a delta, a commit.
pub const PARTITIONS_MAX: u32 = 1_000;

/// Ranges of about equal numbers of pages.
#[must_use]
pub fn pages(pages: u64, parts: u64) -> Vec<Range> {
    let parts = parts.clamp(1, pages.max(1));
    let bound =
        |part: u64| u64::try_from(u128::from(pages) * u128::from(part) / u128::from(parts)).unwrap_or(pages);
    (0..parts)
        .map(|part| Range::Pages {
            first: bound(part),
            end: (part + 1 < parts).then(|| bound(part + 1)),
        })
        .collect()
}

/// Ranges of an integer column that hold about equal numbers of rows. The outer ranges are open; NULL belongs to
/// the first.
#[must_use]
pub fn keys(column: &str, histogram: &[i64], parts: u64) -> Vec<Range> {
    key_ranges(column, &shares(histogram, parts))
}

/// Values between parts of about equal numbers of rows: fewer than were asked for where a frequent value fills several.
fn shares(histogram: &[i64], parts: u64) -> Vec<i64> {
    let mut bounds: Vec<i64> = (1..parts)
        .filter_map(|part| value_at(histogram, part as f64 / parts as f64))
        .collect();
    bounds.dedup();
    // A bound at the smallest value would leave the first range without rows.
    bounds.retain(|bound| histogram.first() != Some(bound));
    bounds
}

/// Ranges of an integer column whose bounds are multiples of `step`, widened until there are few enough.
#[must_use]
pub fn key_steps(column: &str, least: i64, most: i64, step: u64) -> Vec<Range> {
    let step = widened(i128::from(most) - i128::from(least) + 1, i128::from(step.max(1)));
    let first = i128::from(least).div_euclid(step) + 1;
    let bounds: Vec<i64> = (first..)
        .map(|multiple| multiple * step)
        .take_while(|bound| *bound <= i128::from(most))
        .filter_map(|bound| i64::try_from(bound).ok())
        .collect();
    key_ranges(column, &bounds)
}

fn key_ranges(column: &str, bounds: &[i64]) -> Vec<Range> {
    let low = |part: usize| part.checked_sub(1).and_then(|before| bounds.get(before).copied());
    (0..=bounds.len())
        .map(|part| Range::Key {
            column: column.to_owned(),
            low: low(part),
            high: bounds.get(part).copied(),
            with_null: part == 0,
        })
        .collect()
}

/// Ranges between bounds. The outer ones are open, and NULL belongs to the first.
#[must_use]
pub fn between(columns: &[String], bounds: Vec<Vec<KeyValue>>) -> Vec<Range> {
    let mut low = None;
    let ends = bounds.into_iter().map(Some).chain([None]);
    ends.enumerate()
        .map(|(part, high)| Range::Keys {
            columns: columns.to_vec(),
            low: std::mem::replace(&mut low, high.clone()),
            high,
            with_null: part == 0,
        })
        .collect()
}

/// Ranges of a column of dates or times that hold about equal numbers of rows. The outer ranges are open.
#[must_use]
pub fn times(column: &str, kind: CursorType, histogram: &[i64], parts: u64) -> Vec<Range> {
    let bounds = shares(histogram, parts);
    let value = |number| vec![KeyValue::Number(CursorValue::from_number(kind, number))];
    between(&[column.to_owned()], bounds.into_iter().map(value).collect())
}

/// Ranges of a column of dates or times whose bounds are multiples of a step, as [`cursor_steps`] makes them. The outer
/// ranges are open.
#[must_use]
pub fn time_steps(
    column: &str,
    least: CursorValue,
    most: CursorValue,
    step: u64,
    unit: StepUnit,
) -> Vec<Range> {
    let inner = cursor_steps(column, least, most, step, unit).into_iter().skip(1);
    let low = |range| match range {
        Range::Cursor { low, .. } => low.map(|low| vec![KeyValue::Number(low)]),
        _ => None,
    };
    between(&[column.to_owned()], inner.filter_map(low).collect())
}

/// Ranges from `low` to `high` that hold about equal numbers of rows.
#[must_use]
pub fn cursor_shares(
    column: &str,
    low: CursorValue,
    high: CursorValue,
    histogram: &[i64],
    parts: u64,
) -> Vec<Range> {
    let (from, to) = (
        share_below(histogram, low.number()),
        share_below(histogram, high.number()),
    );
    let bounds = (1..parts)
        .filter_map(|part| value_at(histogram, from + (to - from) * part as f64 / parts as f64))
        .filter(|bound| low.number() < *bound && *bound < high.number())
        .collect();
    cursor_ranges(column, low, high, bounds)
}

/// Ranges from `low` to `high` whose inner bounds are multiples of a step (of calendar months and years where the
/// unit is one of them), widened until there are few enough.
#[must_use]
pub fn cursor_steps(
    column: &str,
    low: CursorValue,
    high: CursorValue,
    step: u64,
    unit: StepUnit,
) -> Vec<Range> {
    let bounds = match (low.cursor_type(), unit) {
        (CursorType::Integer, _) => multiples(low.number(), high.number(), i128::from(step)),
        (_, StepUnit::Month) => months(low, high, step),
        (_, StepUnit::Year) => months(low, high, step.saturating_mul(12)),
        (CursorType::Date, _) => {
            let days = (i128::from(step) * i128::from(seconds(unit)) / 86_400).max(1);
            multiples(low.number(), high.number(), days)
        }
        _ => multiples(
            low.number(),
            high.number(),
            i128::from(step) * i128::from(seconds(unit)) * 1_000_000,
        ),
    };
    cursor_ranges(column, low, high, bounds)
}

fn seconds(unit: StepUnit) -> u64 {
    match unit {
        StepUnit::Second => 1,
        StepUnit::Minute => 60,
        StepUnit::Hour => 3_600,
        StepUnit::Week => 7 * 86_400,
        StepUnit::Day | StepUnit::Month | StepUnit::Year => 86_400,
    }
}

/// Multiples of `step` strictly between two numbers.
fn multiples(low: i64, high: i64, step: i128) -> Vec<i64> {
    let step = widened(i128::from(high) - i128::from(low), step.max(1));
    let first = i128::from(low).div_euclid(step) + 1;
    (first..)
        .map(|multiple| multiple * step)
        .take_while(|bound| *bound < i128::from(high))
        .filter_map(|bound| i64::try_from(bound).ok())
        .collect()
}

/// The smallest multiple of `step` that cuts `spread` into few enough parts.
fn widened(spread: i128, step: i128) -> i128 {
    // One part more than the quotient: the ends rarely lie on a multiple.
    let most = i128::from(PARTITIONS_MAX) - 1;
    let factor = (spread + step * most - 1) / (step * most);
    step * factor.max(1)
}

/// First days of every `step`-th month strictly between two values.
fn months(low: CursorValue, high: CursorValue, step: u64) -> Vec<i64> {
    let (Some(from), Some(to)) = (low.instant(), high.instant()) else {
        return Vec::new();
    };
    let index = |at: jiff::Timestamp| {
        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        i64::from(date.year()) * 12 + i64::from(date.month()) - 1
    };
    let (first, last) = (index(from), index(to));
    let step = widened(i128::from(last - first) + 1, i128::from(step.max(1)));
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let unit = if low.cursor_type() == CursorType::Date {
        1
    } else {
        86_400_000_000
    };
    let epoch = civil::date(1970, 1, 1);
    (first.div_euclid(step)..)
        .map(|multiple| multiple.saturating_mul(step))
        .take_while(|month| *month <= last)
        .filter_map(|month| {
            let year = i16::try_from(month.div_euclid(12)).ok()?;
            let day = civil::Date::new(year, i8::try_from(month.rem_euclid(12) + 1).ok()?, 1).ok()?;
            Some(i64::from(epoch.until(day).ok()?.get_days()) * unit)
        })
        .filter(|bound| low.number() < *bound && *bound < high.number())
        .collect()
}

fn cursor_ranges(column: &str, low: CursorValue, high: CursorValue, mut bounds: Vec<i64>) -> Vec<Range> {
    bounds.dedup();
    let kind = low.cursor_type();
    let value = |number: i64| CursorValue::from_number(kind, number);
    let lows = std::iter::once(low).chain(bounds.iter().copied().map(value));
    let highs = bounds.iter().copied().map(value).chain([high]);
    lows.zip(highs)
        .map(|(low, high)| Range::Cursor {
            column: column.to_owned(),
            low: Some(low),
            high,
        })
        .collect()
}

/// How many of `rows` lie in `low..high`, as far as a histogram can tell: values beyond it count as none.
#[must_use]
pub fn expected(histogram: &[i64], rows: u64, low: i64, high: i64) -> u64 {
    let share = share_below(histogram, high) - share_below(histogram, low);
    (rows as f64 * share.max(0.0)).round() as u64
}

/// The share of rows whose value is smaller, by linear interpolation between the bounds of a histogram.
fn share_below(histogram: &[i64], value: i64) -> f64 {
    let (Some(least), Some(most)) = (histogram.first(), histogram.last()) else {
        return 0.0;
    };
    if value <= *least {
        return 0.0;
    }
    if value > *most {
        return 1.0;
    }
    let buckets = (histogram.len() - 1).max(1);
    // The first bucket whose upper bound is not below the value.
    let bucket = histogram.partition_point(|bound| *bound < value) - 1;
    let (from, to) = (histogram[bucket], histogram[bucket + 1]);
    let inside = if to > from {
        (value as f64 - from as f64) / (to as f64 - from as f64)
    } else {
        1.0
    };
    (bucket as f64 + inside) / buckets as f64
}

/// The value below which a share of the rows lies: the inverse of [`share_below`].
fn value_at(histogram: &[i64], share: f64) -> Option<i64> {
    let buckets = histogram.len().checked_sub(1).filter(|buckets| *buckets > 0)?;
    let position = share.clamp(0.0, 1.0) * buckets as f64;
    let bucket = (position.floor() as usize).min(buckets - 1);
    let (from, to) = (i128::from(histogram[bucket]), i128::from(histogram[bucket + 1]));
    let inside = ((to - from) as f64 * (position - bucket as f64)).round() as i128;
    i64::try_from(from + inside).ok()
}

/// A name for a range, the same for the same bounds: `updated_at_2024-01-15T12:00:00_2024-01-15T14:00:00`.
#[must_use]
pub fn id(range: &Range) -> String {
    let number = |bound: &Option<i64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
    match range {
        Range::Whole => "all".to_owned(),
        Range::Pages { first, end } => format!(
            "pages_{first}_{}",
            end.map(|end| end.to_string()).unwrap_or_default()
        ),
        Range::Key {
            column, low, high, ..
        } => format!("{column}_{}_{}", number(low), number(high)),
        Range::Cursor { column, low, high } => {
            format!("{column}_{}_{}", low.map(short).unwrap_or_default(), short(*high))
        }
        Range::CursorNull { column } => format!("{column}_null"),
        Range::Keys {
            columns, low, high, ..
        } => {
            let bound = |values: &Option<Vec<KeyValue>>| {
                let texts: Vec<String> = values.iter().flatten().map(word).collect();
                texts.join(",")
            };
            format!("{}_{}_{}", columns.join(","), bound(low), bound(high))
        }
        Range::Listed { column, values } => format!("{column}_{}", values.len()),
    }
}

/// A value as it appears in names: a text by its hash, because names are shown.
fn word(value: &KeyValue) -> String {
    match value {
        KeyValue::Number(number) => short(*number),
        KeyValue::Text(text) | KeyValue::Uuid(text) => {
            format!("{:08x}", checksum::bytes_word(text.as_bytes()) as u32)
        }
    }
}

/// A cursor as it appears in names: without a fraction of zero.
fn short(value: CursorValue) -> String {
    let text = value.text();
    let text = text.strip_suffix("+00").unwrap_or(&text);
    text.strip_suffix(".000000").unwrap_or(text).replace(' ', "T")
}
