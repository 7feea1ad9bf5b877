//! Handshakes with clients over TLS 1.2 and 1.3.

use std::sync::Arc;

use pingora_core::listeners::tls::Acceptor;
use pingora_core::protocols::Stream;
use pingora_core::protocols::l4::stream::Stream as Plain;
use pingora_rustls::ServerConfig;
use tokio::net::TcpStream;

use crate::certificate::Shown;

/// Whether a client that is to shake hands begins with a letter: it speaks HTTP in plain text, for
/// a handshake begins with a byte that is none. Waits for that byte and leaves it where it is.
pub(super) async fn speaks_plain(connection: &TcpStream) -> bool {
    let mut first = [0];
    matches!(connection.peek(&mut first).await, Ok(1) if first[0].is_ascii_alphabetic())
}

/// What makes connections secure.
pub(super) struct Handshakes(Acceptor);

impl Handshakes {
    pub(super) fn new(certificate: Arc<Shown>) -> Self {
        pingora_rustls::install_default_crypto_provider();
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(certificate);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self(Acceptor::from_server_config(Arc::new(config)))
    }

    /// Shakes hands; `None` when the client does not, and why is in the log for those who look.
    pub(super) async fn shake(&self, connection: Plain) -> Option<Stream> {
        match self.0.tls_handshake(connection).await {
            Ok(stream) => Some(Box::new(stream)),
            Err(error) => {
                tracing::debug!(%error, "no TLS handshake");
                None
            }
        }
    }
}
