//! Which part of a file is asked for? Pure; RFC 9110, section 14.

use std::ops::Range;

use http::HeaderMap;
use http::header::{IF_RANGE, RANGE};

use super::Validators;

/// What a `Range` field asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it: no range, several, or one that is malformed or of an older version.
    Whole,
    /// These bytes, at least one.
    Bytes(Range<u64>),
    /// Nothing that the file has.
    Unsatisfiable,
}

/// Finds the part of a file that a GET asks for.
///
/// `If-Range` with another version's tag or date asks for the whole file. Several ranges get the
/// whole file, too: a server may (14.2), and many small overlapping ones are an old attack.
pub(super) fn part(headers: &HeaderMap, file: &Validators, length: u64) -> Part {
    let mut fields = headers.get_all(RANGE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return Part::Whole;
    };
    if !is_of_this_version(headers, file) {
        return Part::Whole;
    }
    let asked = field.to_str().ok().and_then(single);
    asked.map_or(Part::Whole, |asked| asked.of(length))
}

/// Whether there is a range at all, whatever it asks for.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    headers.contains_key(RANGE)
}

/// One range as it is written: both bounds included.
enum Asked {
    From(u64, Option<u64>),
    Last(u64),
}

impl Asked {
    fn of(self, length: u64) -> Part {
        let range = match self {
            Self::From(first, last) => {
                let end = last.map_or(length, |last| last.saturating_add(1).min(length));
                first..end
            }
            Self::Last(count) => length.saturating_sub(count)..length,
        };
        if range.is_empty() {
            Part::Unsatisfiable
        } else {
            Part::Bytes(range)
        }
    }
}

/// Reads `bytes=` and one range; `None` for anything else.
fn single(field: &str) -> Option<Asked> {
    let (unit, range) = field.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    match (first, last) {
        ("", count) => Some(Asked::Last(number(count)?)),
        (first, "") => Some(Asked::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Asked::From(first, Some(last)))
        }
    }
}

/// Reads digits; a number that is too large counts as the largest.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Whether `If-Range` is missing, or names this version (13.1.5: the same strong tag or date).
fn is_of_this_version(headers: &HeaderMap, file: &Validators) -> bool {
    let mut fields = headers.get_all(IF_RANGE).iter();
    let field = match (fields.next(), fields.next()) {
        (None, _) => return true,
        (Some(field), None) => field.as_bytes().trim_ascii(),
        (Some(_), Some(_)) => return false,
    };
    let dated = |date: &http::HeaderValue| date.as_bytes() == field;
    field == file.etag.as_bytes() || file.last_modified.as_ref().is_some_and(dated)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::{HeaderMap, HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::{Part, part};
    use crate::files::Validators;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn file() -> Validators {
        Validators {
            etag: HeaderValue::from_static("\"v1\""),
            last_modified: Some(HeaderValue::from_static(DATE)),
            modified: Some(SystemTime::UNIX_EPOCH),
        }
    }

    fn asked(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        };
        fields.iter().map(field).collect()
    }

    fn check(range: &str, expected: &Part) {
        let headers = asked(&[("range", range)]);
        assert_eq!(part(&headers, &file(), 10), *expected, "{range}");
    }

    #[test]
    fn one_range_of_ten_bytes() {
        check("bytes=0-0", &Part::Bytes(0..1));
        check("bytes=2-4", &Part::Bytes(2..5));
        check("bytes=2-", &Part::Bytes(2..10));
        check("bytes=-3", &Part::Bytes(7..10));
        check("bytes=-30", &Part::Bytes(0..10));
        check("bytes=9-99", &Part::Bytes(9..10));
        check("BYTES = 1-2", &Part::Bytes(1..3));
        check("bytes=0-99999999999999999999999", &Part::Bytes(0..10));
        check("bytes=10-", &Part::Unsatisfiable);
        check("bytes=10-20", &Part::Unsatisfiable);
        check("bytes=-0", &Part::Unsatisfiable);
        check("bytes=99999999999999999999999-", &Part::Unsatisfiable);
    }

    #[test]
    fn what_is_no_single_range_asks_for_the_whole_file() {
        for range in [
            "bytes=0-1,3-4",
            "bytes=4-2",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
            "lines=0-1",
            "0-1",
            "bytes=1-2-3",
            "bytes=0x1-2",
            "",
        ] {
            check(range, &Part::Whole);
        }
        let twice = asked(&[("range", "bytes=0-1"), ("range", "bytes=0-1")]);
        assert_eq!(part(&twice, &file(), 10), Part::Whole);
    }

    #[test]
    fn an_empty_file_has_no_part() {
        let headers = asked(&[("range", "bytes=0-")]);
        assert_eq!(part(&headers, &file(), 0), Part::Unsatisfiable);
    }

    #[test]
    fn if_range_must_name_this_version() {
        for (version, expected) in [
            ("\"v1\"", Part::Bytes(0..2)),
            (DATE, Part::Bytes(0..2)),
            ("\"v0\"", Part::Whole),
            ("W/\"v1\"", Part::Whole),
            ("Sun, 06 Nov 1994 08:49:38 GMT", Part::Whole),
            ("", Part::Whole),
        ] {
            let headers = asked(&[("range", "bytes=0-1"), ("if-range", version)]);
            assert_eq!(part(&headers, &file(), 10), expected, "{version}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_inside_the_file(range in "(bytes=)?[0-9]{0,20}-?[0-9]{0,20}", length: u64) {
            let headers = asked(&[("range", &range)]);
            if let Part::Bytes(bytes) = part(&headers, &file(), length) {
                prop_assert!(bytes.start < bytes.end && bytes.end <= length);
            }
        }

        #[test]
        fn any_field_is_survived(value in prop::collection::vec(any::<u8>(), 0..40), length: u64) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            let headers = HeaderMap::from_iter([(http::header::RANGE, value)]);
            part(&headers, &file(), length);
        }
    }
}
