//! Connections to servers: the only place that makes them, TCP and Unix sockets alike.
//!
//! Pingora calls [`Dialler`] through `PeerOptions::custom_l4`. The dialler leaves a [`CutHandle`]
//! in the connection's digest, so that [`super::silence`] can end a try on a server that has gone
//! silent without a read timeout, which would also cut slow streams and slow uploads.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
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
use tokio::time::sleep;

use super::relay::{self, Gate};
use crate::figures::Counted;
use crate::keepalive;

/// The pause before another attempt to get into the queue of a Unix socket.
const QUEUE_FULL: Duration = Duration::from_millis(2);

/// A duplicate of a connection's socket, kept to shut the connection down from outside.
///
/// A duplicate, because by the time somebody wants to cut it the connection may be closed and its
/// descriptor's number may belong to another socket.
#[derive(Debug)]
pub struct CutHandle {
    socket: OwnedFd,
    /// Where bytes to a Unix socket are kept back.
    gate: Option<Gate>,
    /// It lives as long as the connection, or its near end.
    _counted: Counted,
}

impl CutHandle {
    /// Ends the connection: reads and writes on it end at once.
    pub fn cut(&self) {
        // An error means that the connection is gone already.
        let _ = socket2::SockRef::from(&self.socket).shutdown(Shutdown::Both);
    }

    /// Keeps back what is written from now on until [`Self::let_go`], for 200 ms at most (`TCP_CORK`). On a Unix
    /// socket it takes a dialler [for tunnels](Dialler::for_tunnels).
    pub fn keep_back(&self) {
        match &self.gate {
            Some(gate) => gate.shut(),
            // An error means that the connection is gone already, or is none of TCP.
            None => drop(socket2::SockRef::from(&self.socket).set_tcp_cork(true)),
        }
    }

    /// Sends what was kept back.
    pub fn let_go(&self) {
        match &self.gate {
            Some(gate) => gate.open(),
            None => drop(socket2::SockRef::from(&self.socket).set_tcp_cork(false)),
        }
    }

    /// Whether something has arrived that was not read yet, be it the end.
    pub fn has_unread(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        socket2::SockRef::from(&self.socket).peek(&mut byte).is_ok()
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
    open: Arc<AtomicUsize>,
    for_tunnels: bool,
}

impl Dialler {
    /// A dialler that gives up after `limit`, and counts the connections that are `open`.
    pub fn new(limit: Duration, open: Arc<AtomicUsize>) -> Self {
        Self {
            limit,
            open,
            for_tunnels: false,
        }
    }

    /// The same, for connections on which something may have to be kept back.
    #[must_use]
    pub fn for_tunnels(&self) -> Self {
        Self {
            limit: self.limit,
            open: Arc::clone(&self.open),
            for_tunnels: true,
        }
    }

    async fn open(&self, address: &SocketAddr) -> io::Result<(Stream, OwnedFd, Option<Gate>)> {
        match address {
            SocketAddr::Inet(address) => {
                let tcp = self.within(TcpStream::connect(address)).await?;
                keepalive::watch(&tcp);
                let duplicate = tcp.as_fd().try_clone_to_owned()?;
                Ok((tcp.into(), duplicate, None))
            }
            SocketAddr::Unix(address) => {
                let path = address
                    .as_pathname()
                    .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
                let mut unix = self.within(connect_unix(path)).await?;
                let mut gate = None;
                if self.for_tunnels {
                    let (near, before) = relay::before(unix)?;
                    (unix, gate) = (near, Some(before));
                }
                let duplicate = unix.as_fd().try_clone_to_owned()?;
                Ok((unix.into(), duplicate, gate))
            }
        }
    }

    async fn within<T>(&self, connect: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        tokio::time::timeout(self.limit, connect)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

/// Connects to a Unix socket.
///
/// Where a TCP connection would wait for a place in the listener's queue, this one is told to come
/// again: a queue that is full for a moment does not make a server unreachable.
pub(super) async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(QUEUE_FULL).await,
            connected => return connected,
        }
    }
}

/// Whether a connection failed for want of something on this side, such as descriptors or ports:
/// that says nothing about the server.
pub(super) fn is_our_trouble(error: &io::Error) -> bool {
    const OURS: [i32; 5] = [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOBUFS,
        libc::ENOMEM,
        libc::EADDRNOTAVAIL,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| OURS.contains(&code))
}

#[async_trait]
impl Connect for Dialler {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let (mut stream, duplicate, gate) = self
            .open(address)
            .await
            .map_err(|error| Error::because(kind(&error), "connecting", error))?;
        let handle = CutHandle {
            socket: duplicate,
            gate,
            _counted: Counted::one(&self.open),
        };
        let handle: Box<dyn std::any::Any + Send + Sync> = Box::new(Arc::new(handle));
        // The digest asks for the answer of a CONNECT proxy, which there is none of.
        let nobody = Box::new(ResponseHeader::build(200, None)?);
        stream.set_proxy_digest(ProxyDigest::new(nobody, Some(handle)));
        Ok(stream)
    }
}

fn kind(error: &io::Error) -> ErrorType {
    if is_our_trouble(error) {
        return ErrorType::SocketError;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
        io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
        _ => ErrorType::ConnectError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let address = socket2::SockAddr::unix(&path).unwrap();
        let listener =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        listener.bind(&address).unwrap();
        listener.listen(0).unwrap();
        let _in_the_queue = connect_unix(&path).await.unwrap();
        let next = tokio::spawn(async move { connect_unix(&path).await });
        tokio::task::yield_now().await;
        assert!(!next.is_finished(), "there is no place for it");
        listener.accept().unwrap();
        next.await.unwrap().unwrap();
    }

    #[test]
    fn only_what_no_server_can_cause_is_our_trouble() {
        for (code, ours) in [
            (libc::EMFILE, true),
            (libc::EADDRNOTAVAIL, true),
            (libc::ECONNREFUSED, false),
            (libc::EHOSTUNREACH, false),
            (libc::ETIMEDOUT, false),
            (libc::ENOENT, false),
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(is_our_trouble(&error), ours, "{error}");
        }
    }
}
