//! Connections to servers: the only place that makes them, TCP and Unix sockets alike.
//!
//! Pingora calls [`Dialler`] through `PeerOptions::custom_l4`. The dialler leaves a [`CutHandle`]
//! in the connection's digest, so that [`super::silence`] can end a try on a server that has gone
//! silent without a read timeout, which would also cut slow streams and slow uploads.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::connectors::l4::Connect;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{Digest, GetProxyDigest};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use tokio::net::{TcpStream, UnixStream};

/// A duplicate of a connection's socket, kept to shut the connection down from outside.
///
/// A duplicate, because by the time somebody wants to cut it the connection may be closed and its
/// descriptor's number may belong to another socket.
#[derive(Debug)]
pub struct CutHandle(OwnedFd);

impl CutHandle {
    /// Ends the connection: reads and writes on it end at once.
    pub fn cut(&self) {
        // An error means that the connection is gone already.
        let _ = socket2::SockRef::from(&self.0).shutdown(Shutdown::Both);
    }

    /// Whether something has arrived that was not read yet, be it the end.
    pub fn has_unread(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        socket2::SockRef::from(&self.0).peek(&mut byte).is_ok()
    }

    /// Finds the handle that the dialler left in a connection's digest.
    pub fn of(digest: &Digest) -> Option<Arc<Self>> {
        let left = digest.proxy_digest.as_ref()?.user_data.as_ref()?;
        left.downcast_ref::<Arc<Self>>().cloned()
    }
}

/// Makes connections within a limit.
#[derive(Debug)]
pub struct Dialler {
    limit: Duration,
}

impl Dialler {
    /// A dialler that gives up after `limit`.
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }

    async fn open(&self, address: &SocketAddr) -> io::Result<(Stream, OwnedFd)> {
        match address {
            SocketAddr::Inet(address) => {
                let tcp = self.within(TcpStream::connect(address)).await?;
                let duplicate = tcp.as_fd().try_clone_to_owned()?;
                Ok((tcp.into(), duplicate))
            }
            SocketAddr::Unix(address) => {
                let path = address
                    .as_pathname()
                    .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
                let unix = self.within(UnixStream::connect(path)).await?;
                let duplicate = unix.as_fd().try_clone_to_owned()?;
                Ok((unix.into(), duplicate))
            }
        }
    }

    async fn within<T>(&self, connect: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        tokio::time::timeout(self.limit, connect)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

#[async_trait]
impl Connect for Dialler {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let (mut stream, duplicate) = self
            .open(address)
            .await
            .map_err(|error| Error::because(kind(&error), "connecting", error))?;
        let handle: Box<dyn std::any::Any + Send + Sync> = Box::new(Arc::new(CutHandle(duplicate)));
        // The digest asks for the answer of a CONNECT proxy, which there is none of.
        let nobody = Box::new(ResponseHeader::build(200, None)?);
        stream.set_proxy_digest(ProxyDigest::new(nobody, Some(handle)));
        Ok(stream)
    }
}

fn kind(error: &io::Error) -> ErrorType {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
        io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
        _ => ErrorType::ConnectError,
    }
}
