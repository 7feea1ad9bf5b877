//! The certificate that clients over TLS are shown, and what happens when its files change.
//!
//! [`crate::config`] reads it once before a port is bound; [`crate::server`] shows it in every
//! handshake and has it [followed](Shown::follow). A pair that does not fit is told once, and the
//! one before stays.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use pingora_rustls::sign::CertifiedKey;
use pingora_rustls::{ClientHello, CryptoProvider, ResolvesServerCert};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::unreadable;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is set under `[tls]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The file with the certificate and those that lead to its authority, in PEM.
    pub certificate: PathBuf,
    /// The file with its key, in PEM.
    pub key: PathBuf,
    /// Whether clients of the plain ports are sent here, and told to come here at once next time.
    pub redirect: bool,
}

/// What is wrong with a pair of files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Unusable {
    /// The key of `[tls]` that names the file at fault.
    pub key: &'static str,
    /// What was expected and what is there.
    pub sentence: String,
}

impl Unusable {
    fn certificate(sentence: impl Into<String>) -> Self {
        Self {
            key: "certificate",
            sentence: sentence.into(),
        }
    }

    fn key(sentence: impl Into<String>) -> Self {
        Self {
            key: "key",
            sentence: sentence.into(),
        }
    }
}

/// Reads a certificate and its key; the error is at least one for each file that cannot be used.
/// Blocks, so it is for the time of loading.
pub fn load(tls: &Tls) -> Result<CertifiedKey, Vec<Unusable>> {
    pingora_rustls::install_default_crypto_provider();
    let (chain, key) = match (chain(&tls.certificate), private_key(&tls.key)) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return Err(chain.err().into_iter().chain(key.err()).collect()),
    };
    let unfit = |why: &dyn fmt::Display| {
        let sentence = format!("the certificate and the key do not fit: {why}");
        vec![Unusable::certificate(sentence)]
    };
    let provider = CryptoProvider::get_default().ok_or_else(|| unfit(&"no cryptography"))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| unfit(&error))
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let pem = read(file).map_err(Unusable::certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.unwrap_or_default();
    if chain.is_empty() {
        let place = file.display();
        let sentence = format!("expected a certificate in PEM: there is none in {place}");
        return Err(Unusable::certificate(sentence));
    }
    Ok(chain)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Unusable> {
    let pem = read(file).map_err(Unusable::key)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let sentence = format!(
            "expected a private key in PEM: there is none in {}",
            file.display()
        );
        Unusable::key(sentence)
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "read before a worker runs, or by a thread that may block"
)]
fn read(file: &Path) -> Result<Vec<u8>, String> {
    let read = std::fs::read(file);
    read.map_err(|error| {
        format!(
            "{}: {}",
            unreadable::sentence("file", &error),
            file.display()
        )
    })
}

/// From when and until when a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub begin: SystemTime,
    /// The last one.
    pub end: SystemTime,
}

/// Reads how long the certificate is good, if it can be read. Blocks.
pub fn validity(tls: &Tls) -> Option<Validity> {
    let shown = load(tls).ok()?;
    let (_, certificate) = X509Certificate::from_der(shown.cert.first()?).ok()?;
    let moment = |seconds: i64| {
        let since_1970 = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        SystemTime::UNIX_EPOCH.checked_add(since_1970)
    };
    let validity = certificate.validity();
    Some(Validity {
        begin: moment(validity.not_before.timestamp())?,
        end: moment(validity.not_after.timestamp())?,
    })
}

/// The certificate that is shown at the moment.
#[derive(Debug)]
pub struct Shown(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Shown {
    /// Shows this one from now on.
    pub fn new(certificate: CertifiedKey) -> Self {
        Self(ArcSwap::from_pointee(certificate))
    }

    /// Looks at the files for ever, and shows what is in them once they have changed.
    pub async fn follow(self: Arc<Self>, tls: Tls) {
        let mut seen = stamps(&tls).await;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = stamps(&tls).await;
            if now == seen {
                continue;
            }
            seen = now;
            let again = tls.clone();
            match tokio::task::spawn_blocking(move || load(&again)).await {
                Ok(Ok(certificate)) => {
                    self.0.store(Arc::new(certificate));
                    tracing::info!(file = %tls.certificate.display(), "another certificate is shown");
                }
                Ok(Err(unusable)) => {
                    for error in unusable {
                        tracing::error!(%error, "the certificate stays as it was");
                    }
                }
                Err(error) => tracing::error!(%error, "the certificate could not be read"),
            }
        }
    }
}

/// When each of the files was changed, and how long it is; none if it is not there.
async fn stamps(tls: &Tls) -> [Option<(SystemTime, u64)>; 2] {
    [stamp(&tls.certificate).await, stamp(&tls.key).await]
}

async fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let metadata = tokio::fs::metadata(file).await.ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
