//! `Idempotency-Key`: the name under which a write is applied at most once.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::Error;

/// The header that carries it.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header of an answer that was given before: to an earlier request with the same key.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest key that is taken.
const LONGEST: usize = 255;
/// What the keys begin with that a proxy makes for one request and its retries.
const MINTED: &str = "lb-";
/// How long a key of a client is remembered.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a key of a proxy is remembered: longer than any of its retries.
const MINTED_LIFE: Duration = Duration::from_secs(10 * 60);

/// A key of 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Reads a key; `None` if it cannot be one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let fits = (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        let text = std::str::from_utf8(bytes).ok().filter(|_| fits)?;
        Some(Self(text.to_owned()))
    }

    /// Returns the text of the key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the key for an answer.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static(""))
    }

    /// Tells whether a proxy made it, for one request of a client that knows nothing of keys.
    #[must_use]
    pub fn is_minted(&self) -> bool {
        self.0.starts_with(MINTED)
    }

    /// Returns how long the key is remembered.
    #[must_use]
    pub fn life(&self) -> Duration {
        if self.is_minted() { MINTED_LIFE } else { LIFE }
    }
}

/// Reads the key, if there is one. Two are none that could be honoured.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<Key>, Error> {
    let mut sent = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = sent.next() else {
        return Ok(None);
    };
    let key = Key::parse(first.as_bytes()).filter(|_| sent.next().is_none());
    key.map(Some).ok_or(Error::WrongKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(sent: &[&[u8]]) -> Result<Option<Key>, Error> {
        let mut headers = HeaderMap::new();
        for bytes in sent {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(bytes).unwrap());
        }
        read(&headers)
    }

    #[test]
    fn visible_ascii_is_a_key_and_nothing_else() {
        let longest = [b'k'; LONGEST];
        for good in [b"k".as_slice(), b"\"quoted\"", b"a-b_c:1/2~", &longest] {
            let key = read_all(&[good]).unwrap().unwrap();
            assert_eq!(key.as_str().as_bytes(), good);
            assert_eq!(key.header().as_bytes(), good);
        }
        let too_long = [b'k'; LONGEST + 1];
        for bad in [
            b"".as_slice(),
            b"a b",
            b"a\tb",
            "é".as_bytes(),
            b"\xff",
            &too_long,
        ] {
            assert!(matches!(read_all(&[bad]), Err(Error::WrongKey)), "{bad:?}");
        }
        assert!(matches!(read_all(&[b"a", b"a"]), Err(Error::WrongKey)));
        assert!(read_all(&[]).unwrap().is_none());
    }

    #[test]
    fn a_minted_key_is_forgotten_sooner() {
        let life = |text: &str| Key::parse(text.as_bytes()).unwrap().life();
        assert_eq!(life("lb-1"), MINTED_LIFE);
        assert_eq!(life("LB-1"), LIFE);
        assert_eq!(life("1"), LIFE);
    }
}
