//! Ages on a command line: `36h`, `7d`, `2w`.

use std::time::Duration;

use pintail_config::units::parse_duration;

/// Reads an age. Days and weeks count 24 and 168 hours: nobody asks how long a day was.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let hours = |unit: char, hours: u64| {
        let number = text.strip_suffix(unit)?.trim().parse::<u64>().ok()?;
        number.checked_mul(hours * 3600).map(Duration::from_secs)
    };
    hours('d', 24)
        .or_else(|| hours('w', 7 * 24))
        .or_else(|| parse_duration(text))
        .ok_or_else(|| "write an age like `36h`, `7d` or `2w`".to_owned())
}

/// An age as it was asked for: in days if it is a number of them.
pub(crate) fn shown(age: Duration) -> String {
    const DAY: u64 = 24 * 3600;
    match age.as_secs() {
        seconds if seconds > 0 && seconds.is_multiple_of(DAY) => format!("{} d", seconds / DAY),
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn days_and_weeks_are_hours() {
        assert_eq!(parse("7d"), Ok(Duration::from_hours(168)));
        assert_eq!(parse("1w"), Ok(Duration::from_hours(168)));
        assert_eq!(parse("90m"), Ok(Duration::from_mins(90)));
        assert!(parse("soon").is_err() && parse("-1d").is_err() && parse("").is_err());
    }
}
