//! What a route asks of a request: a host pattern and a path prefix.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The host of a route: one, or with `*.` in front every name below it, however deep.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPattern {
    /// For `*.example.com` the part after the asterisk.
    name: String,
    wild: bool,
}

impl HostPattern {
    /// Tells whether a request's host, without its port, is meant.
    pub(super) fn accepts(&self, host: &str) -> bool {
        let begin = match host.len().checked_sub(self.name.len()) {
            Some(0) if !self.wild => 0,
            Some(begin) if begin > 0 && self.wild => begin,
            _ => return false,
        };
        host.get(begin..)
            .is_some_and(|end| end.eq_ignore_ascii_case(&self.name))
    }

    /// Tells whether every host that another pattern means is meant by this one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self == other || self.wild && other.name.ends_with(&self.name)
    }

    /// Greater is more specific: one host before many, then the longer name.
    pub(super) fn rank(&self) -> (bool, usize) {
        (!self.wild, self.name.len())
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asterisk = if self.wild { "*" } else { "" };
        write!(f, "{asterisk}{}", self.name)
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_prefix("*.").unwrap_or(&lower);
        let is_name = name.len() <= 253
            && name.split('.').all(|label| {
                !label.is_empty()
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            });
        let is_ipv6 = lower
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
        if !is_name && !is_ipv6 {
            return Err(format!(
                "expected a host without a port such as \"example.com\" or \"*.example.com\", \
                 got {text:?}"
            ));
        }
        let suffix = lower.strip_prefix('*');
        Ok(Self {
            name: suffix.unwrap_or(&lower).to_owned(),
            wild: suffix.is_some(),
        })
    }
}

/// The path of a route: whole segments that a request's path must begin with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// Decoded, none empty; no segment at all is `/`.
    segments: Vec<String>,
}

impl Prefix {
    /// Greater is more specific.
    pub(super) fn rank(&self) -> usize {
        self.segments.len()
    }

    /// Tells whether another prefix has the segments of this one, and more.
    pub(super) fn is_above(&self, other: &Self) -> bool {
        other.segments.len() > self.segments.len() && other.segments.starts_with(&self.segments)
    }

    /// Returns the rest of the path below this prefix, read strictly, if it is one.
    pub(super) fn rest_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        let mut rest = path;
        for wanted in &self.segments {
            let below = rest.strip_prefix('/')?;
            let end = below.find('/').unwrap_or(below.len());
            let segment = &below[..end];
            let is_encoded = segment.contains('%');
            if segment != wanted && !(is_encoded && decoded(segment.as_bytes()).eq(wanted.bytes()))
            {
                return None;
            }
            rest = &below[end..];
        }
        Some(rest).filter(|rest| rest.starts_with('/') || !self.segments.is_empty())
    }

    /// Tells whether a path, read loosely, begins with this prefix.
    pub(super) fn starts(&self, path: &[Vec<u8>]) -> bool {
        path.len() >= self.segments.len()
            && self
                .segments
                .iter()
                .zip(path)
                .all(|(wanted, segment)| wanted.as_bytes() == segment)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.segments.join("/"))
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why| {
            Err(format!(
                "expected a path such as \"/api\", got {text:?}{why}"
            ))
        };
        let Some(below) = text.strip_prefix('/') else {
            return refuse(", which does not begin with a slash");
        };
        if text.contains(|c: char| c.is_control() || "%?#*\\;".contains(c)) {
            return refuse(": it is written decoded, without % ? # * \\ ;");
        }
        let segments: Vec<_> = match below {
            "" => Vec::new(),
            below => below.split('/').map(str::to_owned).collect(),
        };
        match segments
            .iter()
            .find(|s| ["", ".", ".."].contains(&s.as_str()))
        {
            Some(empty) if empty.is_empty() => {
                refuse(": whole segments match, so no slash stands at its end or twice in a row")
            }
            Some(_) => refuse(", which has a dot segment"),
            None => Ok(Self { segments }),
        }
    }
}

/// Drops the port and the dot after a fully qualified name.
pub(crate) fn bare_host(host: &str) -> &str {
    let bare = match host.rfind([':', ']']) {
        Some(colon) if host.as_bytes()[colon] == b':' => &host[..colon],
        _ => host,
    };
    bare.strip_suffix('.').unwrap_or(bare)
}

/// Decodes percent-encodings once; what is no encoding stays as it is.
pub(super) fn decoded(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let hex = |at: usize| char::from(*text.get(at)?).to_digit(16);
    let mut at = 0;
    std::iter::from_fn(move || {
        let &byte = text.get(at)?;
        let pair = (byte == b'%').then(|| Some(hex(at + 1)? << 4 | hex(at + 2)?));
        let (byte, width) = match pair.flatten().and_then(|code| u8::try_from(code).ok()) {
            Some(decoded) => (decoded, 3),
            None => (byte, 1),
        };
        at += width;
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wrong_patterns_are_refused() {
        for host in [
            "", "*", "*.", "a..b", "a b", "a:80", "http://a", "*.*.a", "[::1", "a*", "*a.b",
        ] {
            assert!(host.parse::<HostPattern>().is_err(), "{host}");
        }
        for path in [
            "", "api", "/api/", "//", "/a//b", "/a/../b", "/.", "/a?x", "/a#x", "/%61", "/a*",
            "/a\nb", "/a\\b", "/a;b",
        ] {
            assert!(path.parse::<Prefix>().is_err(), "{path}");
        }
    }

    proptest! {
        /// What was accepted is written as it was read.
        #[test]
        fn patterns_survive_display(
            path in "(/[a-zé.]{1,3}){0,3}",
            host in "(\\*\\.)?[a-z]{1,3}(\\.[a-z]{1,3})?",
        ) {
            if let Ok(prefix) = path.parse::<Prefix>() {
                prop_assert_eq!(prefix.to_string(), path);
            }
            prop_assert_eq!(host.parse::<HostPattern>().unwrap().to_string(), host);
        }

        #[test]
        fn nothing_panics(text in ".{0,40}") {
            let _ = text.parse::<HostPattern>();
            let _ = text.parse::<Prefix>();
            let _ = bare_host(&text);
        }
    }
}
