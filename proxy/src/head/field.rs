//! The fields of a head, and what they say of host, body and expectations.

use std::net::Ipv6Addr;
use std::ops::Range;

use http::StatusCode;

use super::{Broken, Framing, bad, is_token};

/// Names that the `Connection` fields may hold together: with more, Pingora breaks off a try.
const MOST_NOMINATIONS: usize = 9;
/// Names that they may not hold: what means something to the server, or decides whether a request
/// may be sent again, is not for a client to have taken off on the way (RFC 9110, 7.6.1).
const ESSENTIAL: [&[u8]; 21] = [
    b"authorization",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"cookie",
    b"forwarded",
    b"host",
    b"idempotency-key",
    b"if-match",
    b"if-modified-since",
    b"if-none-match",
    b"if-range",
    b"if-unmodified-since",
    b"origin",
    b"range",
    b"sec-fetch-site",
    b"transfer-encoding",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-request-id",
];

/// What was seen of the fields that matter here.
#[derive(Debug, Default)]
pub(super) struct Fields {
    count: usize,
    hosts: usize,
    host: Range<usize>,
    nominations: usize,
    length: Option<u64>,
    /// The length is written more than once, or with more than its digits.
    length_is_unusual: bool,
    encodings: usize,
    chunked: bool,
    other_expectation: bool,
}

impl Fields {
    /// Takes in the field line that begins at `start` of the head.
    pub(super) fn add(&mut self, line: &[u8], start: usize, limit: usize) -> Result<(), Broken> {
        self.count += 1;
        if self.count > limit {
            return Err((
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The head of the request has too many fields.",
            ));
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(bad("A field is folded over two lines."));
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let Some(colon) = colon else {
            return Err(bad("A field has no colon."));
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(bad("The name of a field is not a token."));
        }
        // All bytes are looked at, many at once: mostly none of them is found.
        let is_control = |byte: u8| byte != b'\t' && (byte < b' ' || byte == 0x7f);
        if value
            .iter()
            .fold(false, |found, &byte| found | is_control(byte))
        {
            return Err(bad("A field holds a control character."));
        }
        self.note(name, value, start + colon + 1)
    }

    fn note(&mut self, name: &[u8], value: &[u8], value_at: usize) -> Result<(), Broken> {
        let trimmed = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
            let leading = value.len() - value.trim_ascii_start().len();
            self.host = value_at + leading..value_at + leading + trimmed.len();
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.note_length(trimmed)?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.encodings += 1;
            self.chunked = trimmed.eq_ignore_ascii_case(b"chunked");
        } else if name.eq_ignore_ascii_case(b"connection") {
            self.note_nominations(trimmed)?;
        } else if name.eq_ignore_ascii_case(b"expect") {
            self.other_expectation |= !trimmed.eq_ignore_ascii_case(b"100-continue");
        }
        Ok(())
    }

    /// A length may be repeated, in one field or in several, if it is always the same.
    fn note_length(&mut self, value: &[u8]) -> Result<(), Broken> {
        let is_plain = value == b"0" || value.first() != Some(&b'0') && !value.contains(&b',');
        self.length_is_unusual |= self.length.is_some() || !is_plain;
        for number in value.split(|&byte| byte == b',') {
            let length = number_of(number.trim_ascii())
                .ok_or_else(|| bad("The content length is not a number."))?;
            if self.length.is_some_and(|known| known != length) {
                return Err(bad("The content length is given twice, and differs."));
            }
            self.length = Some(length);
        }
        Ok(())
    }

    /// Fields that decide who a request is from, where it goes or where it ends cannot be declared
    /// to concern one connection only: whoever removed them would read another request.
    fn note_nominations(&mut self, value: &[u8]) -> Result<(), Broken> {
        let nominations = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        for name in nominations.filter(|name| !name.is_empty()) {
            self.nominations += 1;
            if self.nominations > MOST_NOMINATIONS {
                return Err(bad("The connection field nominates too many fields."));
            }
            if !name.iter().copied().all(is_token) {
                return Err(bad(
                    "The connection field nominates what is not a field name.",
                ));
            }
            if ESSENTIAL.iter().any(|e| name.eq_ignore_ascii_case(e)) {
                return Err(bad(
                    "The connection field nominates a field that must be passed on.",
                ));
            }
        }
        Ok(())
    }

    /// Returns the length in digits, if what the client wrote is not passed on as it stands.
    ///
    /// A list or a repetition of one length would be for the next server to make sense of (RFC
    /// 9110, 8.6), and some take the first, some none.
    pub(super) fn corrected_length(&self) -> Option<u64> {
        self.length.filter(|_| self.length_is_unusual)
    }

    /// HTTP/1.1 asks for exactly one host, HTTP/1.0 for one at most (RFC 9112, 3.2).
    pub(super) fn check_host(&self, bytes: &[u8], is_http_1_0: bool) -> Result<(), Broken> {
        match self.hosts {
            0 if is_http_1_0 => Ok(()),
            0 => Err(bad("The request names no host.")),
            1 if is_host(&bytes[self.host.clone()]) => Ok(()),
            1 => Err(bad("The host is malformed.")),
            _ => Err(bad("The request names more than one host.")),
        }
    }

    pub(super) fn framing(&self, is_http_1_0: bool) -> Result<Framing, Broken> {
        match (self.encodings, self.length) {
            (0, None | Some(0)) => Ok(Framing::None),
            (0, Some(length)) => Ok(Framing::Length(length)),
            (_, Some(_)) => Err(bad("The body has a length and a transfer encoding.")),
            _ if is_http_1_0 => Err(bad("HTTP/1.0 knows no transfer encoding.")),
            (1, None) if self.chunked => Ok(Framing::Chunked),
            _ => Err((
                StatusCode::NOT_IMPLEMENTED,
                "The only transfer encoding understood here is chunked, once.",
            )),
        }
    }

    pub(super) fn check_expect(&self, is_http_1_0: bool) -> Result<(), Broken> {
        if self.other_expectation && !is_http_1_0 {
            return Err((
                StatusCode::EXPECTATION_FAILED,
                "The only expectation understood here is 100-continue.",
            ));
        }
        Ok(())
    }
}

fn number_of(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether this is a host and perhaps a port: a name, an IPv4 address, or an IPv6 one in brackets.
///
/// The escapes and delimiters that RFC 3986 allows in a name besides are refused: no name that is
/// in use has them, and they are read in more than one way.
pub(super) fn is_host(host: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(host) else {
        return false;
    };
    let (name, rest) = match text.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']') {
            Some((address, rest)) if address.parse::<Ipv6Addr>().is_ok() => (address, rest),
            _ => return false,
        },
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
            if !name.bytes().all(plain) {
                return false;
            }
            (name, rest)
        }
    };
    let port = rest.strip_prefix(':');
    !name.is_empty()
        && (rest.is_empty() || port.is_some_and(|port| port.is_empty() || is_port(port)))
}

fn is_port(port: &str) -> bool {
    port.len() <= 5 && number_of(port.as_bytes()).is_some_and(|port| port <= 65_535)
}
