//! Is an answer sent as gzip, what changes in its header then, and its bytes, piece by piece.
//!
//! Pure. [`crate::gateway`] asks [`plan`] about each answer of a route with `compress` and passes
//! the body through an [`Encoder`]. Every piece is flushed: what a server has sent reaches the
//! client at once, and nothing is kept but the window of the encoder.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::files::accepts_gzip;

/// A body is worth it above this length in bytes.
const WORTH: u64 = 1024;
/// Most of what the highest level saves, in a third of its time.
const LEVEL: u32 = 5;
/// Fields that say something of the very bytes of a body.
const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// What becomes of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Its body is sent as gzip.
    pub encode: bool,
    /// Another `Accept-Encoding` might get other bytes: caches are to know.
    pub varies: bool,
    /// The tag that it has then: not the same bytes as the server's, but the same meaning.
    pub weak_tag: Option<HeaderValue>,
}

/// Decides what becomes of an answer with this status and these fields.
///
/// HEAD and GET are told the same.
pub fn plan(status: StatusCode, answer: &HeaderMap, request: &HeaderMap) -> Plan {
    if status == StatusCode::NOT_MODIFIED {
        return not_modified(answer, request);
    }
    if !is_whole(status) || !is_open(answer) || !is_text(answer) || is_small(answer) {
        return Plan::default();
    }
    let encode = accepts_gzip(request) && !forbids(request);
    Plan {
        encode,
        varies: true,
        weak_tag: encode.then(|| weak_tag(answer)).flatten(),
    }
}

/// A client is told of the version that it has by the tag that it was given.
fn not_modified(answer: &HeaderMap, request: &HeaderMap) -> Plan {
    let is_known = |weak: &HeaderValue| {
        names(request, &header::IF_NONE_MATCH).any(|tag| tag == weak.as_bytes())
    };
    Plan {
        encode: false,
        varies: true,
        weak_tag: weak_tag(answer).filter(is_known),
    }
}

/// Whether the body is one, and all of it.
fn is_whole(status: StatusCode) -> bool {
    !status.is_informational()
        && !matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT
        )
}

/// Whether nothing in the answer is against changing its bytes.
fn is_open(answer: &HeaderMap) -> bool {
    !answer.contains_key(header::CONTENT_ENCODING)
        && !answer.contains_key(header::CONTENT_RANGE)
        && !DIGESTS.iter().any(|name| answer.contains_key(*name))
        && !forbids(answer)
}

fn forbids(headers: &HeaderMap) -> bool {
    names(headers, &header::CACHE_CONTROL).any(|name| name.eq_ignore_ascii_case(b"no-transform"))
}

/// The names of a list field, in whichever lines.
fn names<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// Whether it is text, in the wide sense; a stream of events is for its reader to have at once,
/// and is left alone.
fn is_text(answer: &HeaderMap) -> bool {
    let mut types = answer.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (types.next(), types.next()) else {
        return false;
    };
    let Ok(kind) = kind.to_str() else {
        return false;
    };
    let kind = kind.split(';').next().unwrap_or("").trim();
    let kind = kind.to_ascii_lowercase();
    match kind.split_once('/') {
        Some(("text", subtype)) => subtype != "event-stream",
        Some(("application", subtype)) => {
            matches!(
                subtype,
                "json" | "javascript" | "xml" | "x-ndjson" | "x-javascript" | "ecmascript"
            ) || has_text_suffix(subtype)
        }
        Some((_, subtype)) => has_text_suffix(subtype),
        None => false,
    }
}

/// `image/svg+xml`, `application/problem+json` and their like (RFC 6839).
fn has_text_suffix(subtype: &str) -> bool {
    subtype.ends_with("+json") || subtype.ends_with("+xml")
}

/// Whether it is known to be too short to gain anything.
fn is_small(answer: &HeaderMap) -> bool {
    let length = answer.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.trim().parse::<u64>().ok());
    length.is_some_and(|length| length <= WORTH)
}

/// The tag of an answer as a weak one, if it is a strong one.
fn weak_tag(answer: &HeaderMap) -> Option<HeaderValue> {
    let tag = answer.get(header::ETAG)?.as_bytes();
    let strong = tag.starts_with(b"\"").then_some(tag)?;
    HeaderValue::from_bytes(&[b"W/", strong].concat()).ok()
}

/// Whether `Vary` says already that the answer depends on `Accept-Encoding`.
pub fn says_that_it_varies(answer: &HeaderMap) -> bool {
    let told = |name: &[u8]| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding");
    names(answer, &header::VARY).any(told)
}

/// Turns the pieces of a body into those of its gzip form.
#[derive(Debug)]
pub struct Encoder(GzEncoder<Vec<u8>>);

impl Default for Encoder {
    fn default() -> Self {
        Self(GzEncoder::new(Vec::new(), Compression::new(LEVEL)))
    }
}

impl Encoder {
    /// Takes a piece, the last one at the `end`, and returns all that can be sent now.
    pub fn pass(&mut self, piece: &[u8], end: bool) -> io::Result<Bytes> {
        self.0.write_all(piece)?;
        if end {
            self.0.try_finish()?;
        } else if !piece.is_empty() {
            self.0.flush()?;
        }
        Ok(std::mem::take(self.0.get_mut()).into())
    }
}

#[cfg(test)]
mod tests;
