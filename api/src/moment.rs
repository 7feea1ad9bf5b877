//! A moment as the original writes it: RFC 3339 in UTC, with microseconds unless there are none.

use time::{OffsetDateTime, UtcOffset};

/// Writes a moment of the years 0 to 9999, which are those that the tables take.
pub(crate) fn write(out: &mut Vec<u8>, moment: OffsetDateTime) {
    let moment = moment.to_offset(UtcOffset::UTC);
    write_seconds(out, moment);
    if moment.microsecond() > 0 {
        write_micros(out, moment.microsecond());
    }
    out.push(b'Z');
}

/// Writes a moment with its microseconds even where there are none, as lines of a log have it.
pub(crate) fn write_in_full(out: &mut Vec<u8>, moment: OffsetDateTime) {
    let moment = moment.to_offset(UtcOffset::UTC);
    write_seconds(out, moment);
    write_micros(out, moment.microsecond());
    out.push(b'Z');
}

fn write_seconds(out: &mut Vec<u8>, moment: OffsetDateTime) {
    let (year, month, day) = moment.to_calendar_date();
    let year = u32::try_from(year).unwrap_or(0);
    let two = |number: u8| digits(u32::from(number));
    let [y1, y2] = digits(year / 100);
    let [y3, y4] = digits(year);
    let [m1, m2] = two(u8::from(month));
    let [d1, d2] = two(day);
    let [h1, h2] = two(moment.hour());
    let [i1, i2] = two(moment.minute());
    let [s1, s2] = two(moment.second());
    out.extend_from_slice(&[
        y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2,
    ]);
}

fn write_micros(out: &mut Vec<u8>, micros: u32) {
    let [a1, a2] = digits(micros / 10_000);
    let [b1, b2] = digits(micros / 100);
    let [c1, c2] = digits(micros);
    out.extend_from_slice(&[b'.', a1, a2, b1, b2, c1, c2]);
}

/// Returns the last two digits of a number.
fn digits(number: u32) -> [u8; 2] {
    // Both are single digits.
    [number / 10 % 10, number % 10].map(|digit| b'0' + digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::{datetime, format_description};

    fn written(moment: OffsetDateTime) -> String {
        let mut out = Vec::new();
        write(&mut out, moment);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn moments_are_written_as_the_original_writes_them() {
        for (moment, expected) in [
            (
                datetime!(2020-01-02 11:04:05.123 +8),
                "2020-01-02T03:04:05.123000Z",
            ),
            (datetime!(2020-01-02 03:04:05 UTC), "2020-01-02T03:04:05Z"),
            (
                datetime!(0001-01-01 00:00:00.000001 UTC),
                "0001-01-01T00:00:00.000001Z",
            ),
            (
                datetime!(9999-12-31 23:59:59.999999 UTC),
                "9999-12-31T23:59:59.999999Z",
            ),
        ] {
            assert_eq!(written(moment), expected);
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_written_as_its_format_says(
            seconds in -62_135_596_800_i64..253_402_300_800,
            micros in prop_oneof![Just(0_i64), 0..1_000_000_i64],
        ) {
            let moment = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let moment = moment + time::Duration::microseconds(micros);
            let format = if micros == 0 {
                format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z")
            } else {
                format_description!(
                    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
                )
            };
            prop_assert_eq!(written(moment), moment.format(format).unwrap());
            let mut in_full = Vec::new();
            write_in_full(&mut in_full, moment);
            prop_assert_eq!(in_full.len(), "2020-01-02T03:04:05.123456Z".len());
        }
    }
}
