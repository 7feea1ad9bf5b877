//! Which requests does `h2` refuse by itself, without telling us? Read from the frames that it writes.
//!
//! Pure: bytes in, the streams of such requests out. `h2` resets the stream of a request that the
//! standard calls malformed, and answers a head that is far too large with a bare 431; neither
//! comes to [`super::Front`], which would leave no line in the log.

use std::collections::VecDeque;

use h2::Reason;
use http::StatusCode;

use crate::head::Refused;

/// The length of what stands before the payload of every frame (RFC 9113, 4.1).
const FRAME_HEADER: usize = 9;
/// The length of the payload of `RST_STREAM`.
const CODE: usize = 4;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
/// How many of the latest streams are remembered: more than there may be at a time.
const REMEMBERED: usize = 256;

/// What is written to a client, and which of its streams have come to us.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The header of the current frame, and the code of a reset.
    frame: [u8; FRAME_HEADER + CODE],
    filled: usize,
    /// Bytes of the current frame's payload that are still to come and say nothing.
    left: usize,
    /// The latest streams of which is known what becomes of them.
    known: VecDeque<u32>,
    refused: Vec<(u32, Told)>,
}

/// What a client was told of a request that never came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Answered,
    Reset(Reason),
}

impl Refusals {
    /// A request has come to us.
    pub(super) fn accepted(&mut self, stream: u32) {
        if self.known.len() == REMEMBERED {
            self.known.pop_front();
        }
        self.known.push_back(stream);
    }

    /// Takes in what was written; whether there may be something to [`Self::take`] now.
    pub(super) fn written(&mut self, mut bytes: &[u8]) -> bool {
        let before = self.refused.len();
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];
            let wanted = self.wanted();
            let part = (wanted - self.filled).min(bytes.len());
            self.frame[self.filled..self.filled + part].copy_from_slice(&bytes[..part]);
            self.filled += part;
            bytes = &bytes[part..];
            if self.filled == FRAME_HEADER && self.wanted() == FRAME_HEADER {
                self.left = self.payload();
                self.end_frame();
            } else if self.filled == FRAME_HEADER + CODE {
                self.end_frame();
            }
        }
        self.refused.len() > before
    }

    /// What was refused since the last time. Only to be asked when all requests that have arrived
    /// have been accepted: one that was reset at once may be among them.
    pub(super) fn take(&mut self) -> Vec<Refused> {
        let told = std::mem::take(&mut self.refused);
        let mut refused = Vec::new();
        for (stream, told) in told {
            if self.is_news(stream) {
                self.accepted(stream);
                refused.push(told.refused());
            }
        }
        refused
    }

    /// How much of the current frame is looked at.
    fn wanted(&self) -> usize {
        let is_reset = self.filled >= FRAME_HEADER && self.frame[3] == RST_STREAM;
        FRAME_HEADER + if is_reset { CODE } else { 0 }
    }

    fn payload(&self) -> usize {
        let [a, b, c, ..] = self.frame;
        usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
    }

    fn end_frame(&mut self) {
        self.filled = 0;
        let [_, _, _, kind, _, a, b, c, d, code @ ..] = self.frame;
        let stream = u32::from_be_bytes([a & 0x7f, b, c, d]);
        let told = match kind {
            HEADERS => Told::Answered,
            RST_STREAM => Told::Reset(u32::from_be_bytes(code).into()),
            _ => return,
        };
        if self.is_news(stream) {
            self.refused.push((stream, told));
        }
    }

    fn is_news(&self, stream: u32) -> bool {
        // What is older than all that is remembered has been known.
        let is_old = self.known.len() == REMEMBERED && self.known.front() > Some(&stream);
        !is_old && !self.known.iter().rev().any(|&known| known == stream)
    }
}

impl Told {
    fn refused(self) -> Refused {
        let (status, reason) = match self {
            Self::Answered => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The head of the request is far too large.",
            ),
            Self::Reset(Reason::REFUSED_STREAM) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The stream was reset: too many requests at a time.",
            ),
            Self::Reset(_) => (
                StatusCode::BAD_REQUEST,
                "The stream was reset: the request breaks the rules of HTTP/2.",
            ),
        };
        Refused {
            status,
            reason,
            method: None,
            path: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, 0];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn reset(stream: u32, reason: Reason) -> Vec<u8> {
        frame(RST_STREAM, stream, &u32::from(reason).to_be_bytes())
    }

    fn statuses(refusals: &mut Refusals) -> Vec<u16> {
        let refused = refusals.take();
        refused
            .iter()
            .map(|refused| refused.status.as_u16())
            .collect()
    }

    #[test]
    fn only_what_never_came_to_us_is_told_and_once() {
        let mut refusals = Refusals::default();
        refusals.accepted(1);
        let written = [
            frame(4, 0, &[0; 36]),
            frame(HEADERS, 1, b"head"),
            frame(0, 1, &reset(9, Reason::PROTOCOL_ERROR)),
            reset(1, Reason::NO_ERROR),
            reset(3, Reason::PROTOCOL_ERROR),
            frame(HEADERS, 5, &[]),
            reset(5, Reason::PROTOCOL_ERROR),
            reset(7, Reason::REFUSED_STREAM),
            frame(7, 0, &[0; 8]),
        ];
        assert!(refusals.written(&written.concat()));
        assert_eq!(statuses(&mut refusals), [400, 431, 503]);
        refusals.written(&reset(5, Reason::PROTOCOL_ERROR));
        assert_eq!(statuses(&mut refusals), [0; 0]);
    }

    #[test]
    fn a_stream_that_was_reset_before_it_came_to_us_is_not_told() {
        let mut refusals = Refusals::default();
        refusals.written(&reset(1, Reason::PROTOCOL_ERROR));
        refusals.accepted(1);
        assert_eq!(statuses(&mut refusals), [0; 0]);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_older_is_known() {
        let mut refusals = Refusals::default();
        for stream in 0..1000 {
            refusals.accepted(2 * stream + 1);
        }
        assert_eq!(refusals.known.len(), REMEMBERED);
        assert!(!refusals.written(&reset(1, Reason::CANCEL)));
        assert!(refusals.written(&reset(2001, Reason::PROTOCOL_ERROR)));
    }

    proptest! {
        /// In whatever pieces the same bytes are written, the same is told.
        #[test]
        fn pieces_make_no_difference(
            frames in prop::collection::vec((0u8..10, 0u32..6, 0usize..30), 0..60),
            piece in 1usize..30,
        ) {
            let frames = frames.iter().map(|&(kind, stream, payload)| match kind {
                RST_STREAM => reset(stream, Reason::PROTOCOL_ERROR),
                kind => frame(kind, stream, &vec![3; payload]),
            });
            let bytes = frames.collect::<Vec<_>>().concat();
            let (mut whole, mut pieces) = (Refusals::default(), Refusals::default());
            whole.accepted(1);
            pieces.accepted(1);
            whole.written(&bytes);
            bytes.chunks(piece).for_each(|piece| {
                pieces.written(piece);
            });
            prop_assert_eq!(&whole.refused, &pieces.refused);
        }
    }
}
