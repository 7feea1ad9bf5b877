//! Is this the head of a request that may pass? Bytes in, a verdict out.
//!
//! Pure. [`crate::front`] shows a [`Reader`] what has arrived so far and obeys the verdict. The
//! rules are those of RFC 9112 with every leniency left out: what two parsers might read in two
//! ways is refused, because the next one in line may be the other one.
//!
//! A line is judged as soon as it is whole, so that garbage is refused before it has all arrived;
//! the first one as soon as it can no longer become right. In whatever pieces the same bytes
//! arrive, the verdict is the same.

mod field;
mod http2;
mod line;
#[cfg(test)]
mod properties;
mod rewrite;
#[cfg(test)]
mod tests;

use std::ops::Range;

use http::StatusCode;

use field::Fields;
pub use http2::admit_http2;
use line::RequestLine;

/// The methods that pass.
pub const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Whether a method is one of them.
fn is_allowed(method: &[u8]) -> bool {
    matches!(
        method,
        b"GET" | b"HEAD" | b"POST" | b"PUT" | b"PATCH" | b"DELETE" | b"OPTIONS"
    )
}

/// How large a head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the target, in bytes. Default 8 KiB.
    pub target_bytes: usize,
    /// Of the whole head, in bytes. Default 32 KiB.
    pub head_bytes: usize,
    /// Of the number of fields. Default 100.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            target_bytes: 8 * 1024,
            head_bytes: 32 * 1024,
            fields: 100,
        }
    }
}

/// What is to be done about a head.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// So far nothing is wrong, and more must come.
    Incomplete,
    /// It may pass.
    Accepted(Accepted),
    /// It is answered with an error, and the connection closed.
    Refused(Refused),
}

/// A head that may pass.
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its length in bytes, the empty line at its end included.
    pub len: usize,
    /// What to pass on in its stead: where the client wrote its target in absolute form, the
    /// length of its body in an unusual way, or an empty line before it all.
    pub rewritten: Option<Vec<u8>>,
    /// What follows it.
    pub body: Framing,
}

/// How the body behind a head is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// By its length in bytes.
    Length(u64),
    /// By chunks.
    Chunked,
}

/// A head that must not pass.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The status for the client.
    pub status: StatusCode,
    /// The rule that it breaks, in a fixed sentence.
    pub reason: &'static str,
    /// The method, for the log: if what stands in its place could be one.
    pub method: Option<String>,
    /// The path without its query, for the log: if one can be told, and its beginning only.
    pub path: Option<String>,
}

/// A broken rule: its status and its sentence.
type Broken = (StatusCode, &'static str);

/// Reads one head as it arrives.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    line: Option<RequestLine>,
    fields: Fields,
    /// Where the next line begins.
    at: usize,
    /// Up to where no end of that line was found.
    searched: usize,
}

impl Reader {
    /// A reader that has seen nothing.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            line: None,
            fields: Fields::default(),
            at: 0,
            searched: 0,
        }
    }

    /// Judges what has arrived so far: all of it, from the first byte of the request on.
    pub fn read(&mut self, bytes: &[u8]) -> Verdict {
        match self.advance(bytes) {
            Ok(Some(accepted)) => Verdict::Accepted(accepted),
            Ok(None) => Verdict::Incomplete,
            Err((status, reason)) => Verdict::Refused(self.refused(bytes, status, reason)),
        }
    }

    fn advance(&mut self, bytes: &[u8]) -> Result<Option<Accepted>, Broken> {
        if self.at == 0 && bytes.starts_with(b"\r\n") {
            // One empty line before a request is what an old client may leave behind a body.
            (self.at, self.searched) = (2, 2);
        }
        while let Some(line) = self.next_line(bytes)? {
            let text = &bytes[line.clone()];
            if self.line.is_none() {
                self.line = Some(line::parse(text, line.start, &self.limits)?);
            } else if text.is_empty() {
                return self.finish(bytes).map(Some);
            } else {
                self.fields.add(text, line.start, self.limits.fields)?;
            }
        }
        Ok(None)
    }

    /// Returns where the next whole line stands, without its end.
    ///
    /// What can be refused before the line is whole is refused in the same order once it is, or
    /// the verdict would depend on how the bytes happened to be cut.
    fn next_line(&mut self, bytes: &[u8]) -> Result<Option<Range<usize>>, Broken> {
        let newline = bytes[self.searched..].iter().position(|&b| b == b'\n');
        let end = newline.map_or(bytes.len(), |offset| self.searched + offset);
        if self.line.is_none() {
            line::check_beginning(&bytes[self.at..end], &self.limits)?;
        }
        if end >= self.limits.head_bytes {
            return Err((
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The head of the request is too large.",
            ));
        }
        if newline.is_none() {
            self.searched = end;
            return Ok(None);
        }
        if end == self.at || bytes[end - 1] != b'\r' {
            return Err(bad("A line ends in LF without CR."));
        }
        let line = self.at..end - 1;
        (self.at, self.searched) = (end + 1, end + 1);
        Ok(Some(line))
    }

    fn finish(&self, bytes: &[u8]) -> Result<Accepted, Broken> {
        let Some(line) = &self.line else {
            return Err(bad("There is no request line."));
        };
        self.fields.check_host(bytes, line.is_http_1_0)?;
        let body = self.fields.framing(line.is_http_1_0)?;
        self.fields.check_expect(line.is_http_1_0)?;
        let head = &bytes[..self.at];
        Ok(Accepted {
            len: self.at,
            rewritten: rewrite::rewrite(head, line, &self.fields),
            body,
        })
    }

    fn refused(&self, bytes: &[u8], status: StatusCode, reason: &'static str) -> Refused {
        let (method, path) = match &self.line {
            Some(line) => (
                Some(line::logged(&bytes[line.method.clone()])),
                Some(line::logged(&bytes[line.target.clone()])),
            ),
            None => line::told(bytes.strip_prefix(b"\r\n").unwrap_or(bytes)),
        };
        Refused {
            status,
            reason,
            method,
            path,
        }
    }
}

/// Whether a byte may stand in a method or a field name (RFC 9110, 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// The answers of [`is_token`]: it is asked for each byte of each name.
const TOKEN: [bool; 256] = {
    let others = b"!#$%&'*+-.^_`|~";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
};

fn bad(sentence: &'static str) -> Broken {
    (StatusCode::BAD_REQUEST, sentence)
}
