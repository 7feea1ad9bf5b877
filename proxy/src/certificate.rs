//! The certificate that clients over TLS are shown, and what happens when its files change.
//!
//! [`crate::config`] reads it once before a port is bound; [`crate::server`] shows it in every
//! handshake and has it [followed](Shown::follow). A pair that does not fit is told once, and the
//! one before stays.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use pingora_rustls::sign::CertifiedKey;
use pingora_rustls::{ClientHello, CryptoProvider, ResolvesServerCert};
use x509_parser::prelude::{FromDer, X509Certificate};

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

/// Why a pair of files cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// One of the files is not there, or cannot be read.
    #[error("cannot read {0}")]
    Unreadable(String),
    /// There is nothing in them that is needed.
    #[error("expected a certificate and its private key in PEM")]
    Empty,
    /// They do not belong together, or are of a kind that is not known.
    #[error("the certificate and the key do not fit: {0}")]
    Unfit(String),
}

/// Reads a certificate and its key. Blocks, so it is for the time of loading.
pub fn load(tls: &Tls) -> Result<CertifiedKey, Unusable> {
    pingora_rustls::install_default_crypto_provider();
    for file in [&tls.certificate, &tls.key] {
        let opened = std::fs::File::open(file);
        opened.map_err(|error| {
            Unusable::Unreadable(format!("{}: {}", file.display(), error.kind()))
        })?;
    }
    let (certificate, key) = (tls.certificate.to_string_lossy(), tls.key.to_string_lossy());
    let read = pingora_rustls::load_certs_and_key_files(&certificate, &key);
    let (chain, key) = read.ok().flatten().ok_or(Unusable::Empty)?;
    let provider = CryptoProvider::get_default().ok_or(Unusable::Empty)?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| Unusable::Unfit(error.to_string()))
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
                Ok(Err(error)) => {
                    tracing::error!(%error, "the certificate stays as it was");
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
