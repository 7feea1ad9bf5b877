//! Is this the opening handshake of a `WebSocket`? (RFC 6455, 4.2.1)
//!
//! Pure. [`crate::gateway`] asks it about requests that offer a `WebSocket` on a route which takes
//! them, before a server is picked: what is malformed never gets there.

use http::{HeaderMap, HeaderName, Method, StatusCode, Version, header};

use crate::forward::{asks_for_websocket, nominates_upgrade};

/// The only version that there is.
pub const VERSION: &str = "13";
/// The length of a key: 16 bytes in base64, two of its characters padding.
const KEY_LENGTH: usize = 24;

/// What is wrong with a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Another method than GET.
    Method,
    /// HTTP/1.0, which cannot switch protocols.
    Http10,
    /// `Connection` does not name `Upgrade`.
    NotNominated,
    /// No key, several, or one that is none.
    Key,
    /// A body, which a handshake cannot have.
    Body,
    /// Another version of the protocol, or none.
    Version,
}

impl Fault {
    /// The status for the client: 426 says which version would do.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Method | Self::Http10 | Self::NotNominated | Self::Key | Self::Body => {
                StatusCode::BAD_REQUEST
            }
        }
    }

    /// The fault in a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Method => "A WebSocket is opened with GET.",
            Self::Http10 => "A WebSocket is opened with HTTP/1.1.",
            Self::NotNominated => "The connection field of a WebSocket's handshake names Upgrade.",
            Self::Key => "A WebSocket's handshake has one key, of 16 bytes in base64.",
            Self::Body => "A WebSocket's handshake has no body.",
            Self::Version => "The only version of WebSockets understood here is 13.",
        }
    }
}

/// Judges a request that offers to go on as a `WebSocket`.
pub fn judge(method: &Method, version: Version, headers: &HeaderMap) -> Result<(), Fault> {
    if version < Version::HTTP_11 {
        return Err(Fault::Http10);
    }
    if method != Method::GET {
        return Err(Fault::Method);
    }
    if !nominates_upgrade(headers) {
        return Err(Fault::NotNominated);
    }
    if has_body(headers) {
        return Err(Fault::Body);
    }
    if only(headers, &header::SEC_WEBSOCKET_VERSION) != Some(VERSION.as_bytes()) {
        return Err(Fault::Version);
    }
    if !only(headers, &header::SEC_WEBSOCKET_KEY).is_some_and(is_key) {
        return Err(Fault::Key);
    }
    Ok(())
}

/// Whether an answer of 101 switches to what was offered; `version` is that of the answer.
pub fn is_accepted(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_11
        && asks_for_websocket(headers)
        && nominates_upgrade(headers)
        && headers.contains_key(header::SEC_WEBSOCKET_ACCEPT)
}

/// The value of a field that may stand once only.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.as_bytes().trim_ascii();
    values.next().is_none().then_some(first)
}

fn is_key(key: &[u8]) -> bool {
    let Some(digits) = key.strip_suffix(b"==") else {
        return false;
    };
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == KEY_LENGTH && digits.iter().all(is_digit)
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    headers.contains_key(header::TRANSFER_ENCODING)
        || length.is_some_and(|length| length.as_bytes() != b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    /// The right handshake, with the fields of `change` in place of those of the same name; an
    /// empty value takes the field away.
    fn changed(change: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in RIGHT {
            if !change.iter().any(|(changed, _)| *changed == name) {
                headers.append(name, value.parse().unwrap());
            }
        }
        for (name, value) in change.iter().filter(|(_, value)| !value.is_empty()) {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn handshakes() {
        let key = "sec-websocket-key";
        let version = "sec-websocket-version";
        for (change, expected) in [
            (&[][..], Ok(())),
            (&[("content-length", "0")], Ok(())),
            (&[("connection", "upgrade")], Ok(())),
            (&[("sec-websocket-protocol", "chat")], Ok(())),
            (&[("connection", "")], Err(Fault::NotNominated)),
            (&[("connection", "keep-alive")], Err(Fault::NotNominated)),
            (&[("content-length", "1")], Err(Fault::Body)),
            (&[("transfer-encoding", "chunked")], Err(Fault::Body)),
            (&[(version, "")], Err(Fault::Version)),
            (&[(version, "8")], Err(Fault::Version)),
            (&[(version, "013")], Err(Fault::Version)),
            (&[(version, "13"), (version, "13")], Err(Fault::Version)),
            (&[(key, "")], Err(Fault::Key)),
            (&[(key, "dGhlIHNhbXBsZSBub25jZQ")], Err(Fault::Key)),
            (&[(key, "dGhlIHNhbXBsZSBub25jZ===")], Err(Fault::Key)),
            (&[(key, "dGhlIHNhbXBsZSBub25j Q==")], Err(Fault::Key)),
            (
                &[
                    (key, "dGhlIHNhbXBsZSBub25jZQ=="),
                    (key, "dGhlIHNhbXBsZSBub25jZQ=="),
                ],
                Err(Fault::Key),
            ),
        ] {
            let judged = judge(&Method::GET, Version::HTTP_11, &changed(change));
            assert_eq!(judged, expected, "{change:?}");
        }
        let right = changed(&[]);
        let other = judge(&Method::POST, Version::HTTP_11, &right);
        assert_eq!(other, Err(Fault::Method));
        let old = judge(&Method::GET, Version::HTTP_10, &right);
        assert_eq!(old, Err(Fault::Http10));
    }

    #[test]
    fn answers() {
        let answer = |fields: &[(&'static str, &str)], version| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, value.parse().unwrap());
            }
            is_accepted(version, &headers)
        };
        let right = [
            ("upgrade", "WebSocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        assert!(answer(&right, Version::HTTP_11));
        assert!(!answer(&right, Version::HTTP_10));
        for missing in 0..right.len() {
            let mut fields = right.to_vec();
            fields.remove(missing);
            assert!(!answer(&fields, Version::HTTP_11), "{fields:?}");
        }
        let other = [("upgrade", "h2c"), right[1], right[2]];
        assert!(!answer(&other, Version::HTTP_11));
    }
}
