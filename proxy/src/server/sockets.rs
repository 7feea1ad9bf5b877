//! The ports that the proxy listens on, bound before anything else starts.

use std::io;
use std::net::{SocketAddr, TcpListener};

use super::StartError;
use crate::config::Config;
use crate::keepalive;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// How many bytes of answers the system holds for a client beyond those that are on their way.
const UNSENT: u32 = 128 * 1024;

/// The sockets that the proxy listens on, bound and not yet accepting.
#[derive(Debug)]
pub struct Sockets {
    pub(super) public: Vec<TcpListener>,
    pub(super) secure: Option<TcpListener>,
    pub(super) admin: Option<TcpListener>,
}

impl Sockets {
    /// Binds every address that is configured.
    pub fn bind(config: &Config) -> Result<Self, StartError> {
        let public: Result<_, _> = config.listen.iter().copied().map(bind).collect();
        Ok(Self {
            public: public?,
            secure: config
                .tls
                .as_ref()
                .map(|tls| bind(tls.listen))
                .transpose()?,
            admin: config.admin.map(bind).transpose()?,
        })
    }

    /// The addresses that clients may use, with the real ports where 0 was asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.public
            .iter()
            .filter_map(|l| l.local_addr().ok())
            .collect()
    }

    /// The address that clients may use over TLS.
    pub fn secure_address(&self) -> Option<SocketAddr> {
        self.secure.as_ref().and_then(|l| l.local_addr().ok())
    }

    /// The address of the admin listener.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|l| l.local_addr().ok())
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = || -> io::Result<TcpListener> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            None,
        )?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        prepare(&socket)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listener().map_err(|cause| StartError::Bind { address, cause })
}

/// Sets what every connection inherits from the listener through which it comes: once, and not for
/// each of them.
fn prepare(listener: &socket2::Socket) -> io::Result<()> {
    // Without it an answer in two writes may wait for the client's delayed ACK.
    listener.set_tcp_nodelay(true)?;
    keepalive::watch(listener);
    // What the client does not take stays with us, where it is bounded and watched.
    listener.set_tcp_notsent_lowat(UNSENT)
}

/// Says what can be done about a port that cannot be had.
pub(super) fn explain(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            "another program is using this port; stop it or change `listen`".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "not permitted; take a port above 1023 or grant the right to bind it".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        _ => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    #[test]
    fn a_connection_inherits_what_was_set_of_its_listener() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let address = listener.local_addr().unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        let (connection, _) = listener.accept().unwrap();
        let connection = SockRef::from(&connection);
        assert!(connection.tcp_nodelay().unwrap());
        assert!(connection.keepalive().unwrap());
        assert_eq!(connection.tcp_notsent_lowat().unwrap(), UNSENT);
    }
}
