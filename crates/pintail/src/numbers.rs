//! Numbers as people read them.

use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};

/// `1,204,331`
pub(crate) fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// `1 row`, `1,204,331 rows`
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number))
}

/// `24.10 MiB`
pub(crate) fn bytes(number: u64) -> String {
    HumanBytes(number).to_string()
}

/// `310 ms`, `12.4 s`, `3 min 05 s`, `2 h 07 min`
pub(crate) fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    if seconds < 0.9995 {
        format!("{:.0} ms", seconds * 1000.0)
    } else if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} min", whole / 3600, whole / 60 % 60)
    }
}

/// As [`seconds`].
pub(crate) fn duration(duration: Duration) -> String {
    seconds(duration.as_secs_f64())
}
