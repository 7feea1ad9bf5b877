//! Is this the head of a request that may pass? Bytes in, a verdict out.
//!
//! Pure. [`crate::front`] shows a [`Reader`] what has arrived so far and obeys the verdict. The
//! rules are those of RFC 9112 with every leniency left out: what two parsers might read in two
//! ways is refused, because the next one in line may be the other one.
//!
//! A line is judged as soon as it is whole, so that garbage is refused before it has all arrived.

mod field;
mod line;
#[cfg(test)]
mod tests;

use std::ops::Range;

use http::StatusCode;

use field::Fields;
use line::RequestLine;

/// The methods that pass.
pub const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// How much of a path is kept for the log.
const LOGGED_PATH: usize = 1024;

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
    /// What to pass on in its stead, where the client wrote its target in absolute form.
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
    /// The method, if the first line could be read.
    pub method: Option<String>,
    /// The path without its query, if the first line could be read.
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
        self.check_unfinished(bytes)?;
        Ok(None)
    }

    /// Returns where the next whole line stands, without its end.
    fn next_line(&mut self, bytes: &[u8]) -> Result<Option<Range<usize>>, Broken> {
        let Some(offset) = bytes[self.searched..].iter().position(|&b| b == b'\n') else {
            self.searched = bytes.len();
            return Ok(None);
        };
        let newline = self.searched + offset;
        if newline == self.at || bytes[newline - 1] != b'\r' {
            return Err((StatusCode::BAD_REQUEST, "A line ends in LF without CR."));
        }
        if newline >= self.limits.head_bytes {
            return Err(too_large());
        }
        let line = self.at..newline - 1;
        (self.at, self.searched) = (newline + 1, newline + 1);
        Ok(Some(line))
    }

    /// Refuses what can no longer become a head that passes.
    fn check_unfinished(&self, bytes: &[u8]) -> Result<(), Broken> {
        if self.line.is_none() {
            line::check_beginning(&bytes[self.at..], &self.limits)?;
        }
        if bytes.len() >= self.limits.head_bytes {
            return Err(too_large());
        }
        Ok(())
    }

    fn finish(&self, bytes: &[u8]) -> Result<Accepted, Broken> {
        let Some(line) = &self.line else {
            return Err((StatusCode::BAD_REQUEST, "There is no request line."));
        };
        self.fields.check_host(bytes, line.is_http_1_0)?;
        let body = self.fields.framing(line.is_http_1_0)?;
        self.fields.check_expect(line.is_http_1_0)?;
        let authority = line.authority.as_ref();
        Ok(Accepted {
            len: self.at,
            rewritten: authority.map(|authority| self.rewrite(bytes, line, authority.clone())),
            body,
        })
    }

    /// Writes the head with its target in origin form; the target's authority replaces the host
    /// field (RFC 9112, 3.2.2).
    fn rewrite(&self, bytes: &[u8], line: &RequestLine, authority: Range<usize>) -> Vec<u8> {
        let mut head = Vec::with_capacity(self.at);
        head.extend_from_slice(&bytes[line.method.clone()]);
        head.push(b' ');
        if bytes[line.target.clone()].first() != Some(&b'/') {
            head.push(b'/');
        }
        head.extend_from_slice(&bytes[line.target.clone()]);
        head.extend_from_slice(if line.is_http_1_0 {
            b" HTTP/1.0\r\nHost: "
        } else {
            b" HTTP/1.1\r\nHost: "
        });
        head.extend_from_slice(&bytes[authority]);
        head.extend_from_slice(b"\r\n");
        let fields = &bytes[line.end..self.at - 2];
        match &self.fields.host_line {
            Some(host) => {
                head.extend_from_slice(&bytes[line.end..host.start]);
                head.extend_from_slice(&bytes[host.end + 2..self.at - 2]);
            }
            None => head.extend_from_slice(fields),
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    fn refused(&self, bytes: &[u8], status: StatusCode, reason: &'static str) -> Refused {
        let text = |range: &Range<usize>| {
            let text = &bytes[range.clone()];
            String::from_utf8_lossy(&text[..text.len().min(LOGGED_PATH)]).into_owned()
        };
        let line = self.line.as_ref();
        let path = line.map(|line| text(&line.target));
        Refused {
            status,
            reason,
            method: line.map(|line| text(&line.method)),
            path: path.map(|path| path.split('?').next().unwrap_or("").to_owned()),
        }
    }
}

fn too_large() -> Broken {
    (
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The head of the request is too large.",
    )
}

/// Whether a byte may stand in a method or a field name (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
