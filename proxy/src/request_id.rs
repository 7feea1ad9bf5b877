//! The id that ties together what client, proxy and API say of one request.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The field that carries it.
pub const FIELD: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken over from a client.
const LONGEST: usize = 64;

/// The id of one request: made once, and shared by all fields and lines in which it stands.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id of a request of which nothing is known yet.
    pub const NONE: Self = Self(HeaderValue::from_static(""));

    /// The client's id if it is one that can safely be written to a log, else a new one.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(FIELD).iter();
        match (given.next(), given.next()) {
            (Some(id), None) if is_valid(id.as_bytes()) => Self(id.clone()),
            _ => Self::fresh(),
        }
    }

    /// Makes a new id: 32 hexadecimal digits, at random.
    pub fn fresh() -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut id = [0; 32];
        let halves = fastrand::u128(..).to_be_bytes();
        for (pair, byte) in id.chunks_exact_mut(2).zip(halves) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        // Digits and letters can stand in any field.
        HeaderValue::from_bytes(&id).map_or(Self::NONE, Self)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // Only what `is_valid` has let through, or digits and letters.
        self.0.to_str().unwrap_or_default()
    }

    /// The id as the value of a field.
    pub fn as_value(&self) -> &HeaderValue {
        &self.0
    }
}

fn is_valid(id: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"._-".contains(b);
    (1..=LONGEST).contains(&id.len()) && id.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &[&str], kept: bool) {
        let mut headers = HeaderMap::new();
        for id in given {
            headers.append(FIELD, id.parse().unwrap());
        }
        let id = RequestId::of(&headers);
        let id = id.as_str();
        assert_eq!(given.first() == Some(&id), kept, "{given:?} {id}");
        assert!(is_valid(id.as_bytes()));
    }

    #[test]
    fn only_harmless_ids_are_taken_over() {
        check(&["a-Z_0.9"], true);
        check(&["x".repeat(64).as_str()], true);
        check(&["x".repeat(65).as_str()], false);
        check(&[""], false);
        check(&["a b"], false);
        check(&["a\u{e9}"], false);
        check(&["a", "b"], false);
        check(&[], false);
    }

    #[test]
    fn a_new_id_is_32_digits_and_another_one_each_time() {
        let (one, other) = (RequestId::fresh(), RequestId::fresh());
        assert_eq!(one.as_str().len(), 32);
        assert!(one.as_str().bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(one.as_str(), other.as_str());
    }
}
