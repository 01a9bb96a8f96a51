//! Bounds of deltas.

use std::time::Duration;

use jiff::Timestamp;
use pintail_lake::connector::{OldestTransaction, ReadPoint};
use pintail_model::{CursorType, CursorValue};
use pintail_sync::shape::Cursor;
use pintail_sync::watermark::{Again, Bound, ClockSettings, again, bound, join, zone_note};

const NOW: &str = "2024-01-15T14:00:00Z";

fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn point(oldest: OldestTransaction) -> ReadPoint {
    ReadPoint {
        now: instant(NOW),
        zone_offset_micros: 0,
        time_zone: Some("UTC".to_owned()),
        oldest,
        cursor_max: None,
        seen_at: instant(NOW),
    }
}

fn settings() -> ClockSettings {
    ClockSettings {
        margin: Duration::from_millis(1),
        lookback: Duration::from_secs(2),
        lag: None,
        time_zone: None,
    }
}

fn high(bound: &Bound) -> String {
    bound
        .high
        .map_or_else(|| "nothing".to_owned(), pintail_model::CursorValue::text)
}

fn unknown() -> OldestTransaction {
    OldestTransaction::Unknown {
        reason: "nobody knows".to_owned(),
    }
}

#[test]
fn the_earlier_of_clock_and_oldest_transaction_counts() {
    let check = |oldest: OldestTransaction, expected: &str| {
        let bound = bound(&point(oldest), CursorType::TimestampTz, &settings(), true).expect("a bound");
        assert_eq!(
            (high(&bound).as_str(), bound.certain),
            (expected, expected != "nothing")
        );
    };
    check(OldestTransaction::None, "2024-01-15 13:59:59.999000+00");
    check(
        OldestTransaction::At(instant("2024-01-15T13:00:00Z")),
        "2024-01-15 12:59:59.999000+00",
    );
    check(
        OldestTransaction::At(instant("2024-01-15T14:00:09Z")),
        "2024-01-15 13:59:59.999000+00",
    );
    check(unknown(), "2024-01-15 13:54:59.999000+00");
    check(
        OldestTransaction::Held {
            reason: "prepared".to_owned(),
        },
        "nothing",
    );
}

#[test]
fn what_the_server_lists_late_is_listed_by_the_second_look() {
    let first = point(OldestTransaction::None);
    let second = ReadPoint {
        now: instant("2024-01-15T14:00:01Z"),
        cursor_max: Some(9),
        ..point(OldestTransaction::At(instant("2024-01-15T13:59:00Z")))
    };
    let joined = join(
        ReadPoint {
            cursor_max: Some(7),
            ..first
        },
        second,
    );
    assert_eq!(joined.now, instant(NOW));
    assert_eq!(
        joined.oldest,
        OldestTransaction::At(instant("2024-01-15T13:59:00Z"))
    );
    assert_eq!(joined.cursor_max, Some(7));
}

#[test]
fn a_declared_lag_replaces_the_default_and_is_not_used_where_the_source_can_tell() {
    let declared = ClockSettings {
        lag: Some(Duration::from_secs(10)),
        ..settings()
    };
    let with_lag = bound(&point(unknown()), CursorType::TimestampTz, &declared, false).expect("a bound");
    assert_eq!(high(&with_lag), "2024-01-15 13:59:49.999000+00");
    assert_eq!(
        with_lag.notes,
        ["nobody knows: rows are read up to 10s before now (declared `lag`)"]
    );
    let known = bound(
        &point(OldestTransaction::None),
        CursorType::TimestampTz,
        &declared,
        true,
    )
    .expect("a bound");
    assert_eq!(high(&known), "2024-01-15 13:59:59.999000+00");
}

#[test]
fn cursors_without_a_zone_are_read_up_to_the_earlier_of_utc_and_the_servers_clock() {
    let check = |offset_hours: i64, zone: Option<&str>, expected: &str| {
        let of_the_server = match offset_hours {
            0 => "UTC",
            2 => "Africa/Cairo",
            _ => "America/New_York",
        };
        let point = ReadPoint {
            zone_offset_micros: offset_hours * 3_600_000_000,
            time_zone: Some(of_the_server.to_owned()),
            ..point(OldestTransaction::None)
        };
        let settings = ClockSettings {
            time_zone: zone.map(str::to_owned),
            ..settings()
        };
        let bound = bound(&point, CursorType::Timestamp, &settings, true).expect("a known zone");
        assert_eq!(high(&bound), expected);
    };
    check(0, None, "2024-01-15 13:59:59.999000");
    check(2, None, "2024-01-15 13:59:59.999000");
    check(-5, None, "2024-01-15 08:59:59.999000");
    check(0, Some("Europe/Berlin"), "2024-01-15 14:59:59.999000");
    check(0, Some("America/New_York"), "2024-01-15 08:59:59.999000");
    let nowhere = ClockSettings {
        time_zone: Some("Mars/Olympus".to_owned()),
        ..settings()
    };
    assert_eq!(
        bound(
            &point(OldestTransaction::None),
            CursorType::Timestamp,
            &nowhere,
            true
        ),
        Err("Mars/Olympus".to_owned())
    );
}

#[test]
fn the_hour_that_clocks_repeat_is_not_passed_over() {
    let berlin = ClockSettings {
        time_zone: Some("Europe/Berlin".to_owned()),
        ..settings()
    };
    let check = |now: &str, expected: &str| {
        let point = ReadPoint {
            now: instant(now),
            ..point(OldestTransaction::None)
        };
        assert_eq!(
            high(&bound(&point, CursorType::Timestamp, &berlin, true).expect("a bound")),
            expected,
            "{now}"
        );
    };
    // On 2024-10-27 at 01:00 UTC, 03:00 becomes 02:00: rows stamped 02:30 may come half an hour after now.
    check("2024-10-26T23:30:00Z", "2024-10-27 01:29:59.999000");
    check("2024-10-27T00:30:00Z", "2024-10-27 02:00:00.000000");
    check("2024-10-27T01:30:00Z", "2024-10-27 02:29:59.999000");
}

#[test]
fn the_repeated_hour_of_the_servers_zone_counts_where_none_was_declared() {
    let check = |zone: Option<&str>, now: &str, offset_hours: i64, expected: &str| {
        let point = ReadPoint {
            now: instant(now),
            zone_offset_micros: offset_hours * 3_600_000_000,
            time_zone: zone.map(str::to_owned),
            ..point(OldestTransaction::None)
        };
        let bound = bound(&point, CursorType::Timestamp, &settings(), true).expect("a bound");
        assert_eq!(high(&bound), expected, "{zone:?} {now}");
    };
    // On 2024-11-03 at 06:00 UTC, 02:00 becomes 01:00 in New York.
    let new_york = Some("America/New_York");
    check(new_york, "2024-11-03T04:30:00Z", -4, "2024-11-03 00:29:59.999000");
    check(new_york, "2024-11-03T05:30:00Z", -4, "2024-11-03 01:00:00.000000");
    check(new_york, "2024-11-03T06:30:00Z", -5, "2024-11-03 01:29:59.999000");
    // A zone that nobody knows, or that says something else than the server does, may repeat any hour.
    for unknown in [None, Some("Mars/Olympus"), Some("<-04>4"), Some("Asia/Tokyo")] {
        check(unknown, "2024-11-03T05:30:00Z", -4, "2024-11-03 00:29:59.999000");
    }
    check(None, "2024-11-03T05:30:00Z", 9, "2024-11-03 05:29:59.999000");
}

fn cursor(cursor_type: CursorType, unit_micros: i64) -> Cursor {
    Cursor {
        source: "updated_at".to_owned(),
        dest: "updated_at".to_owned(),
        identity: None,
        cursor_type,
        unit_micros,
        nullable: false,
        chosen: false,
        of_main_table: true,
    }
}

#[test]
fn what_lies_a_lookback_below_the_watermark_is_read_again() {
    let check = |cursor: &Cursor, lookback_ms: u64, watermark: &str, expected: &str| {
        let settings = ClockSettings {
            lookback: Duration::from_millis(lookback_ms),
            ..settings()
        };
        let watermark = CursorValue::parse(cursor.cursor_type, watermark).expect("a cursor");
        let again =
            again(&point(OldestTransaction::None), cursor, watermark, &settings).expect("a known zone");
        let shown = match again {
            Again::Nothing => "nothing".to_owned(),
            Again::From { low, behind: false } => low.text(),
            Again::From { low, behind: true } => format!("{low}, behind"),
            Again::WentBack => "went back".to_owned(),
        };
        assert_eq!(shown, expected, "{watermark} {lookback_ms}");
    };
    let exact = cursor(CursorType::TimestampTz, 1);
    check(
        &exact,
        2000,
        "2024-01-15 13:59:00.000000+00",
        "2024-01-15 13:58:58.000000+00",
    );
    check(&exact, 0, "2024-01-15 13:59:00.000000+00", "nothing");
    // Never less than what the column rounds to.
    let seconds = cursor(CursorType::Timestamp, 1_000_000);
    check(
        &seconds,
        1,
        "2024-01-15 13:59:00.000000",
        "2024-01-15 13:58:59.000000",
    );
    check(
        &seconds,
        5000,
        "2024-01-15 13:59:00.000000",
        "2024-01-15 13:58:55.000000",
    );
    check(&cursor(CursorType::Date, 1), 1, "2024-01-15", "2024-01-14");
    check(&cursor(CursorType::Date, 1), 0, "2024-01-15", "nothing");
    check(&cursor(CursorType::Integer, 1), 2000, "41", "nothing");
    // The clock is behind: by less than the lookback, and by more.
    check(
        &exact,
        2000,
        "2024-01-15 14:00:01.500000+00",
        "2024-01-15 13:59:58.000000+00, behind",
    );
    check(&exact, 2000, "2024-01-15 14:00:02.000001+00", "went back");
    check(&exact, 0, "2024-01-15 14:00:00.000001+00", "went back");
    check(&exact, 0, "2024-01-15 14:00:00.000000+00", "nothing");
    check(&cursor(CursorType::Date, 1), 2000, "2024-01-16", "went back");
}

#[test]
fn the_zone_of_a_cursor_without_one_is_named() {
    let note = |cursor_type, time_zone: Option<&str>| {
        let settings = ClockSettings {
            time_zone: time_zone.map(str::to_owned),
            ..settings()
        };
        zone_note(
            &point(OldestTransaction::None),
            &cursor(cursor_type, 1),
            &settings,
        )
    };
    assert_eq!(
        note(CursorType::Timestamp, None).as_deref(),
        Some(
            "cursor `updated_at` has no time zone and is taken as UTC; set `time_zone` if the application stamps another one"
        )
    );
    assert_eq!(note(CursorType::Timestamp, Some("Europe/Berlin")), None);
    assert_eq!(note(CursorType::TimestampTz, None), None);
}

#[test]
fn a_day_that_is_not_over_is_not_read() {
    let bound = bound(
        &point(OldestTransaction::None),
        CursorType::Date,
        &settings(),
        true,
    )
    .expect("a bound");
    assert_eq!(high(&bound), "2024-01-15");
}

#[test]
fn integers_are_certain_only_while_nobody_else_may_commit() {
    let check = |oldest: OldestTransaction, tells: bool, max: Option<i64>, expected: (&str, bool)| {
        let point = ReadPoint {
            cursor_max: max,
            seen_at: instant("2024-01-15T14:00:00.2Z"),
            ..point(oldest)
        };
        let bound = bound(&point, CursorType::Integer, &settings(), tells).expect("a bound");
        assert_eq!((high(&bound).as_str(), bound.certain), expected);
    };
    check(OldestTransaction::None, true, Some(41), ("42", true));
    check(unknown(), false, Some(41), ("42", true));
    check(unknown(), true, Some(41), ("42", false));
    check(OldestTransaction::At(instant(NOW)), true, Some(41), ("42", false));
    // It began after the clock was read and before the largest number was seen: 40 may be its own.
    check(
        OldestTransaction::At(instant("2024-01-15T14:00:00.1Z")),
        true,
        Some(41),
        ("42", false),
    );
    // It began after the largest number was seen, so it takes greater ones.
    check(
        OldestTransaction::At(instant("2024-01-15T14:00:00.3Z")),
        true,
        Some(41),
        ("42", true),
    );
    check(OldestTransaction::None, true, None, ("nothing", false));
    check(OldestTransaction::None, true, Some(i64::MAX), ("nothing", false));
}
