//! Durations and sizes as people write them: `5m`, `250ms`, `1h 30m`, `64 MiB`.

use std::time::Duration;

pub use bytesize::ByteSize;
use jiff::SignedDuration;

/// Reads a duration: a number with a unit (`ms`, `s`, `m`, `h`, `d` is not one: a day is not always 24 hours),
/// several of them (`1h 30m`), or a plain number of seconds. `None` for anything else and for negative ones.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let signed = match text.parse::<f64>() {
        Ok(seconds) => SignedDuration::try_from_secs_f64(seconds).ok()?,
        Err(_) => text.parse().ok()?,
    };
    Duration::try_from(signed).ok()
}

/// Reads a size: a number of bytes, or a number with a unit, `MiB` counting in 1024 and `MB` in 1000.
#[must_use]
pub fn parse_size(text: &str) -> Option<ByteSize> {
    let text = text.trim();
    let size: ByteSize = text.parse().ok()?;
    // The crate reads a bare `.` as a number and lets sizes beyond 64 bits saturate.
    (text.starts_with(|letter: char| letter.is_ascii_digit()) && size.as_u64() < u64::MAX).then_some(size)
}

/// Reads what may pass in a second: a size, with `/s` behind it or without. `None` for less than 1 KiB, too: nothing
/// could be read with that.
#[must_use]
pub fn parse_bandwidth(text: &str) -> Option<ByteSize> {
    let text = text.trim();
    let size = parse_size(text.strip_suffix("/s").unwrap_or(text))?;
    (size.as_u64() >= 1024).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::{parse_bandwidth, parse_duration, parse_size};

    #[test]
    fn bandwidths_are_sizes_in_a_second() {
        let check = |text: &str, bytes: Option<u64>| {
            assert_eq!(parse_bandwidth(text).map(|size| size.as_u64()), bytes, "{text}");
        };
        check("10 MiB/s", Some(10 << 20));
        check("10 MiB", Some(10 << 20));
        check("1 KiB/s", Some(1024));
        for bad in ["", "/s", "10 MiB/min", "1023", "0"] {
            check(bad, None);
        }
    }

    #[test]
    fn durations_carry_a_unit_or_are_seconds() {
        let check = |text: &str, millis: Option<u128>| {
            assert_eq!(
                parse_duration(text).map(|duration| duration.as_millis()),
                millis,
                "{text}"
            );
        };
        check("5m", Some(300_000));
        check("250ms", Some(250));
        check("2h", Some(7_200_000));
        check("1h 30m", Some(5_400_000));
        check("1.5s", Some(1_500));
        check("30", Some(30_000));
        check("0", Some(0));
        for bad in ["", "m", "5 parsecs", "-5m", "-1", "inf", "NaN", "1e400"] {
            check(bad, None);
        }
    }

    #[test]
    fn sizes_carry_a_unit_or_are_bytes() {
        let check = |text: &str, bytes: Option<u64>| {
            assert_eq!(parse_size(text).map(|size| size.as_u64()), bytes, "{text}");
        };
        check("64 MiB", Some(64 << 20));
        check("64MiB", Some(64 << 20));
        check("1.5 GiB", Some(3 << 29));
        check("2 GB", Some(2_000_000_000));
        check("4096", Some(4096));
        for bad in ["", "MiB", "64 furlongs", "-1", ".", "99999999999999999999"] {
            check(bad, None);
        }
    }
}
