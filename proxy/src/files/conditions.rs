//! Does the client have the file already, or expect another one? Pure; RFC 9110, section 13.

use std::time::SystemTime;

use http::header::{
    HeaderMap, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
};

use super::Validators;

/// What the conditions of a request say about a file that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No condition, or all are met.
    Send,
    /// The client has this version.
    NotModified,
    /// The client wanted another version.
    Failed,
}

/// Weighs the conditions of a GET or HEAD in the order of RFC 9110, section 13.2.2.
pub(super) fn verdict(headers: &HeaderMap, file: &Validators) -> Verdict {
    let etag = file.etag.as_bytes();
    let met = if headers.contains_key(IF_MATCH) {
        names(headers, IF_MATCH, |tag| tag == etag)
    } else {
        is_unchanged_since(headers, IF_UNMODIFIED_SINCE, file) != Some(false)
    };
    if !met {
        return Verdict::Failed;
    }
    let has_it = if headers.contains_key(IF_NONE_MATCH) {
        names(headers, IF_NONE_MATCH, |tag| {
            tag.strip_prefix(b"W/").unwrap_or(tag) == etag
        })
    } else {
        is_unchanged_since(headers, IF_MODIFIED_SINCE, file) == Some(true)
    };
    if has_it {
        Verdict::NotModified
    } else {
        Verdict::Send
    }
}

/// Whether the file is as it was at the date in this field.
///
/// `None` when the field is missing, repeated or no date, or when the file has no date.
fn is_unchanged_since(headers: &HeaderMap, name: HeaderName, file: &Validators) -> Option<bool> {
    let mut fields = headers.get_all(name).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let since: SystemTime = httpdate::parse_http_date(field.to_str().ok()?).ok()?;
    Some(file.modified? <= since)
}

/// Whether the field is `*` or one of its entity tags is wanted.
fn names(headers: &HeaderMap, name: HeaderName, is_wanted: impl Fn(&[u8]) -> bool) -> bool {
    headers.get_all(name).iter().any(|field| {
        let field = field.as_bytes().trim_ascii();
        field == b"*" || tags(field).any(&is_wanted)
    })
}

/// Splits a list of entity tags, `W/` and quotes included; what follows a malformed one is lost.
fn tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|byte| !b", \t".contains(byte))?;
        rest = &rest[start..];
        let opening = if rest.starts_with(b"W/") { 2 } else { 0 };
        if rest.get(opening) != Some(&b'"') {
            return None;
        }
        let closing = rest[opening + 1..].iter().position(|byte| *byte == b'"')?;
        let (tag, after) = rest.split_at(opening + closing + 2);
        rest = after;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::{HeaderMap, HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::{Validators, Verdict, tags, verdict};

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const EXACT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn file(modified: Option<SystemTime>) -> Validators {
        Validators {
            etag: HeaderValue::from_static("\"a,b\""),
            last_modified: None,
            modified,
        }
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    fn check(fields: &[(&'static str, &str)], expected: Verdict) {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let file = file(Some(modified));
        assert_eq!(verdict(&headers(fields), &file), expected, "{fields:?}");
    }

    #[test]
    fn none_match() {
        check(&[], Verdict::Send);
        check(&[("if-none-match", "\"a,b\"")], Verdict::NotModified);
        check(&[("if-none-match", "W/\"a,b\"")], Verdict::NotModified);
        check(&[("if-none-match", "*")], Verdict::NotModified);
        check(&[("if-none-match", " * ")], Verdict::NotModified);
        check(
            &[("if-none-match", "\"x\", W/\"y\",\"a,b\"")],
            Verdict::NotModified,
        );
        check(&[("if-none-match", ", ,\t\"a,b\"")], Verdict::NotModified);
        check(&[("if-none-match", "\"x\"")], Verdict::Send);
        check(&[("if-none-match", "a,b")], Verdict::Send);
        check(&[("if-none-match", "\"a")], Verdict::Send);
        check(&[("if-none-match", "w/\"a,b\"")], Verdict::Send);
        check(&[("if-none-match", "\"x*\"")], Verdict::Send);
        check(&[("if-none-match", "")], Verdict::Send);
        check(
            &[("if-none-match", "\"x\""), ("if-none-match", "\"a,b\"")],
            Verdict::NotModified,
        );
    }

    #[test]
    fn modified_since_counts_only_without_none_match() {
        check(&[("if-modified-since", EXACT)], Verdict::NotModified);
        check(&[("if-modified-since", AFTER)], Verdict::NotModified);
        check(&[("if-modified-since", BEFORE)], Verdict::Send);
        check(
            &[("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")],
            Verdict::NotModified,
        );
        check(
            &[("if-modified-since", "Sun Nov  6 08:49:37 1994")],
            Verdict::NotModified,
        );
        check(&[("if-modified-since", "yesterday")], Verdict::Send);
        check(&[("if-modified-since", "")], Verdict::Send);
        check(
            &[("if-modified-since", AFTER), ("if-modified-since", AFTER)],
            Verdict::Send,
        );
        check(
            &[("if-none-match", "\"x\""), ("if-modified-since", AFTER)],
            Verdict::Send,
        );
        check(
            &[("if-none-match", "\"a,b\""), ("if-modified-since", BEFORE)],
            Verdict::NotModified,
        );
    }

    #[test]
    fn match_is_strong_and_comes_first() {
        check(&[("if-match", "\"a,b\"")], Verdict::Send);
        check(&[("if-match", "*")], Verdict::Send);
        check(&[("if-match", "\"x\", \"a,b\"")], Verdict::Send);
        check(&[("if-match", "W/\"a,b\"")], Verdict::Failed);
        check(&[("if-match", "\"x\"")], Verdict::Failed);
        check(&[("if-match", "nonsense")], Verdict::Failed);
        check(
            &[("if-match", "\"x\""), ("if-none-match", "*")],
            Verdict::Failed,
        );
        check(
            &[("if-match", "\"a,b\""), ("if-none-match", "\"a,b\"")],
            Verdict::NotModified,
        );
        check(
            &[("if-match", "\"a,b\""), ("if-unmodified-since", BEFORE)],
            Verdict::Send,
        );
    }

    #[test]
    fn unmodified_since() {
        check(&[("if-unmodified-since", EXACT)], Verdict::Send);
        check(&[("if-unmodified-since", AFTER)], Verdict::Send);
        check(&[("if-unmodified-since", BEFORE)], Verdict::Failed);
        check(&[("if-unmodified-since", "nonsense")], Verdict::Send);
        check(
            &[("if-unmodified-since", EXACT), ("if-modified-since", EXACT)],
            Verdict::NotModified,
        );
    }

    #[test]
    fn a_file_without_a_date_ignores_dates() {
        for name in ["if-modified-since", "if-unmodified-since"] {
            assert_eq!(
                verdict(&headers(&[(name, AFTER)]), &file(None)),
                Verdict::Send
            );
            assert_eq!(
                verdict(&headers(&[(name, BEFORE)]), &file(None)),
                Verdict::Send
            );
        }
    }

    proptest! {
        #[test]
        fn any_field_is_survived(value in prop::collection::vec(any::<u8>(), 0..80)) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            for name in ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"] {
                let map = HeaderMap::from_iter([(HeaderName::from_static(name), value.clone())]);
                verdict(&map, &file(Some(SystemTime::UNIX_EPOCH)));
            }
        }

        #[test]
        fn a_list_is_split_into_its_tags(list in prop::collection::vec("(W/)?\"[!#-~]{0,6}\"", 0..6)) {
            let joined = list.join(" , ");
            let split: Vec<&[u8]> = tags(joined.as_bytes()).collect();
            prop_assert_eq!(split, list.iter().map(String::as_bytes).collect::<Vec<_>>());
        }
    }
}
