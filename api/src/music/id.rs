//! The id in an address, in every form in which the original takes it.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use crate::error::Error;

/// The id of a music, or the reason why there can be no such music.
#[derive(Debug)]
pub struct Id(pub Result<i64, Error>);

impl Id {
    fn parse(text: &str) -> Self {
        let text = text.trim();
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self(Err(Error::NotFound));
        }
        // A number that is too large for the column is a number all the same.
        Self(text.parse().map_err(|_| Error::NoMusic))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        // Not UTF-8 is not a number.
        let path = Path::<String>::from_request_parts(parts, state).await;
        Ok(path.map_or(Self(Err(Error::NotFound)), |Path(text)| Self::parse(&text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_the_original_reads_them() {
        for (text, expected) in [
            ("1", 1),
            ("01", 1),
            ("+1", 1),
            (" 1", 1),
            ("-1", -1),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(Id::parse(text).0.ok(), Some(expected), "{text:?}");
        }
        let long = "9".repeat(1500);
        for text in ["9223372036854775808", "-9223372036854775809", &long] {
            assert!(matches!(Id::parse(text).0, Err(Error::NoMusic)), "{text:?}");
        }
        for text in [
            "abc", "", "1.0", "1e0", "0_1", "１", "+", "+ 1", "--1", "0x1", "\0",
        ] {
            assert!(
                matches!(Id::parse(text).0, Err(Error::NotFound)),
                "{text:?}"
            );
        }
    }
}
