//! A moment as it is written in logs and answers: RFC 3339, in UTC, with milliseconds.
//!
//! Pure. Every line of the access log has one, so it is written by a few divisions, straight into
//! the line.

use std::time::{Duration, SystemTime};

/// From 1 March of the year 0 to the beginning of Unix time.
const DAYS_BEFORE_1970: u64 = 719_468;
/// The days of 400 years, after which the calendar repeats itself.
const DAYS_OF_ERA: u64 = 146_097;
const SECONDS_OF_DAY: u64 = 86_400;

/// A moment in words.
pub fn timestamp(at: SystemTime) -> String {
    let mut text = Vec::with_capacity(24);
    write(&mut text, at);
    String::from_utf8(text).unwrap_or_default()
}

/// Writes a moment; one before 1970 is written as the beginning of 1970.
pub fn write(out: &mut Vec<u8>, at: SystemTime) {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let (days, second) = (
        since.as_secs() / SECONDS_OF_DAY,
        since.as_secs() % SECONDS_OF_DAY,
    );
    let (year, month, day) = date(days);
    digits::<4>(out, year);
    for (before, number) in [
        (b'-', month),
        (b'-', day),
        (b'T', second / 3600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ] {
        out.push(before);
        digits::<2>(out, number);
    }
    out.push(b'.');
    digits::<3>(out, u64::from(since.subsec_millis()));
    out.push(b'Z');
}

/// The date of a day since the beginning of Unix time, in the Gregorian calendar.
///
/// Years are counted from 1 March, so that the day that some years have more comes last.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + DAYS_BEFORE_1970;
    let (era, day) = (day / DAYS_OF_ERA, day % DAYS_OF_ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next_year, month, day)
}

/// Writes the last so many digits of a number.
fn digits<const COUNT: usize>(out: &mut Vec<u8>, mut number: u64) {
    let mut text = [b'0'; COUNT];
    for digit in text.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(seconds: u64, millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis)
    }

    #[test]
    fn moments_are_written_in_utc() {
        for (at, expected) in [
            (after(86_400, 42), "1970-01-02T00:00:00.042Z"),
            (after(0, 0), "1970-01-01T00:00:00.000Z"),
            (after(951_782_399, 999), "2000-02-28T23:59:59.999Z"),
            (after(951_782_400, 0), "2000-02-29T00:00:00.000Z"),
            (after(1_709_251_199, 0), "2024-02-29T23:59:59.000Z"),
            (after(4_107_542_400, 0), "2100-03-01T00:00:00.000Z"),
            (
                SystemTime::UNIX_EPOCH - Duration::from_secs(1),
                "1970-01-01T00:00:00.000Z",
            ),
        ] {
            assert_eq!(timestamp(at), expected);
        }
    }

    proptest! {
        /// The date that another hand writes of the same moment.
        #[test]
        fn the_calendar_is_right(seconds in 0..253_402_300_799u64, millis in 0..1000u64) {
            let other = httpdate::fmt_http_date(after(seconds, 0));
            let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
            let month = months.find(&other[8..11]).unwrap() / 3 + 1;
            let (day, year, time) = (&other[5..7], &other[12..16], &other[17..25]);
            let expected = format!("{year}-{month:02}-{day}T{time}.{millis:03}Z");
            prop_assert_eq!(timestamp(after(seconds, millis)), expected);
        }
    }
}
