//! A client's connection without TLS: the system can send a file to it by itself, and it can be told to
//! end so that the client sees it broke off.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use rustix::fs::sendfile;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::gathered::Gathered;

/// A plain connection.
#[derive(Debug)]
pub struct PlainStream {
    tcp: TcpStream,
    digest: Arc<SocketDigest>,
    gathered: Mutex<Gathered>,
}

impl PlainStream {
    /// Takes a connection that was accepted.
    pub fn new(tcp: TcpStream) -> Self {
        let digest = SocketDigest::from_raw_fd(tcp.as_raw_fd());
        Self {
            tcp,
            digest: Arc::new(digest),
            gathered: Mutex::default(),
        }
    }

    /// Has these pieces, which are written next, go out together.
    pub(super) fn gather(&self, pieces: impl Iterator<Item = Bytes>) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.announce(pieces);
    }

    fn gathered(&mut self) -> &mut Gathered {
        let gathered = self.gathered.get_mut();
        gathered.unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits, and `more` behind it. Returns how many bytes of `more` were written: some,
    /// if something waited.
    fn poll_waiting(
        &mut self,
        cx: &mut Context<'_>,
        more: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let gathered = self.gathered.get_mut();
        let gathered = gathered.unwrap_or_else(PoisonError::into_inner);
        while !gathered.is_empty() {
            let slices = gathered.slices(more);
            let written = ready!(Pin::new(&mut self.tcp).poll_write_vectored(cx, &slices))?;
            drop(slices);
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_more = gathered.advance(written);
            if of_more > 0 {
                return Poll::Ready(Ok(of_more));
            }
        }
        Poll::Ready(Ok(0))
    }

    /// Has the system send bytes of a file that lies in memory; returns how many were taken.
    pub(super) fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: &OwnedFd,
        offset: u64,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            let sent = self.tcp.try_io(Interest::WRITABLE, || {
                let mut from = offset;
                Ok(sendfile(self.tcp.as_fd(), file, Some(&mut from), length)?)
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    /// Whether closing it is to reset it, instead of ending it in order.
    pub fn reset_when_closed(&self, does: bool) {
        let linger = does.then_some(Duration::ZERO);
        // An error means that the connection is gone already.
        let _ = SockRef::from(&self.tcp).set_linger(linger);
    }
}

impl AsyncRead for PlainStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, out)
    }
}

impl AsyncWrite for PlainStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let slice = [io::IoSlice::new(bytes)];
        if this.gathered().takes(&slice) {
            return Poll::Ready(Ok(bytes.len()));
        }
        match ready!(this.poll_waiting(cx, &slice))? {
            0 => Pin::new(&mut this.tcp).poll_write(cx, bytes),
            behind => Poll::Ready(Ok(behind)),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.gathered().takes(bytes) {
            return Poll::Ready(Ok(bytes.iter().map(|slice| slice.len()).sum()));
        }
        match ready!(this.poll_waiting(cx, bytes))? {
            0 => Pin::new(&mut this.tcp).poll_write_vectored(cx, bytes),
            behind => Poll::Ready(Ok(behind)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gathered().is_going_on() {
            // More follows at once.
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_waiting(cx, &[]))?;
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_waiting(cx, &[]))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for PlainStream {
    async fn shutdown(&mut self) {
        // An error means that the connection is gone already.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for PlainStream {
    fn id(&self) -> UniqueIDType {
        self.tcp.as_raw_fd()
    }
}

impl Ssl for PlainStream {}

impl Peek for PlainStream {}

impl GetTimingDigest for PlainStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for PlainStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for PlainStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.digest))
    }
}
