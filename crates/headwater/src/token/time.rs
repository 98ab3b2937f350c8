//! Times as people write and read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Seconds since 1970.
pub(super) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Reads a duration such as `90s`, `10m`, `1h` or `7d`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no duration: write one such as 90s, 10m, 1h or 7d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    let seconds =
        number.checked_mul(seconds).filter(|&seconds| seconds <= MAX_S).ok_or_else(bad)?;
    Ok(Duration::from_secs(seconds))
}

/// A hundred years.
const MAX_S: u64 = 100 * 366 * 24 * 3600;

/// A claim's date for people: when it is, and how far from now.
pub(super) fn shown(date: f64, now_s: u64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a date that is no date is shown as it is")]
    let seconds = date as i64;
    let Ok(when) = Timestamp::from_second(seconds) else { return format!("{date}") };
    let now = i64::try_from(now_s).unwrap_or(i64::MAX);
    let away = Duration::from_secs(seconds.abs_diff(now));
    let away = match away.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    };
    if seconds > now { format!("{when}, in {away}") } else { format!("{when}, {away} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("1h"), Ok(3600));
        assert_eq!(seconds("7d"), Ok(604_800));
        for bad in ["", "s", "10", "-1s", "1w", "1.5h", "10é", "99999999999999999999s", "40000d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_are_shown_with_their_distance() {
        assert_eq!(shown(1_800_000_060.0, 1_800_000_000), "2027-01-15T08:01:00Z, in 60 s");
        assert_eq!(shown(1_800_000_000.9, 1_800_007_200), "2027-01-15T08:00:00Z, 2 h ago");
        assert_eq!(shown(1e300, 0), format!("{}", 1e300));
    }
}
