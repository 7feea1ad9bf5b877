//! A client's connection as Pingora is given it: it ends where the request ends.
//!
//! [`super::Front`] reads heads from it; Pingora then reads the body through it, and gets nothing
//! beyond. What arrives early, pipelined by the client, waits here for its turn.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::body::BodyEnd;

/// Pipelined bytes that are read ahead while a request is answered.
const AHEAD: usize = 32 * 1024;

/// A client's connection, one request at a time.
#[derive(Debug)]
pub struct ClientStream {
    inner: Stream,
    /// What was read and not handed out yet.
    ahead: BytesMut,
    body: BodyEnd,
}

impl ClientStream {
    /// Wraps a fresh connection.
    pub fn new(inner: Stream) -> Self {
        Self {
            inner,
            ahead: BytesMut::new(),
            body: BodyEnd::NONE,
        }
    }

    /// What was read so far of the next request.
    pub fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Reads more of the next request's head; 0 when the client has closed.
    pub async fn read_more(&mut self) -> io::Result<usize> {
        self.ahead.reserve(4096);
        self.inner.read_buf(&mut self.ahead).await
    }

    /// Takes the head off and lets the body that follows it through.
    pub fn begin_request(&mut self, head: usize, body: BodyEnd) -> BytesMut {
        self.body = body;
        self.ahead.split_to(head)
    }

    /// Whether the request has been read to its end.
    pub fn is_request_read(&self) -> bool {
        self.body.is_reached()
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
        self.ahead.reserve(4096);
        let mut room = [0; 4096];
        let mut buffer = ReadBuf::new(&mut room);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buffer))?;
        self.ahead.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// The request is over: reads on only to notice when the client leaves.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ahead.len() < AHEAD {
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
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
        if this.body.is_reached() {
            return this.poll_closed(cx);
        }
        if this.ahead.is_empty() && ready!(this.poll_fill(cx))? == 0 {
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
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        Shutdown::shutdown(&mut *self.inner).await;
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for ClientStream {}

#[async_trait]
impl Peek for ClientStream {}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}
