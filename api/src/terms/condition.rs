//! Entity tags: which state of a music an answer shows, and what a request says about it.
//!
//! A tag is made of the row's version and of its age in days, since both show in the JSON. To overwrite a
//! music, the version alone counts: it has not been changed because a day has passed.

use http::header::{AsHeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};

use crate::error::Error;

/// The tag of one state of a music, such as `"731-1577934245123000-0"`. Strong: equal tags, equal JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(String);

/// What must hold of a row for a write to be applied, in versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Its version is one of these; `None`: whatever it is.
    pub only: Option<Vec<String>>,
    /// Its version is none of these; `None`: whatever it is.
    pub unless: Option<Vec<String>>,
}

impl Tag {
    /// Makes the tag of a state.
    #[must_use]
    pub fn new(version: &str, days: i64) -> Self {
        Self(format!("\"{version}-{days}\""))
    }

    /// Returns the tag for an answer.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("\"\""))
    }

    /// Tells whether the client has this state already, by its `If-None-Match`.
    #[must_use]
    pub fn is_known(&self, headers: &HeaderMap) -> bool {
        match list(headers, IF_NONE_MATCH) {
            None => false,
            Some(List::Any) => true,
            // Weakly compared: a state that is as good as this one will do.
            Some(List::Tags(tags)) => tags.iter().any(|tag| tag.opaque == self.0),
        }
    }
}

/// Reads `If-Match` and `If-None-Match` as they concern a write. One that names nothing is refused: whoever sent it
/// meant to name something.
pub(super) fn read(headers: &HeaderMap) -> Result<Condition, Error> {
    for name in [IF_MATCH, IF_NONE_MATCH] {
        let mut lines = headers.get_all(name).iter().peekable();
        let is_blank =
            |line: &HeaderValue| line.as_bytes().iter().all(|byte| b" \t,".contains(byte));
        if lines.peek().is_some() && lines.all(is_blank) {
            return Err(Error::EmptyCondition);
        }
    }
    let only = match list(headers, IF_MATCH) {
        None | Some(List::Any) => None,
        // Strongly compared: a weak tag is like no other.
        Some(List::Tags(tags)) => Some(versions(tags.iter().filter(|tag| !tag.weak))),
    };
    Ok(match list(headers, IF_NONE_MATCH) {
        None => Condition { only, unless: None },
        // "Only if there is none": and of a row that is not there there is nothing to be written.
        Some(List::Any) => Condition {
            only: Some(Vec::new()),
            unless: None,
        },
        Some(List::Tags(tags)) => Condition {
            only,
            unless: Some(versions(tags.iter())),
        },
    })
}

/// What such a header names.
enum List {
    Any,
    Tags(Vec<Named>),
}

/// A tag as a client names it.
struct Named {
    weak: bool,
    /// With its quotes.
    opaque: String,
}

/// Takes the days off, and the quotes.
fn versions<'tags>(tags: impl Iterator<Item = &'tags Named>) -> Vec<String> {
    let version = |tag: &Named| Some(tag.opaque.trim_matches('"').rsplit_once('-')?.0.to_owned());
    tags.filter_map(version).collect()
}

/// Reads a list of tags; what is no tag ends it.
fn list(headers: &HeaderMap, name: impl AsHeaderName) -> Option<List> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    if lines.is_empty() {
        return None;
    }
    let lines = lines
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()));
    let text = lines.collect::<Vec<_>>().join(",");
    if text.trim() == "*" {
        return Some(List::Any);
    }
    let mut tags = Vec::new();
    let mut rest = text.as_str();
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let Some((opaque, after)) = quoted.strip_prefix('"').and_then(|tag| tag.split_once('"'))
        else {
            return Some(List::Tags(tags));
        };
        let opaque = format!("\"{opaque}\"");
        tags.push(Named { weak, opaque });
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &http::HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_state_is_known_by_its_tag_weak_or_strong_or_by_any() {
        let tag = Tag::new("7-8", 2);
        assert_eq!(tag.header(), "\"7-8-2\"");
        let known = |values: &[&str]| tag.is_known(&headers(&IF_NONE_MATCH, values));
        assert!(known(&["\"7-8-2\""]) && known(&["W/\"7-8-2\""]) && known(&[" * "]));
        assert!(known(&["\"a,b\" , W/\"x\",\t\"7-8-2\""]) && known(&["\"x\"", "\"7-8-2\""]));
        assert!(!known(&[]) && !known(&[""]) && !known(&["7-8-2"]) && !known(&["\"7-8-3\""]));
        assert!(!known(&["w/\"7-8-2\""]) && !known(&["\"7-8-2"]) && !known(&["\"x*\""]));
    }

    #[test]
    fn only_the_version_counts_for_a_write() {
        let only = |values: &[&str]| read(&headers(&IF_MATCH, values)).unwrap().only;
        assert_eq!(only(&[]), None);
        assert_eq!(only(&["*"]), None);
        assert_eq!(only(&["\"7-8-2\", \"9-9-0\""]).unwrap(), ["7-8", "9-9"]);
        for matches_nothing in ["W/\"7-8-2\"", "nonsense", "\"x\"", "7-8-2"] {
            assert_eq!(only(&[matches_nothing]), Some(vec![]), "{matches_nothing}");
        }
        for empty in [&[""][..], &[" "], &[",, "], &["", ""]] {
            for name in [IF_MATCH, IF_NONE_MATCH] {
                let refused = read(&headers(&name, empty));
                assert!(matches!(refused, Err(Error::EmptyCondition)), "{empty:?}");
            }
        }
    }

    #[test]
    fn if_none_match_keeps_a_write_from_what_it_names() {
        let condition = |value: &str| read(&headers(&IF_NONE_MATCH, &[value])).unwrap();
        assert_eq!(condition("*").only, Some(vec![]));
        let named = condition("W/\"7-8-2\"");
        assert_eq!(
            (named.only, named.unless),
            (None, Some(vec!["7-8".to_owned()]))
        );
    }
}
