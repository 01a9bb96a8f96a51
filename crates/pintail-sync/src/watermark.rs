//! How far a delta may read, so that no row that is still on its way is ever passed over. Pure.
//!
//! A row is stamped when its transaction begins or runs, and becomes visible when it commits. A bound must
//! therefore lie before the stamp of every row that is not visible yet:
//!
//! ```text
//!   clock ──▶ oldest open transaction ──▶ snapshot          (in this order)
//!     └─────── smaller of the two, less a margin = bound;  read  low ≤ cursor < bound
//! ```
//!
//! Stamps may be a little older than the transaction that writes them: rounded, or taken by an application beforehand
//! or from a clock that is behind. So a delta of times also reads what lies a [lookback](again) below its watermark
//! again, and applies what has changed there.
//!
//! The largest visible cursor is never a bound for times: a transaction that began earlier may commit later. It is one
//! for integers, and only where every transaction that is open after it was read began after it, too.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use pintail_lake::connector::{OldestTransaction, ReadPoint};
use pintail_model::{CursorType, CursorValue};

use crate::shape::Cursor;
use crate::spec::{DeltaSpec, StepUnit};

/// How long before its commit a row may have been stamped, where the source cannot tell its oldest transaction and
/// nothing was declared.
pub const DEFAULT_LAG: Duration = Duration::from_mins(5);

/// What is known of a cursor's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockSettings {
    /// Taken off every bound.
    pub margin: Duration,
    /// How far below the watermark rows are read again.
    pub lookback: Duration,
    /// Stands in for the oldest transaction where the source cannot tell it.
    pub lag: Option<Duration>,
    /// The zone of a cursor without one.
    pub time_zone: Option<String>,
}

impl ClockSettings {
    /// Those of a delta.
    #[must_use]
    pub fn of(delta: &DeltaSpec) -> Self {
        Self {
            margin: delta.margin,
            lookback: delta.lookback,
            lag: delta.lag,
            time_zone: delta.time_zone.clone(),
        }
    }
}

/// What a delta reads again, below its watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Nothing.
    Nothing,
    /// Everything from this value up to the watermark.
    From {
        /// The first value.
        low: CursorValue,
        /// Whether the clock is behind the watermark, so that new rows fall below it.
        behind: bool,
    },
    /// The clock of the source went back by more than the lookback: nobody knows what lies below the watermark.
    WentBack,
}

/// What a delta of `cursor` reads again if everything below `watermark` was read before.
///
/// # Errors
/// The name of a time zone that is not known on this machine.
pub fn again(
    point: &ReadPoint,
    cursor: &Cursor,
    watermark: CursorValue,
    settings: &ClockSettings,
) -> Result<Again, String> {
    let kind = cursor.cursor_type;
    let (now, unit) = match kind {
        CursorType::Integer => return Ok(Again::Nothing),
        CursorType::TimestampTz => (point.now.as_microsecond(), 1),
        CursorType::Timestamp => (wall_clock(point.now, point, settings)?, 1),
        CursorType::Date => (wall_clock(point.now, point, settings)?, MICROS_OF_DAY),
    };
    let watermark = watermark.number().saturating_mul(unit);
    let lookback = i64::try_from(settings.lookback.as_micros()).unwrap_or(i64::MAX);
    let lookback = match lookback {
        0 => 0,
        _ => lookback.max(cursor.unit_micros),
    };
    if now.saturating_add(lookback) < watermark {
        return Ok(Again::WentBack);
    }
    let low = now.min(watermark).saturating_sub(lookback);
    if low >= watermark {
        return Ok(Again::Nothing);
    }
    Ok(Again::From {
        low: CursorValue::from_number(kind, low.div_euclid(unit)),
        behind: now < watermark,
    })
}

/// What a cursor would have been `steps` ago; `None` if there is no telling. A month counts as its longest, and so does a
/// year, because looking too far only costs time.
///
/// # Errors
/// The name of a time zone that is not known on this machine.
pub fn ago(
    point: &ReadPoint,
    cursor: &Cursor,
    (steps, unit): (u64, StepUnit),
    settings: &ClockSettings,
) -> Result<Option<CursorValue>, String> {
    let steps = i64::try_from(steps).unwrap_or(i64::MAX);
    let kind = cursor.cursor_type;
    let seconds: i64 = match unit {
        StepUnit::Second => 1,
        StepUnit::Minute => 60,
        StepUnit::Hour => 3_600,
        StepUnit::Day => 86_400,
        StepUnit::Week => 7 * 86_400,
        StepUnit::Month => 31 * 86_400,
        StepUnit::Year => 366 * 86_400,
    };
    let micros = steps.saturating_mul(seconds).saturating_mul(1_000_000);
    let number = match kind {
        CursorType::Integer => match point.cursor_max {
            Some(largest) => largest.saturating_sub(steps),
            None => return Ok(None),
        },
        CursorType::TimestampTz => point.now.as_microsecond().saturating_sub(micros),
        CursorType::Timestamp => wall_clock(point.now, point, settings)?.saturating_sub(micros),
        CursorType::Date => wall_clock(point.now, point, settings)?
            .saturating_sub(micros)
            .div_euclid(MICROS_OF_DAY),
    };
    Ok(Some(CursorValue::from_number(kind, number)))
}

/// What a report says of a cursor without a time zone of its own, if nothing was declared.
#[must_use]
pub fn zone_note(point: &ReadPoint, cursor: &Cursor, settings: &ClockSettings) -> Option<String> {
    let without = matches!(cursor.cursor_type, CursorType::Timestamp | CursorType::Date);
    let taken_as = point.time_zone.as_deref().unwrap_or("the server's");
    (without && settings.time_zone.is_none()).then(|| {
        format!(
            "cursor `{}` has no time zone and is taken as {taken_as}; set `time_zone` if the application stamps another one",
            cursor.source
        )
    })
}

/// Where a delta has to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The first value that is not read; `None` if nothing may be read.
    pub high: Option<CursorValue>,
    /// Whether everything below `high` is certain to be visible, so that the watermark may move there. If not, the
    /// same rows are read again by the next run.
    pub certain: bool,
    /// What the report has to say about it.
    pub notes: Vec<String>,
}

impl Bound {
    /// The value that the watermark may take.
    #[must_use]
    pub fn watermark(&self) -> Option<CursorValue> {
        self.high.filter(|_| self.certain)
    }

    fn held(note: String) -> Self {
        Self {
            high: None,
            certain: false,
            notes: vec![note],
        }
    }
}

/// Joins two looks at a source: the clock of the first and the transactions of the second.
///
/// A server stamps a transaction a moment before it lists it as open. What was stamped before the first look is
/// listed by the time of the second, or visible already.
#[must_use]
pub fn join(first: ReadPoint, second: ReadPoint) -> ReadPoint {
    ReadPoint {
        oldest: second.oldest,
        ..first
    }
}

/// The bound for a cursor of `cursor_type` at `point`.
///
/// `tells_oldest` is the source's capability to tell its oldest transaction, as opposed to whether it did.
///
/// # Errors
/// The name of a time zone that is not known on this machine.
pub fn bound(
    point: &ReadPoint,
    cursor_type: CursorType,
    settings: &ClockSettings,
    tells_oldest: bool,
) -> Result<Bound, String> {
    if let OldestTransaction::Held { reason } = &point.oldest {
        return Ok(Bound::held(format!("the watermark stays where it is: {reason}")));
    }
    if cursor_type == CursorType::Integer {
        return Ok(integer_bound(point, tells_oldest));
    }
    let mut notes = Vec::new();
    let margin = signed(settings.margin);
    let instant = match &point.oldest {
        OldestTransaction::At(began) if *began < point.now => {
            notes.push(format!(
                "a transaction that is open since {began} holds the watermark back"
            ));
            before(*began, margin)
        }
        OldestTransaction::Unknown { reason } => {
            let lag = settings.lag.unwrap_or(DEFAULT_LAG);
            let origin = if settings.lag.is_some() {
                "declared"
            } else {
                "default"
            };
            notes.push(format!(
                "{reason}: rows are read up to {} before now ({origin} `lag`)",
                SignedDuration::try_from(lag).map_or_else(|_| "forever".to_owned(), |lag| format!("{lag:#}"))
            ));
            before(before(point.now, signed(lag)), margin)
        }
        _ => before(point.now, margin),
    };
    let high = match cursor_type {
        CursorType::TimestampTz => CursorValue::TimestampTz(instant.as_microsecond()),
        CursorType::Timestamp => CursorValue::Timestamp(wall_clock(instant, point, settings)?),
        // The day that is not over may still get rows.
        _ => {
            let day = wall_clock(instant, point, settings)?.div_euclid(MICROS_OF_DAY);
            CursorValue::from_number(CursorType::Date, day)
        }
    };
    Ok(Bound {
        high: Some(high),
        certain: true,
        notes,
    })
}

const MICROS_OF_HOUR: i64 = 3_600_000_000;
const MICROS_OF_DAY: i64 = 24 * MICROS_OF_HOUR;

fn integer_bound(point: &ReadPoint, tells_oldest: bool) -> Bound {
    let Some(largest) = point.cursor_max else {
        return Bound::held("no row has a cursor yet".to_owned());
    };
    let Some(high) = largest.checked_add(1) else {
        return Bound::held(
            "the cursor has reached the largest number there is, and cannot be followed further".to_owned(),
        );
    };
    let (certain, note) = match &point.oldest {
        // Whoever took a smaller number had begun by the time the largest one was seen, and has ended since.
        OldestTransaction::At(began) if *began > point.seen_at => (true, None),
        OldestTransaction::At(began) => (
            false,
            Some(format!(
                "a transaction that is open since {began} may still commit smaller numbers: the watermark stays, and \
                 these rows are read again"
            )),
        ),
        // Only one transaction at a time writes to an embedded database, so all numbers up to the largest visible
        // one are visible. A server that cannot tell promises nothing of the kind.
        OldestTransaction::Unknown { reason } if tells_oldest => (
            false,
            Some(format!(
                "{reason}: the watermark of an integer cursor cannot move, and these rows are read again"
            )),
        ),
        _ => (true, None),
    };
    Bound {
        high: Some(CursorValue::Integer(high)),
        certain,
        notes: note.into_iter().collect(),
    }
}

/// The reading of a wall clock at `instant`, in microseconds, that no later stamp falls behind.
fn wall_clock(instant: Timestamp, point: &ReadPoint, settings: &ClockSettings) -> Result<i64, String> {
    if let Some(name) = &settings.time_zone {
        let zone = TimeZone::get(name).map_err(|_| name.clone())?;
        return Ok(reading(&zone, instant));
    }
    let zone = point.time_zone.as_deref();
    let zone = zone.and_then(|name| TimeZone::get(name).ok());
    // One that says something else than the server does is another zone of the same name.
    let zone = zone.filter(|zone| offset(zone, point.now) == point.zone_offset_micros);
    let utc = instant.as_microsecond();
    let local = match zone {
        Some(zone) => reading(&zone, instant),
        // Nobody knows when its clocks go back, but only by how much: an hour.
        None => utc
            .saturating_add(point.zone_offset_micros)
            .saturating_sub(MICROS_OF_HOUR),
    };
    // Nobody said whether the stamps are UTC or local: the earlier reading is safe for both.
    Ok(utc.min(local))
}

/// What clocks of a zone show at `instant`, or what they show after they next go back, if that is earlier: when they
/// do, an hour is stamped twice, and what is stamped later then counts as earlier.
fn reading(zone: &TimeZone, instant: Timestamp) -> i64 {
    let shown = instant.as_microsecond().saturating_add(offset(zone, instant));
    let repeated = zone.following(instant).next().map(|change| {
        let at = change.timestamp();
        at.as_microsecond()
            .saturating_add(i64::from(change.offset().seconds()) * 1_000_000)
    });
    repeated.map_or(shown, |repeated| shown.min(repeated))
}

/// How far clocks of a zone are ahead of UTC, in microseconds.
fn offset(zone: &TimeZone, at: Timestamp) -> i64 {
    i64::from(zone.to_offset(at).seconds()) * 1_000_000
}

fn before(instant: Timestamp, by: SignedDuration) -> Timestamp {
    instant.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
