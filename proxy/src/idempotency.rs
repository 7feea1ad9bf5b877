//! Idempotency keys: what makes a write repeatable.
//!
//! Pure: a route says what it makes of keys, a request what it carries. A server that honours keys
//! answers a repeated write with the answer that it gave before; so such a write may be sent again
//! like a read. Whether its servers do, only whoever writes the configuration can know.

use http::{HeaderMap, Method};

/// The field that carries a key.
pub const FIELD: &str = "idempotency-key";
/// How keys begin that the proxy has made.
const MINTED: &str = "lb-";

/// What a route makes of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Idempotency {
    /// They are passed on and change nothing.
    #[default]
    Off,
    /// A write that a client gave a key is repeatable.
    Honour,
    /// The same, and a write without a key is given one.
    Mint,
}

/// What is known of a request's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// None that counts.
    None,
    /// The client has sent one.
    Given,
    /// The proxy has made this one, to be sent with every try.
    Minted(String),
}

impl Key {
    /// Finds, or makes, the key of a request.
    pub fn of(route: Idempotency, method: &Method, headers: &HeaderMap) -> Self {
        if route == Idempotency::Off || is_read(method) {
            return Self::None;
        }
        let mut given = headers.get_all(FIELD).iter();
        match (given.next(), given.next()) {
            (Some(key), None) if !key.as_bytes().trim_ascii().is_empty() => Self::Given,
            (None, _) if route == Idempotency::Mint => {
                Self::Minted(format!("{MINTED}{:032x}", fastrand::u128(..)))
            }
            // What a server makes of an empty key, or of two, nobody knows.
            _ => Self::None,
        }
    }

    /// Whether there is one.
    pub fn is_some(&self) -> bool {
        *self != Self::None
    }

    /// The key, if the proxy has made it.
    pub fn minted(&self) -> Option<&str> {
        match self {
            Self::Minted(key) => Some(key),
            Self::None | Self::Given => None,
        }
    }
}

/// Whether a method never writes (RFC 9110, 9.2.1).
pub fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(route: Idempotency, method: &Method, given: &[&'static str]) -> Key {
        let mut headers = HeaderMap::new();
        for key in given {
            headers.append(FIELD, key.parse().unwrap());
        }
        Key::of(route, method, &headers)
    }

    #[test]
    fn a_client_s_key_counts_where_it_is_honoured() {
        assert_eq!(key(Idempotency::Off, &Method::POST, &["a"]), Key::None);
        for route in [Idempotency::Honour, Idempotency::Mint] {
            assert_eq!(key(route, &Method::POST, &["a"]), Key::Given);
            assert_eq!(key(route, &Method::GET, &["a"]), Key::None);
            for doubtful in [&[""] as &[_], &["a", "b"], &["a", "a"]] {
                assert_eq!(key(route, &Method::POST, doubtful), Key::None);
            }
        }
    }

    #[test]
    fn a_key_is_made_for_writes_without_one() {
        let mint = |method: &Method| key(Idempotency::Mint, method, &[]);
        for method in [Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
            let (one, two) = (mint(&method), mint(&method));
            assert!(
                one.minted()
                    .is_some_and(|key| key.len() == 35 && key.starts_with("lb-"))
            );
            assert_ne!(one, two);
        }
        assert_eq!(mint(&Method::GET), Key::None);
        assert_eq!(key(Idempotency::Honour, &Method::POST, &[]), Key::None);
    }
}
