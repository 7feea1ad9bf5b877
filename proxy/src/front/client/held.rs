//! The head of an answer waits for what follows it, so that a small answer goes out in one piece:
//! Pingora writes the two apart.
//!
//! It waits no longer than until Pingora flushes, or looks whether the client is still there because
//! nothing more of the answer has come.

use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;

use super::ClientStream;

/// The longest head of an answer that is held back, and the longest body of a request whose answer's
/// head is: of a larger one so much may be on its way that nobody looks after the client.
pub(super) const HELD: usize = 4096;

impl ClientStream {
    /// Whether this write is held back, as it is the head of an answer.
    pub(super) fn holds(&mut self, bytes: &[u8]) -> bool {
        let holds = mem::take(&mut self.holds_next) && bytes.len() <= HELD;
        if holds {
            self.held.extend_from_slice(bytes);
        }
        holds
    }

    /// Writes what is held, and `more` behind it. Returns how many bytes of `more` were written:
    /// some, if there are any.
    pub(super) fn poll_held(
        &mut self,
        cx: &mut Context<'_>,
        more: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        while !self.held.is_empty() {
            let mut pieces = [io::IoSlice::new(&[]); 4];
            pieces[0] = io::IoSlice::new(&self.held);
            for (piece, more) in pieces[1..].iter_mut().zip(more) {
                *piece = io::IoSlice::new(more);
            }
            let count = pieces.len().min(1 + more.len());
            let written = Pin::new(&mut self.inner).poll_write_vectored(cx, &pieces[..count]);
            let written = ready!(self.watch_write(cx, written))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_held = written.min(self.held.len());
            self.held.advance(of_held);
            if self.held.is_empty() {
                // Most connections have no answer in hand most of the time.
                self.held = BytesMut::new();
            }
            if written > of_held {
                return Poll::Ready(Ok(written - of_held));
            }
        }
        Poll::Ready(Ok(0))
    }
}
