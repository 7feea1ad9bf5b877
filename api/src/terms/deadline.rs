//! `X-Request-Deadline`: the moment after which a write must not begin, in Unix milliseconds.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use time::OffsetDateTime;

use crate::error::Error;

/// The header that carries it.
pub const REQUEST_DEADLINE: HeaderName = HeaderName::from_static("x-request-deadline");
/// More digits than this are a moment beyond every calendar.
const DIGITS: usize = 15;

/// Reads the deadline, if there is one.
///
/// One that cannot be read is refused: to ignore it could begin what the sender forbade.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<OffsetDateTime>, Error> {
    let mut sent = headers.get_all(REQUEST_DEADLINE).iter();
    let Some(first) = sent.next() else {
        return Ok(None);
    };
    let text = first.to_str().ok().filter(|_| sent.next().is_none());
    text.and_then(parse).map(Some).ok_or(Error::WrongDeadline)
}

fn parse(text: &str) -> Option<OffsetDateTime> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = text.trim_start_matches('0');
    let milliseconds: i128 = match digits.len() {
        0 => 0,
        1..=DIGITS => digits.parse().ok()?,
        _ => i128::MAX / 1_000_000,
    };
    let latest = OffsetDateTime::new_utc(time::Date::MAX, time::Time::MIDNIGHT);
    Some(OffsetDateTime::from_unix_timestamp_nanos(milliseconds * 1_000_000).unwrap_or(latest))
}

/// Returns the deadline of a write that is begun `now`, with so much time `left` for the database.
///
/// It never lies beyond the time that is left for database work: a statement that waits longer, in the socket
/// of a server that hangs, has nobody left who waits for it.
pub(super) fn earlier(
    given: Option<OffsetDateTime>,
    now: OffsetDateTime,
    left: Duration,
) -> OffsetDateTime {
    let ours = now + left;
    given.map_or(ours, |given| given.min(ours))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_deadline_is_a_number_of_milliseconds() {
        assert_eq!(parse("0"), Some(OffsetDateTime::UNIX_EPOCH));
        assert_eq!(
            parse("1577934245123"),
            Some(datetime!(2020-01-02 03:04:05.123 UTC))
        );
        assert_eq!(parse("0001577934245123"), parse("1577934245123"));
        for wrong in ["", "-1", "+1", "1.5", "1e9", " 1", "soon", "１"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn however_late_it_is_the_time_that_is_left_ends_earlier() {
        let now = datetime!(2020-01-02 03:04:05 UTC);
        let left = Duration::from_millis(700);
        let ours = now + left;
        for far in ["99999999999999", "999999999999999", &"9".repeat(4000)] {
            assert_eq!(earlier(parse(far), now, left), ours, "{far}");
        }
        assert_eq!(earlier(None, now, left), ours);
        let near = datetime!(2020-01-02 03:04:04 UTC);
        assert_eq!(earlier(Some(near), now, left), near);
    }
}
