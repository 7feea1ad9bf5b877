//! Reads the `Authorization` header, and says in the words of the original what is wrong with it. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The name or the password is wrong, and which of them is not said.
pub const WRONG_PASSWORD: &str = "Invalid username/password.";
/// There is no such token.
pub const WRONG_TOKEN: &str = "Invalid token.";
/// The account was switched off.
pub const INACTIVE: &str = "User inactive or deleted.";

/// What a client shows to be let in. Has no `Debug`, because it holds secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// None, or of a scheme that is not known here.
    None,
    /// `Basic`.
    Basic {
        /// The name of an account.
        name: String,
        /// Its password.
        password: String,
    },
    /// `Token`.
    Token(String),
}

/// Reads the credentials of a request; `Err` holds what the client is told.
pub fn read(headers: &HeaderMap) -> Result<Credentials, &'static str> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(Credentials::None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let mut words = text.split_ascii_whitespace();
    let scheme = words.next().unwrap_or_default().to_ascii_lowercase();
    let word = words.next();
    let more = words.next().is_some();
    match (scheme.as_str(), word) {
        ("basic", None) => Err("Invalid basic header. No credentials provided."),
        ("basic", Some(_)) if more => {
            Err("Invalid basic header. Credentials string should not contain spaces.")
        }
        ("basic", Some(word)) => {
            basic(word).ok_or("Invalid basic header. Credentials not correctly base64 encoded.")
        }
        ("token", None) => Err("Invalid token header. No credentials provided."),
        ("token", Some(_)) if more => {
            Err("Invalid token header. Token string should not contain spaces.")
        }
        ("token", Some(word)) => Ok(Credentials::Token(word.to_owned())),
        _ => Ok(Credentials::None),
    }
}

fn basic(word: &str) -> Option<Credentials> {
    let bytes = STANDARD.decode(word).ok()?;
    // What is not UTF-8 is Latin-1, as the original reads it.
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect());
    let (name, password) = text.split_once(':').unwrap_or((&text, ""));
    Some(Credentials::Basic {
        name: name.to_owned(),
        password: password.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[expect(clippy::needless_pass_by_value, reason = "the cases read better")]
    fn check(sent: &[u8], expected: Result<Credentials, &str>) {
        let value = HeaderValue::from_bytes(sent).unwrap();
        let found = read(&HeaderMap::from_iter([(AUTHORIZATION, value)]));
        assert!(found == expected, "{}", String::from_utf8_lossy(sent));
    }

    #[test]
    fn credentials_are_read_and_faults_are_named() {
        let basic = |name: &str, password: &str| {
            Ok(Credentials::Basic {
                name: name.into(),
                password: password.into(),
            })
        };
        check(
            b"Basic YWRtaW46cGFzc3dvcmQxMjM=",
            basic("admin", "password123"),
        );
        check(
            b"basic  YWRtaW46cGFzc3dvcmQxMjM=",
            basic("admin", "password123"),
        );
        check(b"Basic YTpiOmM=", basic("a", "b:c"));
        check(b"Basic YQ==", basic("a", ""));
        check(b"Basic YTrp", basic("a", "é"));
        check(b"Token abc", Ok(Credentials::Token("abc".into())));
        check(b"Bearer abc", Ok(Credentials::None));
        check(b"", Ok(Credentials::None));
        check(
            b"Basic",
            Err("Invalid basic header. No credentials provided."),
        );
        check(
            b"Basic a b",
            Err("Invalid basic header. Credentials string should not contain spaces."),
        );
        for odd in [&b"Basic !!!"[..], b"Basic YQ", b"Basic \xe9"] {
            check(
                odd,
                Err("Invalid basic header. Credentials not correctly base64 encoded."),
            );
        }
        check(
            b"Token",
            Err("Invalid token header. No credentials provided."),
        );
        check(
            b"Token a b",
            Err("Invalid token header. Token string should not contain spaces."),
        );
        assert!(read(&HeaderMap::new()) == Ok(Credentials::None));
    }
}
