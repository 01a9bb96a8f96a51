//! Values of the column that a delta follows, kept with full precision and with their type.

use std::fmt;

use jiff::{SignedDuration, Timestamp, civil};
use serde::{Deserialize, Serialize};

/// The type of a cursor column. A watermark is only valid for the type that it was read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CursorType {
    /// Integer of up to 64 bits: a sequence or version number.
    Integer,
    /// Calendar day.
    Date,
    /// Date and time without a zone.
    Timestamp,
    /// Instant.
    TimestampTz,
}

impl CursorType {
    /// Whether the values are points in time, which can be compared with a clock.
    #[must_use]
    pub fn temporal(self) -> bool {
        self != Self::Integer
    }
}

impl fmt::Display for CursorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "integer",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamp_tz",
        })
    }
}

/// One value of a cursor column: the type and a number in that type's own unit, so that order is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CursorValue {
    /// The number itself.
    Integer(i64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01 00:00:00, without a zone.
    Timestamp(i64),
    /// Microseconds since 1970-01-01 00:00:00 UTC.
    TimestampTz(i64),
}

impl CursorValue {
    /// The type of the value.
    #[must_use]
    pub fn cursor_type(self) -> CursorType {
        match self {
            Self::Integer(_) => CursorType::Integer,
            Self::Date(_) => CursorType::Date,
            Self::Timestamp(_) => CursorType::Timestamp,
            Self::TimestampTz(_) => CursorType::TimestampTz,
        }
    }

    /// The value as a plain number of its unit.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Integer(number) | Self::Timestamp(number) | Self::TimestampTz(number) => number,
            Self::Date(days) => i64::from(days),
        }
    }

    /// A value of `cursor_type` from a number of its unit; days beyond 32 bits are cut to the nearest.
    #[must_use]
    pub fn from_number(cursor_type: CursorType, number: i64) -> Self {
        match cursor_type {
            CursorType::Integer => Self::Integer(number),
            CursorType::Timestamp => Self::Timestamp(number),
            CursorType::TimestampTz => Self::TimestampTz(number),
            CursorType::Date => {
                Self::Date(i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX }))
            }
        }
    }

    /// The value as it is written in SQL literals and shown to people. Lossless: see [`CursorValue::parse`].
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Integer(number) => number.to_string(),
            Self::Date(days) => {
                (civil::date(1970, 1, 1) + SignedDuration::from_hours(24 * i64::from(days))).to_string()
            }
            Self::Timestamp(micros) => date_time(micros),
            Self::TimestampTz(micros) => format!("{}+00", date_time(micros)),
        }
    }

    /// Reads what [`CursorValue::text`] writes; `None` if the text is not of that form.
    #[must_use]
    pub fn parse(cursor_type: CursorType, text: &str) -> Option<Self> {
        match cursor_type {
            CursorType::Integer => text.parse().ok().map(Self::Integer),
            CursorType::Date => {
                let day: civil::Date = text.parse().ok()?;
                let days = civil::date(1970, 1, 1).until(day).ok()?.get_days();
                Some(Self::Date(days))
            }
            CursorType::Timestamp => parse_date_time(text).map(Self::Timestamp),
            CursorType::TimestampTz => parse_date_time(text.strip_suffix("+00")?).map(Self::TimestampTz),
        }
    }

    /// The instant of a temporal value, its zone taken as UTC; `None` for integers.
    #[must_use]
    pub fn instant(self) -> Option<Timestamp> {
        match self {
            Self::Integer(_) => None,
            Self::Date(days) => Timestamp::from_second(i64::from(days) * 86_400).ok(),
            Self::Timestamp(micros) | Self::TimestampTz(micros) => Timestamp::from_microsecond(micros).ok(),
        }
    }
}

impl fmt::Display for CursorValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

fn date_time(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    let fraction = micros.rem_euclid(1_000_000);
    let at = civil::date(1970, 1, 1)
        .at(0, 0, 0, 0)
        .saturating_add(SignedDuration::from_secs(seconds));
    format!("{}.{fraction:06}", at.strftime("%Y-%m-%d %H:%M:%S"))
}

fn parse_date_time(text: &str) -> Option<i64> {
    let at: civil::DateTime = text.replacen(' ', "T", 1).parse().ok()?;
    let since = at.duration_since(civil::date(1970, 1, 1).at(0, 0, 0, 0));
    i64::try_from(since.as_micros()).ok()
}

#[cfg(test)]
mod tests {
    use super::{CursorType, CursorValue};

    #[test]
    fn text_forms_are_lossless() {
        let check = |value: CursorValue, text: &str| {
            assert_eq!(value.text(), text);
            assert_eq!(
                CursorValue::parse(value.cursor_type(), text),
                Some(value),
                "{text}"
            );
        };
        check(CursorValue::Integer(i64::MIN), "-9223372036854775808");
        check(CursorValue::Date(0), "1970-01-01");
        check(CursorValue::Date(-1), "1969-12-31");
        check(CursorValue::Timestamp(-1), "1969-12-31 23:59:59.999999");
        check(
            CursorValue::TimestampTz(1_705_327_200_123_456),
            "2024-01-15 14:00:00.123456+00",
        );
        assert_eq!(
            CursorValue::parse(CursorType::TimestampTz, "2024-01-15 14:00:00"),
            None
        );
    }
}
