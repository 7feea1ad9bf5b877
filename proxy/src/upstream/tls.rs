//! TLS to servers: whom to expect there, and whose word for it is taken.
//!
//! Made once, when the configuration is read, so that a wrong file is told before anything runs.
//! Pingora makes the handshakes of requests, and [`super::probe`] those of health checks, both by
//! what stands here.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::{HttpPeer, Scheme};
use pingora_core::utils::tls::{WrappedX509, parse_x509};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{self, CertificateDer};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The name that servers must prove to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerName {
    text: String,
    name: pki_types::ServerName<'static>,
}

impl FromStr for ServerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = pki_types::ServerName::try_from(text.to_owned())
            .map_err(|_| format!("expected a name such as \"api.internal\", got {text:?}"))?;
        Ok(Self {
            text: text.to_owned(),
            name,
        })
    }
}

/// Those whose word for a server is taken, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// Reads them from a PEM text.
    pub fn of_pem(pem: &[u8]) -> Result<Self, String> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let found = found.map_err(|_| "the file is not PEM".to_owned())?;
        if found.is_empty() {
            return Err("there is no certificate in the file".to_owned());
        }
        let mut roots = RootCertStore::empty();
        for authority in &found {
            let unusable = |error: &dyn fmt::Display| {
                format!("a certificate in the file cannot be used: {error}")
            };
            roots.add(authority.clone()).map_err(|e| unusable(&e))?;
            X509Certificate::from_der(authority).map_err(|e| unusable(&e))?;
        }
        Ok(Self(found))
    }

    /// The same for Pingora.
    fn for_pingora(&self) -> Arc<CaType> {
        let ours = self.0.iter();
        ours.map(|ca| WrappedX509::new(ca.to_vec(), parse_x509))
            .collect()
    }
}

/// How connections to the servers of an upstream are secured.
#[derive(Clone)]
pub struct Tls {
    server_name: ServerName,
    /// `None`: whom the system trusts.
    authorities: Option<Authorities>,
    /// The same for Pingora.
    ca: Option<Arc<CaType>>,
    client: Arc<ClientConfig>,
}

impl Tls {
    /// Expects servers that prove to have this name by the word of these authorities, or else of
    /// those that the system trusts. Fails with a sentence.
    pub fn new(server_name: ServerName, authorities: Option<Authorities>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let trusted = match &authorities {
            Some(Authorities(given)) => given.clone(),
            None => rustls_native_certs::load_native_certs().unwrap_or_default(),
        };
        roots.add_parsable_certificates(trusted);
        if roots.is_empty() {
            return Err("this system trusts no authority: expected `ca`".to_owned());
        }
        let versions = [&rustls::version::TLS12, &rustls::version::TLS13];
        let mut client = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&versions)
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            ca: authorities.as_ref().map(Authorities::for_pingora),
            server_name,
            authorities,
            client: Arc::new(client),
        })
    }

    /// Has Pingora speak TLS with a peer.
    pub(super) fn secure(&self, peer: &mut HttpPeer) {
        peer.scheme = Scheme::HTTPS;
        peer.sni.clone_from(&self.server_name.text);
        peer.options.ca.clone_from(&self.ca);
    }

    /// Makes the handshake on a connection.
    pub(super) async fn connect<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = TlsConnector::from(Arc::clone(&self.client));
        connector
            .connect(self.server_name.name.clone(), stream)
            .await
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.server_name == other.server_name && self.authorities == other.authorities
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .field("authorities", &self.authorities)
            .finish_non_exhaustive()
    }
}

/// Why there is no trust in a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distrust {
    /// None of those whose word is taken has signed its certificate.
    Issuer,
    /// Its certificate is for another name.
    Name,
    /// Its certificate has expired, or is not valid yet.
    Expired,
    /// Its certificate is wrong in another way.
    Certificate,
    /// It does not speak TLS, or none that this proxy speaks.
    Handshake,
}

impl Distrust {
    /// Finds the reason behind a failed connection, if it is one of these.
    pub(super) fn behind(error: &io::Error) -> Option<Self> {
        let cause = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        Some(match cause {
            rustls::Error::InvalidCertificate(fault) => match fault {
                // Not signed by the one whose name it bears is signed by somebody else.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Issuer,
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::Name,
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Expired,
                _ => Self::Certificate,
            },
            _ => Self::Handshake,
        })
    }

    /// The words for the status page.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issuer => "certificate signed by nobody who is trusted",
            Self::Name => "certificate for another name",
            Self::Expired => "certificate expired or not valid yet",
            Self::Certificate => "certificate not valid",
            Self::Handshake => "TLS handshake failed",
        }
    }
}
