//! Where does this request's body end? Counted as the bytes arrive, by the strict rules.
//!
//! Pure. [`super::client::ClientStream`] hands Pingora only what [`BodyEnd::admit`] lets through:
//! what follows belongs to the next request, whatever another parser would make of it. This is
//! why a disagreement about framing cannot turn a body into a second request.

use crate::head::is_token;

/// Bytes of chunk extensions and trailers that one body may hold. Pingora gives up, without an
/// answer, on 8 KiB of them in one place.
const OVERHEAD: usize = 4 * 1024;

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// This many bytes are still to come.
    Length(u64),
    /// The chunks end it.
    Chunked(Chunks),
}

/// A position in a chunked body (RFC 9112, 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    at: At,
    overhead: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size {
        value: u64,
        digits: u8,
    },
    Extension {
        last: bool,
        size: u64,
    },
    SizeLf {
        last: bool,
        size: u64,
    },
    Data(u64),
    DataCr,
    DataLf,
    /// At the beginning of a trailer line, or of the empty line that ends the body.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// The body breaks the rules of its framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl BodyEnd {
    /// No body at all.
    pub const NONE: Self = Self::Length(0);
    /// The beginning of a chunked body.
    pub const CHUNKED: Self = Self::Chunked(Chunks {
        at: At::Size {
            value: 0,
            digits: 0,
        },
        overhead: 0,
    });

    /// Whether the whole body has passed.
    pub fn is_reached(&self) -> bool {
        matches!(
            self,
            Self::Length(0) | Self::Chunked(Chunks { at: At::Done, .. })
        )
    }

    /// Returns how many of `bytes`, from the first on, belong to the body, and counts them.
    ///
    /// Fails when the first byte already breaks the rules; what stands before a break is let
    /// through first.
    pub fn admit(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        match self {
            Self::Length(left) => {
                let admitted = usize::try_from(*left).map_or(bytes.len(), |l| l.min(bytes.len()));
                *left -= admitted as u64;
                Ok(admitted)
            }
            Self::Chunked(chunks) => chunks.admit(bytes),
        }
    }
}

impl Chunks {
    fn admit(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut admitted = 0;
        while admitted < bytes.len() && self.at != At::Done {
            if let At::Data(left) = self.at {
                let take = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len() - admitted);
                admitted += take;
                self.at = match left - take as u64 {
                    0 => At::DataCr,
                    left => At::Data(left),
                };
                continue;
            }
            match self.step(bytes[admitted]) {
                Some(next) => self.at = next,
                None if admitted > 0 => break,
                None => return Err(Malformed),
            }
            admitted += 1;
        }
        Ok(admitted)
    }

    fn step(&mut self, byte: u8) -> Option<At> {
        match self.at {
            At::Size { value, digits } => size(value, digits, byte),
            At::Extension { last, size } => match byte {
                b'\r' => Some(At::SizeLf { last, size }),
                _ => self.text(byte).then_some(At::Extension { last, size }),
            },
            At::SizeLf { last, size } => (byte == b'\n').then_some(match last {
                true => At::Trailer,
                false => At::Data(size),
            }),
            At::DataCr => (byte == b'\r').then_some(At::DataLf),
            At::DataLf => (byte == b'\n').then_some(At::Size {
                value: 0,
                digits: 0,
            }),
            At::Trailer if byte == b'\r' => Some(At::EndLf),
            // What is no token is none of a name: a folded line, or a request in place of trailers.
            At::Trailer => (is_token(byte) && self.text(byte)).then_some(At::TrailerName),
            At::TrailerName if byte == b':' => Some(At::TrailerValue),
            At::TrailerName => (is_token(byte) && self.text(byte)).then_some(At::TrailerName),
            At::TrailerValue => match byte {
                b'\r' => Some(At::TrailerLf),
                _ => self.text(byte).then_some(At::TrailerValue),
            },
            At::TrailerLf => (byte == b'\n').then_some(At::Trailer),
            At::EndLf => (byte == b'\n').then_some(At::Done),
            At::Data(_) | At::Done => None,
        }
    }

    /// Whether a byte of an extension or a trailer is allowed, and there were not too many.
    fn text(&mut self, byte: u8) -> bool {
        self.overhead += 1;
        self.overhead <= OVERHEAD && (byte == b'\t' || (byte >= b' ' && byte != 0x7f))
    }
}

fn size(value: u64, digits: u8, byte: u8) -> Option<At> {
    if let Some(digit) = (byte as char).to_digit(16) {
        // Fifteen digits hold any size that there is, and cannot overflow.
        return (digits < 15).then_some(At::Size {
            value: value * 16 + u64::from(digit),
            digits: digits + 1,
        });
    }
    let last = value == 0;
    match byte {
        _ if digits == 0 => None,
        b';' => Some(At::Extension { last, size: value }),
        b'\r' => Some(At::SizeLf { last, size: value }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `bytes` in pieces; returns how many were let through and whether the end is reached.
    fn run(mut end: BodyEnd, bytes: &[u8], piece: usize) -> (usize, Result<bool, Malformed>) {
        let mut passed = 0;
        while passed < bytes.len() && !end.is_reached() {
            let until = bytes.len().min(passed + piece);
            match end.admit(&bytes[passed..until]) {
                Ok(admitted) => passed += admitted,
                Err(malformed) => return (passed, Err(malformed)),
            }
        }
        (passed, Ok(end.is_reached()))
    }

    fn check(body: &str, expected: Result<bool, Malformed>) {
        for piece in [1, 2, 3, 1000] {
            let (passed, result) = run(BodyEnd::CHUNKED, body.as_bytes(), piece);
            assert_eq!(result, expected, "{body:?} by {piece}");
            if result == Ok(true) {
                assert!(body[passed..].is_empty() || body[passed..].starts_with("GET"));
            }
        }
    }

    #[test]
    fn length() {
        assert_eq!(run(BodyEnd::Length(3), b"abcGET /", 2), (3, Ok(true)));
        assert_eq!(run(BodyEnd::Length(9), b"abc", 2), (3, Ok(false)));
        assert!(BodyEnd::NONE.is_reached());
    }

    #[test]
    fn whole_chunked_bodies() {
        check("0\r\n\r\n", Ok(true));
        check("3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n", Ok(true));
        check("A\r\n0123456789\r\n00\r\n\r\n", Ok(true));
        check(
            "3;name=\"value\"\r\nabc\r\n0;x\r\nTrailer: yes\r\nB: c\r\n\r\n",
            Ok(true),
        );
    }

    #[test]
    fn unfinished_chunked_bodies() {
        for body in [
            "",
            "3",
            "3\r\nab",
            "3\r\nabc\r\n",
            "0\r\n",
            "0\r\nA: b\r\n",
            "0\r\n\r",
        ] {
            check(body, Ok(false));
        }
    }

    #[test]
    fn malformed_chunked_bodies() {
        for body in [
            "\r\n",
            ";\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x3\r\nabc\r\n",
            " 3\r\nabc\r\n",
            "3 \r\nabc\r\n",
            "3\nabc\r\n0\r\n\r\n",
            "3\r\nabcd\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3\r\nabc\r0\r\n\r\n",
            "3\r\rabc\r\n",
            "0\r\n\n",
            "0\r\nA: b\n\r\n",
            "0\r\n A: b\r\n\r\n",
            "0\r\n: b\r\n\r\n",
            "0\r\nA\r\n\r\n",
            "0\r\nA : b\r\n\r\n",
            "0\r\nGET / HTTP/1.1\r\n\r\n",
            "3;a\nabc\r\n",
            "3;\0\r\nabc\r\n",
            "1000000000000000\r\n",
            "3\r\nabc\r\n\r\n",
        ] {
            check(body, Err(Malformed));
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let many = format!("0\r\n{}\r\n", "A: b\r\n".repeat(5000));
        assert_eq!(
            run(BodyEnd::CHUNKED, many.as_bytes(), 4096).1,
            Err(Malformed)
        );
        let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(20_000));
        assert_eq!(
            run(BodyEnd::CHUNKED, long.as_bytes(), 4096).1,
            Err(Malformed)
        );
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(bytes in prop::collection::vec(prop::sample::select(&b"0123aF;\r\n :x"[..]), 0..60), piece in 1..9usize) {
            let whole = run(BodyEnd::CHUNKED, &bytes, 1000);
            prop_assert_eq!(run(BodyEnd::CHUNKED, &bytes, piece), whole);
        }

        #[test]
        fn well_formed_bodies_end_where_they_end(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..6), piece in 1..99usize) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend(format!("{:x}\r\n", chunk.len()).bytes());
                body.extend(chunk);
                body.extend(b"\r\n");
            }
            body.extend(b"0\r\n\r\n");
            let length = body.len();
            body.extend(b"0\r\n\r\nGET");
            prop_assert_eq!(run(BodyEnd::CHUNKED, &body, piece), (length, Ok(true)));
        }
    }
}
