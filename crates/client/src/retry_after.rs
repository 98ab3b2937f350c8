//! The `Retry-After` header.

use std::time::Duration;

use httpdate::parse_http_date;

/// How long to wait: seconds, or the time until a date. A date is measured against the answer's own `Date`,
/// so that clocks need not agree; without one, or in the past, it says nothing.
pub(crate) fn parse(retry_after: &str, date: Option<&str>) -> Option<Duration> {
    let retry_after = retry_after.trim();
    if let Ok(seconds) = retry_after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = parse_http_date(retry_after).ok()?;
    let now = parse_http_date(date?).ok()?;
    then.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_dates() {
        assert_eq!(parse("120", None), Some(Duration::from_secs(120)));
        let date = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(parse("Wed, 21 Oct 2026 07:28:30 GMT", date), Some(Duration::from_secs(30)));
        assert_eq!(parse("Wed, 21 Oct 2026 07:27:00 GMT", date), None);
        assert_eq!(parse("Wed, 21 Oct 2026 07:28:30 GMT", None), None);
        assert_eq!(parse("soon", date), None);
        assert_eq!(parse("-1", date), None);
    }
}
