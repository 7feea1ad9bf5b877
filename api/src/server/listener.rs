//! The sockets on which the API listens: TCP, or a Unix socket in the file system.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tokio::fs;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use crate::config::Listen;

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// On a TCP port.
    Tcp(TcpListener),
    /// On a Unix socket: its path and its number in the file system.
    Unix(UnixListener, PathBuf, u64),
}

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// An address that can be had, on which nobody is heard yet.
#[derive(Debug)]
pub enum Claim {
    /// A TCP port, bound.
    Tcp(TcpSocket, SocketAddr),
    /// The path of a Unix socket that nobody serves. It has no file yet, which would look like a server.
    Unix(PathBuf),
}

/// A connection that was just accepted.
pub(super) enum Accepted {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

/// Why it cannot listen, in one sentence that names the address.
#[derive(Debug, thiserror::Error)]
pub enum CannotListen {
    /// Somebody else listens there.
    #[error("API_LISTEN (--listen): {0} is in use")]
    InUse(String),
    /// The path of a Unix socket is something else.
    #[error("API_LISTEN (--listen): {0} is there and is not a socket")]
    NotASocket(String),
    /// The system refused.
    #[error("API_LISTEN (--listen): cannot listen on {address}: {cause}")]
    Refused {
        /// Where.
        address: String,
        /// Why.
        cause: io::Error,
    },
}

impl CannotListen {
    fn because(address: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |cause| match cause.kind() {
            ErrorKind::AddrInUse => Self::InUse(address.to_string()),
            _ => Self::Refused {
                address: address.to_string(),
                cause,
            },
        }
    }
}

impl Claim {
    /// Makes sure of an address, so that a wrong one is told before a database is waited for. The file of a
    /// Unix socket that nobody serves any more is removed.
    pub async fn of(listen: &Listen) -> Result<Self, CannotListen> {
        match listen {
            Listen::Tcp(address) => {
                let bound = bound(*address).map_err(CannotListen::because(address))?;
                Ok(Self::Tcp(bound, *address))
            }
            Listen::Unix(path) => {
                remove_stale(path).await?;
                check_folder(path)
                    .await
                    .map_err(CannotListen::because(path.display()))?;
                Ok(Self::Unix(path.clone()))
            }
        }
    }

    /// Begins to listen.
    pub async fn listen(self) -> Result<Listener, CannotListen> {
        match self {
            Self::Tcp(bound, address) => {
                let listener = bound.listen(BACKLOG);
                listener
                    .map(Listener::Tcp)
                    .map_err(CannotListen::because(address))
            }
            Self::Unix(path) => {
                let because = || CannotListen::because(path.display());
                // Somebody else may have come and gone since.
                remove_stale(&path).await?;
                let listener = UnixListener::bind(&path).map_err(because())?;
                let number = fs::metadata(&path).await.map_err(because())?.ino();
                Ok(Listener::Unix(listener, path, number))
            }
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of a predecessor that are still closing do not keep the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn check_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !fs::metadata(folder).await?.is_dir() => {
            Err(ErrorKind::NotADirectory.into())
        }
        _ => Ok(()),
    }
}

impl Listener {
    /// Begins to listen at once.
    pub async fn bind(listen: &Listen) -> Result<Self, CannotListen> {
        Claim::of(listen).await?.listen().await
    }

    /// Waits for the next connection.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Accepted::Tcp(stream, peer.ip()))
            }
            Self::Unix(listener, ..) => Ok(Accepted::Unix(listener.accept().await?.0)),
        }
    }

    /// Stops listening. The file of a Unix socket goes too, unless a successor has put its own there.
    pub(super) async fn close(self) {
        if let Self::Unix(_, path, number) = &self
            && fs::metadata(path)
                .await
                .is_ok_and(|file| file.ino() == *number)
        {
            // Nobody can be helped who wants to know that it failed: the next start takes the file over.
            drop(fs::remove_file(path).await);
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(formatter, "{address}"),
                Err(_) => formatter.write_str("a TCP port"),
            },
            Self::Unix(_, path, _) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// Tells an error of one connection, gone before it was accepted, from one of the listener.
pub(super) fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::InvalidInput
            | ErrorKind::NotConnected
    )
}

/// Removes the file of a socket on which nobody listens any more.
async fn remove_stale(path: &Path) -> Result<(), CannotListen> {
    let name = || path.display().to_string();
    let file = match fs::symlink_metadata(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(CannotListen::because(path.display())(error)),
    };
    if !file.file_type().is_socket() {
        return Err(CannotListen::NotASocket(name()));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .await
            .map_err(CannotListen::because(path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != ErrorKind::WouldBlock => {
            Err(CannotListen::because(path.display())(error))
        }
        // It listens, even if its queue is full.
        Ok(_) | Err(_) => Err(CannotListen::InUse(name())),
    }
}
