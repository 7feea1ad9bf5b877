//! Does a connection without TLS begin as HTTP/2 does? (RFC 9113, 3.4)
//!
//! Pure. [`super::Front`] asks as the first bytes arrive.

/// What a client sends first that knows without asking that HTTP/2 is spoken here.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether these are the first bytes of HTTP/2; `None` when more of them must tell.
pub(super) fn is_http2(bytes: &[u8]) -> Option<bool> {
    let seen = bytes.len().min(PREFACE.len());
    if bytes[..seen] != PREFACE[..seen] {
        return Some(false);
    }
    (seen == PREFACE.len()).then_some(true)
}

#[cfg(test)]
mod tests {
    use super::{PREFACE, is_http2};

    #[test]
    fn only_the_whole_preface_is_http2() {
        for end in 0..PREFACE.len() {
            assert_eq!(is_http2(&PREFACE[..end]), None);
            let mut wrong = PREFACE[..=end].to_vec();
            wrong[end] ^= 1;
            assert_eq!(is_http2(&wrong), Some(false));
        }
        assert_eq!(is_http2(PREFACE), Some(true));
        assert_eq!(is_http2(&[PREFACE, b"more"].concat()), Some(true));
        for other in ["GET / HTTP/1.0\r\n\r\n", "PRI / HTTP/1.1\r\n", "PUT"] {
            assert_eq!(is_http2(other.as_bytes()), Some(false));
        }
    }
}
