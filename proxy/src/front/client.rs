//! A client's connection as Pingora is given it: it ends where the request ends.
//!
//! [`super::Front`] reads heads from it; Pingora then reads the body through it, and gets nothing
//! beyond. What arrives early, pipelined by the client, waits here for its turn.
//!
//! Once the client and a server have agreed on a `WebSocket`, the gateway opens the tunnel: from then
//! on all bytes pass, first those that waited here.
//!
//! Where nothing but the end of the connection ends an answer (HTTP/1.0), one that broke off must not
//! end in order: a plain connection is reset then, and one over TLS ends without its farewell.
//!
//! A client that closes its sending side may still be reading (`printf … | nc -N`), or may be
//! gone: nobody can tell until something is written to it. It is given a while.

mod as_stream;
mod held;

use std::future::poll_fn;
use std::io;
use std::mem::{self, MaybeUninit};
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant as StdInstant};

use bytes::{Buf, Bytes, BytesMut};
use pingora_core::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use self::held::HELD;
use super::body::BodyEnd;
use super::pace::Pace;
use super::plain::PlainStream;
use crate::files::Twin;

/// What is read at once.
const PIECE: usize = 4096;
/// Pipelined bytes that are read ahead while a request is answered.
const AHEAD: usize = 32 * 1024;
/// How long a client that has closed its sending side may wait for the next piece of its answer.
const HALF_CLOSED: Duration = Duration::from_secs(2);
/// How long a client may take nothing of what is written to it. Pingora limits the writing of a
/// body by itself, but not that of a header.
const STALLED: Duration = Duration::from_secs(30);

/// A client's connection, one request at a time.
#[derive(Debug)]
pub struct ClientStream {
    inner: Stream,
    /// What was read and not handed out yet.
    ahead: BytesMut,
    body: BodyEnd,
    /// The request is over, and what follows is no other one: all of it passes.
    tunnel: AtomicBool,
    /// If the connection ended now, the answer would have broken off.
    breaks_off: AtomicBool,
    /// Runs since the client has closed its sending side.
    leaving: Option<Pin<Box<Sleep>>>,
    /// How quickly the body comes.
    incoming: Pace,
    /// Runs while more of the body is waited for.
    slow: Option<Pin<Box<Sleep>>>,
    /// How quickly answers are taken.
    outgoing: Pace,
    /// Runs while a write makes no progress.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Bytes of the answer that the system can send by itself.
    twin: OnceLock<Box<Twin>>,
    /// What is written next is the head of an answer, and is held back.
    holds_next: bool,
    /// The head of an answer that waits for what follows it.
    held: BytesMut,
}

impl ClientStream {
    /// Wraps a fresh connection.
    pub fn new(inner: Stream) -> Self {
        Self {
            inner,
            ahead: BytesMut::new(),
            body: BodyEnd::NONE,
            tunnel: AtomicBool::new(false),
            breaks_off: AtomicBool::new(false),
            leaving: None,
            incoming: Pace::default(),
            slow: None,
            outgoing: Pace::default(),
            stalled: None,
            twin: OnceLock::new(),
            holds_next: false,
            held: BytesMut::new(),
        }
    }

    /// What was read so far of the next request.
    pub fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Gives the connection back, with what was read of it.
    pub fn into_parts(self) -> (Stream, BytesMut) {
        (self.inner, self.ahead)
    }

    /// Reads more of the next request's head; 0 when the client has closed.
    ///
    /// No memory is taken before there is something to hold: most clients are waited for most of
    /// the time.
    pub async fn read_more(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Takes the head off and lets the body that follows it through; a body of known length that
    /// is there already comes off with the head.
    pub fn begin_request(&mut self, head: usize, body: BodyEnd) -> BytesMut {
        let behind = self.ahead.len() - head;
        let (taken, body_to_come) = match body {
            BodyEnd::Length(length) if length <= behind as u64 => {
                (head + length as usize, BodyEnd::NONE)
            }
            BodyEnd::Length(_) | BodyEnd::Chunked(_) => (head, body),
        };
        self.body = body_to_come;
        self.incoming = Pace::default();
        self.slow = None;
        self.outgoing = Pace::default();
        self.holds_next = match body {
            BodyEnd::Length(length) => length <= HELD as u64,
            BodyEnd::Chunked(_) => false,
        };
        if taken == self.ahead.len() {
            // Nothing stays behind, and so no memory.
            mem::take(&mut self.ahead)
        } else {
            self.ahead.split_to(taken)
        }
    }

    /// Whether the request has been read to its end.
    pub fn is_request_read(&self) -> bool {
        self.body.is_reached() && !self.tunnel.load(Ordering::Acquire)
    }

    /// Lets all bytes through from now on; there will be no further request.
    pub fn open_tunnel(&self) {
        self.tunnel.store(true, Ordering::Release);
    }

    /// Says whether the client must see that the answer broke off, if the connection ends now.
    pub fn breaks_off(&self, does: bool) {
        self.breaks_off.store(does, Ordering::Release);
        if let Some(plain) = self.plain() {
            plain.reset_when_closed(does);
        }
    }

    /// Has what is written out of the bytes of `twin` sent from there, until the next flush.
    ///
    /// Over TLS it is written like everything else.
    pub fn send_from(&self, twin: Twin) {
        if self.plain().is_some() {
            self.twin.get_or_init(|| Box::new(twin));
        }
    }

    /// Has these pieces, which are written next, go out together; over TLS each is written by itself.
    pub fn gather(&self, pieces: impl Iterator<Item = Bytes>) {
        if let Some(plain) = self.plain() {
            plain.gather(pieces);
        }
    }

    fn plain(&self) -> Option<&PlainStream> {
        self.inner.as_any().downcast_ref()
    }

    /// Has the system send a piece that lies in its own memory too; `None` when it does not.
    fn poll_twin(&self, cx: &mut Context<'_>, piece: &[u8]) -> Option<Poll<io::Result<usize>>> {
        let twin = self.twin.get()?;
        let offset = twin.offset(piece)?;
        let sent = self
            .plain()?
            .poll_send_file(cx, twin.copy(), offset, piece.len());
        Some(sent)
    }

    /// Reads and drops what the client still sends, until it closes.
    pub async fn drain(&mut self) {
        loop {
            self.ahead.clear();
            if !matches!(self.read_more().await, Ok(read) if read > 0) {
                return;
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [const { MaybeUninit::uninit() }; PIECE];
        let mut buffer = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buffer))?;
        self.ahead.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// The request is over: reads on only to notice when the client leaves.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.leaving.is_none() && self.ahead.len() < AHEAD {
            if ready!(self.poll_fill(cx))? == 0 {
                self.leaving = Some(Box::pin(sleep(HALF_CLOSED)));
            }
        }
        match &mut self.leaving {
            Some(leaving) => leaving.as_mut().poll(cx).map(Ok),
            None => Poll::Pending,
        }
    }

    fn poll_tunnel(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, out);
        }
        let room = out.remaining().min(self.ahead.len());
        out.put_slice(&self.ahead.split_to(room));
        Poll::Ready(Ok(()))
    }

    /// Passes the result of a write on, and bounds how long there may be none.
    fn watch_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(done) = &written {
            self.stalled = None;
            let bytes = *done.as_ref().unwrap_or(&0);
            self.outgoing.moved(bytes, StdInstant::now);
            if let Some(leaving) = &mut self.leaving {
                leaving.as_mut().reset(Instant::now() + HALF_CLOSED);
            }
            return written;
        }
        let outgoing = &mut self.outgoing;
        let stalled = self.stalled.get_or_insert_with(|| {
            let now = StdInstant::now();
            outgoing.wait(now);
            let end = outgoing
                .deadline()
                .map_or(now + STALLED, |d| d.min(now + STALLED));
            Box::pin(sleep_until(end.into()))
        });
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Waits for more of the body, unless it comes too slowly.
    fn watch_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(read) = self.poll_fill(cx) {
            let bytes = *read.as_ref().unwrap_or(&0);
            self.incoming.moved(bytes, StdInstant::now);
            return Poll::Ready(read);
        }
        self.incoming.wait(StdInstant::now());
        while let Some(deadline) = self.incoming.deadline() {
            let slow = self
                .slow
                .get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
            ready!(slow.as_mut().poll(cx));
            if StdInstant::now() >= deadline {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            slow.as_mut().reset(deadline.into());
        }
        Poll::Pending
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Nothing more of the answer has come; its head goes ahead.
        if let Poll::Ready(Err(error)) = this.poll_held(cx, &[]) {
            return Poll::Ready(Err(error));
        }
        if this.tunnel.load(Ordering::Acquire) {
            return this.poll_tunnel(cx, out);
        }
        if this.body.is_reached() {
            return this.poll_closed(cx);
        }
        if this.ahead.is_empty() && ready!(this.watch_body(cx))? == 0 {
            return Poll::Ready(Ok(()));
        }
        let room = out.remaining().min(this.ahead.len());
        let admitted = this
            .body
            .admit(&this.ahead[..room])
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "malformed body"))?;
        out.put_slice(&this.ahead[..admitted]);
        this.ahead.advance(admitted);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.holds(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        if this.twin.get().is_some() {
            // The head goes ahead of what the system sends by itself.
            ready!(this.poll_held(cx, &[]))?;
        }
        let with_held = ready!(this.poll_held(cx, &[io::IoSlice::new(bytes)]))?;
        if with_held > 0 {
            return Poll::Ready(Ok(with_held));
        }
        let written = match this.poll_twin(cx, bytes) {
            Some(sent) => sent,
            None => Pin::new(&mut this.inner).poll_write(cx, bytes),
        };
        this.watch_write(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.holds_next = false;
        let with_held = ready!(this.poll_held(cx, bytes))?;
        if with_held > 0 {
            return Poll::Ready(Ok(with_held));
        }
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, bytes);
        this.watch_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_held(cx, &[]))?;
        self.twin.take();
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_held(cx, &[]))?;
        if self.breaks_off.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
