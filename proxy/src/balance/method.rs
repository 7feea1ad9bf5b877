//! The methods by name, and what a hash goes by.

use std::fmt;

use http::HeaderName;

/// How a server is picked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Method {
    /// Each in its turn, as often as its weight says.
    #[default]
    RoundRobin,
    /// The one with the fewest requests in hand for its weight.
    LeastConnections,
    /// Always the same one for a client's address.
    IpHash,
    /// Always the same one for a key.
    Hash(Key),
    /// The less busy one of two that are drawn.
    RandomTwo,
    /// The one that promises the earliest first byte.
    LeastTime,
}

impl Method {
    /// The names that there are.
    pub const NAMES: [&'static str; 6] = [
        "round-robin",
        "least-connections",
        "ip-hash",
        "hash",
        "random-two",
        "least-time",
    ];

    /// Finds a method by its name; `hash` needs a `key`, and no other takes one.
    ///
    /// The error says in a sentence what was expected.
    pub fn named(name: &str, key: Option<Key>) -> Result<Self, String> {
        let method = match (name, key) {
            ("hash", Some(key)) => return Ok(Self::Hash(key)),
            ("hash", None) => {
                return Err(format!("method \"hash\" needs `hash`: {}", Key::EXPECTED));
            }
            (_, Some(_)) => return Err("`hash` is only for method \"hash\"".to_owned()),
            ("round-robin", None) => Self::RoundRobin,
            ("least-connections", None) => Self::LeastConnections,
            ("ip-hash", None) => Self::IpHash,
            ("random-two", None) => Self::RandomTwo,
            ("least-time", None) => Self::LeastTime,
            _ => {
                let names = Self::NAMES.join("\", \"");
                return Err(format!("expected one of \"{names}\", got {name:?}"));
            }
        };
        Ok(method)
    }

    /// What it hashes, in words.
    pub fn hashed_by(&self) -> Option<String> {
        match self {
            Self::IpHash => Some("client address".to_owned()),
            Self::Hash(key) => Some(key.to_string()),
            Self::RoundRobin | Self::LeastConnections | Self::RandomTwo | Self::LeastTime => None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastConnections => "least-connections",
            Self::IpHash => "ip-hash",
            Self::Hash(_) => "hash",
            Self::RandomTwo => "random-two",
            Self::LeastTime => "least-time",
        }
    }
}

/// What of a request a hash goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A header field.
    Header(HeaderName),
    /// A cookie.
    Cookie(String),
    /// The path, without the query.
    Path,
}

impl Key {
    /// What can be written.
    pub const EXPECTED: &'static str =
        "\"path\", or \"header:NAME\" or \"cookie:NAME\" such as \"header:X-User\"";
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Path => f.write_str("path"),
        }
    }
}

impl std::str::FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let key = match text.split_once(':') {
            None if text == "path" => Some(Self::Path),
            Some(("header", name)) => name.parse().ok().map(Self::Header),
            Some(("cookie", name)) if super::sticky::is_name(name) => {
                Some(Self::Cookie(name.to_owned()))
            }
            _ => None,
        };
        key.ok_or_else(|| format!("expected {}, got {text:?}", Self::EXPECTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in Method::NAMES {
            let key = (name == "hash").then_some(Key::Path);
            assert_eq!(Method::named(name, key).unwrap().name(), name);
        }
        for (name, key) in [
            ("hash", None),
            ("ip-hash", Some(Key::Path)),
            ("fastest", None),
        ] {
            assert!(Method::named(name, key).is_err(), "{name}");
        }
    }

    #[test]
    fn keys() {
        for same in ["path", "header:x-user", "cookie:sid"] {
            assert_eq!(same.parse::<Key>().unwrap().to_string(), same);
        }
        for wrong in [
            "",
            "header:",
            "header:a b",
            "cookie:",
            "cookie:a=b",
            "Path",
            "query:x",
        ] {
            let told = wrong.parse::<Key>().unwrap_err();
            assert!(told.contains("header:NAME"), "{told}");
        }
    }
}
