//! What a header says of the connection, and of where its message ends.

use http::header::{self, HeaderMap, HeaderName};

/// Whether a client asks for its connection to be closed, in whichever `Connection` field.
pub fn asks_to_close(headers: &HeaderMap) -> bool {
    holds(headers, &header::CONNECTION, b"close")
}

/// Whether a request offers to go on as a `WebSocket`.
pub fn asks_for_websocket(headers: &HeaderMap) -> bool {
    holds(headers, &header::UPGRADE, b"websocket")
}

/// Whether `Connection` names `Upgrade`, as it must where that field is meant (RFC 9110, 7.8).
pub fn nominates_upgrade(headers: &HeaderMap) -> bool {
    holds(headers, &header::CONNECTION, b"upgrade")
}

/// Whether a list field holds a name.
fn holds(headers: &HeaderMap, field: &HeaderName, name: &[u8]) -> bool {
    let values = headers.get_all(field).iter();
    let mut names = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    names.any(|given| given.trim_ascii().eq_ignore_ascii_case(name))
}

/// Whether the body of an answer ends by a length, by chunks, or by the end of the connection.
///
/// Another encoding could be passed on, but not so that its end is known.
pub fn is_framing_known(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let first = encodings.next().map(|value| value.as_bytes().trim_ascii());
    first.is_none_or(|value| value.eq_ignore_ascii_case(b"chunked")) && encodings.next().is_none()
}

/// The length of an answer that gives the same one several times: the next reader may not see
/// that they are equal. That they are, is known before an answer comes here.
pub(super) fn repeated_length(headers: &HeaderMap) -> Option<&str> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let first = lengths.next()?.to_str().ok()?;
    let (length, rest) = first.split_once(',').unwrap_or((first, ""));
    (!rest.is_empty() || lengths.next().is_some()).then_some(length.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_chunks_are_understood() {
        for (encodings, known) in [
            (&[][..], true),
            (&["chunked"], true),
            (&["Chunked"], true),
            (&["gzip, chunked"], false),
            (&["gzip"], false),
            (&["identity"], false),
            (&["chunked", "chunked"], false),
        ] {
            let fields: Vec<_> = encodings
                .iter()
                .map(|e| ("transfer-encoding", *e))
                .collect();
            assert_eq!(is_framing_known(&headers(&fields)), known, "{encodings:?}");
        }
    }

    #[test]
    fn close_is_seen_in_any_connection_field() {
        let two = [("connection", "x-a"), ("connection", "keep-alive, Close")];
        assert!(asks_to_close(&headers(&two)));
        assert!(!asks_to_close(&headers(&two[..1])));
    }

    #[test]
    fn offers_of_a_websocket() {
        for (offer, asks) in [
            ("websocket", true),
            ("WebSocket", true),
            ("h2c, websocket", true),
            ("h2c", false),
            ("", false),
        ] {
            assert_eq!(
                asks_for_websocket(&headers(&[("upgrade", offer)])),
                asks,
                "{offer}"
            );
        }
    }
}
