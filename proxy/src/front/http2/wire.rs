//! The bytes of an HTTP/2 connection on their way between the socket and the parser, counted.
//!
//! What [`super::meter`] says of them is told through [`Watch`]: nothing more is read then, and
//! the connection is ended from outside, which tells the client why.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use pingora_core::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep, sleep_until};

use super::meter::{Flood, Meter};
use super::refusals::Refusals;
use crate::head::Refused;

/// How long a client may take nothing of what is written to it.
const STALLED: Duration = Duration::from_secs(30);

/// What is counted of a connection, for those who accept its requests.
#[derive(Debug)]
pub(super) struct Watch {
    meter: Mutex<Meter>,
    flooded: Notify,
    refusals: Mutex<Refusals>,
    refused: Notify,
}

impl Watch {
    pub(super) fn new(head_limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            meter: Mutex::new(Meter::new(head_limit, Instant::now())),
            flooded: Notify::new(),
            refusals: Mutex::default(),
            refused: Notify::new(),
        })
    }

    /// Counts a request.
    pub(super) fn accepted(&self, stream: u32) {
        self.meter().accepted();
        lock(&self.refusals).accepted(stream);
    }

    /// Waits until a request was refused that was never accepted.
    pub(super) async fn refused(&self) {
        self.refused.notified().await;
    }

    /// What was refused so since the last time.
    pub(super) fn take_refused(&self) -> Vec<Refused> {
        lock(&self.refusals).take()
    }

    /// Waits until the connection is to be ended for what the client sends.
    pub(super) async fn flooded(&self) {
        self.flooded.notified().await;
    }

    fn meter(&self) -> MutexGuard<'_, Meter> {
        lock(&self.meter)
    }

    fn written(&self, bytes: &[u8]) {
        self.meter().written(bytes.len());
        if lock(&self.refusals).written(bytes) {
            self.refused.notify_one();
        }
    }
}

/// Held for a few steps that cannot fail.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client's connection.
#[derive(Debug)]
pub(super) struct Wire {
    inner: Stream,
    watch: Arc<Watch>,
    /// Why nothing more is read.
    flood: Option<Flood>,
    /// Runs while a head has begun and not ended, until the moment with it.
    late: Option<(Instant, Pin<Box<Sleep>>)>,
    /// What was read to find out that this is HTTP/2.
    ahead: BytesMut,
    /// Runs while a write makes no progress.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(super) fn new(inner: Stream, ahead: BytesMut, watch: Arc<Watch>) -> Self {
        Self {
            inner,
            watch,
            flood: None,
            late: None,
            ahead,
            stalled: None,
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, out);
        }
        let length = out.remaining().min(self.ahead.len());
        out.put_slice(&self.ahead[..length]);
        self.ahead.advance(length);
        Poll::Ready(Ok(()))
    }

    /// Ready when a head that has begun is late.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.watch.meter().head_due() else {
            self.late = None;
            return Poll::Pending;
        };
        if self.late.as_ref().is_none_or(|(until, _)| *until != due) {
            self.late = Some((due, Box::pin(sleep_until(due.into()))));
        }
        match &mut self.late {
            Some((_, late)) => late.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    fn stop_reading(&mut self, flood: Flood) {
        tracing::debug!(?flood, "an HTTP/2 connection is ended");
        self.flood = Some(flood);
        self.watch.flooded.notify_one();
    }

    /// Passes the result of a write on, and bounds how long there may be none.
    fn watch_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALLED)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = out.filled().len();
        if this.flood.is_none() && this.poll_fill(cx, out)?.is_ready() {
            let read = this
                .watch
                .meter()
                .read(&out.filled()[before..], Instant::now());
            match read {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(flood) => this.stop_reading(flood),
            }
        }
        if this.flood.is_none() && this.poll_late(cx).is_ready() {
            this.stop_reading(Flood::LateHead);
        }
        out.set_filled(before);
        Poll::Pending
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &written {
            self.watch.written(&bytes[..*written]);
        }
        self.watch_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        if let Poll::Ready(Ok(written)) = &written {
            let mut left = *written;
            for slice in bytes {
                let part = left.min(slice.len());
                self.watch.written(&slice[..part]);
                left -= part;
            }
        }
        self.watch_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch_write(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch_write(cx, closed)
    }
}
