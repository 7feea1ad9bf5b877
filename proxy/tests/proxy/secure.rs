//! Clients over TLS: versions, the certificate and its replacement, and the way from the plain port.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pingora_rustls::{
    CertificateDer, ClientConfig, ClientTlsStream, RootCertStore, ServerName, TlsConnector, version,
};
use rustls::SupportedProtocolVersion;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::answer::{Answer, exchange, read_to_end};
use crate::raw::{FINE, RawOrigin, Reply};
use crate::steady::STEADY;
use crate::support::{BOUND, Proxy};

/// A certificate for `localhost`, signed by itself, and its key.
pub(crate) struct Pair {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: String,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        Self {
            certificate: made.cert.der().clone(),
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
        }
    }

    /// Writes both files as somebody would who replaces them: each at once.
    pub(crate) fn write(&self, folder: &Path) {
        for (name, text) in [
            ("tls.key", &self.key_pem),
            ("tls.crt", &self.certificate_pem),
        ] {
            let new = folder.join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, folder.join(name)).unwrap();
        }
    }

    /// Connects to an address and expects this certificate.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
    ) -> std::io::Result<ClientTlsStream<TcpStream>> {
        self.connect_by(address, &[&version::TLS12, &version::TLS13])
            .await
    }

    async fn connect_by(
        &self,
        address: SocketAddr,
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<ClientTlsStream<TcpStream>> {
        self.connect_for(address, versions, &[]).await
    }

    /// Connects with these versions of TLS and offers to speak these protocols.
    pub(crate) async fn connect_for(
        &self,
        address: SocketAddr,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> std::io::Result<ClientTlsStream<TcpStream>> {
        pingora_rustls::install_default_crypto_provider();
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let mut config = ClientConfig::builder_with_protocol_versions(versions)
            .with_root_certificates(roots)
            .with_no_client_auth();
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
        config.alpn_protocols = protocols.collect();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }
}

/// A proxy with a plain and a secure port before one server.
pub(crate) struct Secure {
    pub(crate) proxy: Proxy,
    pub(crate) origin: RawOrigin,
    pub(crate) pair: Pair,
    pub(crate) folder: TempDir,
}

impl Secure {
    pub(crate) async fn start(redirect: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = Pair::new();
        pair.write(folder.path());
        std::fs::write(folder.path().join("index.html"), "home").unwrap();
        let origin = RawOrigin::start(Reply::Keep(FINE)).await;
        let proxy = Proxy::start(&format!(
            r#"
            listen = ["127.0.0.1:0"]
            admin = "127.0.0.1:0"
            [tls]
            listen = "127.0.0.1:0"
            certificate = "{folder}/tls.crt"
            key = "{folder}/tls.key"
            redirect = {redirect}
            [clients]
            header_timeout = "2s"
            [log]
            access = "off"
            [[routes]]
            path = "/api"
            upstream = "music"
            max_body = "1 MiB"
            [[routes]]
            path = "/files"
            files = "{folder}"
            [upstreams.music]
            servers = [{{ address = "{address}" }}]
            {STEADY}
            "#,
            folder = folder.path().display(),
            address = origin.address,
        ))
        .await;
        proxy.until_up(1).await;
        Self {
            proxy,
            origin,
            pair,
            folder,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.secure.unwrap()
    }

    async fn ask(&self, path: &str) -> Answer {
        let mut stream = self.pair.connect(self.address()).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_tls_is_served_and_says_so() {
    let secure = Secure::start(false).await;
    let answer = secure.ask("/api/").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    assert_eq!(answer.field("strict-transport-security"), None);
    let seen = secure.origin.take_seen();
    assert_eq!(seen[0].field("x-forwarded-proto"), ["https"]);
    let plain = secure.proxy.get("/api/").await;
    assert_eq!(plain.status, 200);
    assert_eq!(
        secure.origin.take_seen()[0].field("x-forwarded-proto"),
        ["http"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_are_spoken() {
    let secure = Secure::start(false).await;
    for version in [&version::TLS12, &version::TLS13] {
        let stream = secure
            .pair
            .connect_by(secure.address(), &[version])
            .await
            .unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!(session.protocol_version(), Some(version.version));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_is_agreed_on_or_the_handshake_fails() {
    let secure = Secure::start(false).await;
    let versions = &[&version::TLS12, &version::TLS13];
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Ok(Some("h2"))),
        (&["http/1.1", "h2"], Ok(Some("h2"))),
        (&["h2"], Ok(Some("h2"))),
        (&["http/1.1"], Ok(Some("http/1.1"))),
        (&["spdy/3", "http/1.1"], Ok(Some("http/1.1"))),
        (&[], Ok(None)),
        (&["h3"], Err(())),
        (&["http/1.0"], Err(())),
    ] {
        let connected = secure
            .pair
            .connect_for(secure.address(), versions, offered)
            .await;
        let seen = connected.map_err(|_| ()).map(|stream| {
            let protocol = stream.get_ref().1.alpn_protocol();
            protocol.map(|protocol| String::from_utf8_lossy(protocol).into_owned())
        });
        let agreed = agreed.map(|agreed| agreed.map(str::to_owned));
        assert_eq!(seen, agreed, "{offered:?}");
    }
    assert_eq!(secure.ask("/api/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_port_leads_to_the_secure_one() {
    let secure = Secure::start(true).await;
    // The port stands in the configuration of this test as 0.
    let port = 0;
    for (path, location) in [
        ("/api/?a=b", format!("https://x:{port}/api/?a=b")),
        ("/files/", format!("https://x:{port}/files/")),
        ("/none", format!("https://x:{port}/none")),
    ] {
        let answer = secure.proxy.get(path).await;
        assert_eq!(answer.status, 308, "{path}");
        assert_eq!(answer.field("location"), Some(location.as_str()));
        assert_eq!(answer.instance(), "proxy");
    }
    let nameless = secure.proxy.raw("GET /api/ HTTP/1.0\r\n\r\n").await;
    assert_eq!(nameless.status, 403);
    assert!(secure.origin.take_seen().is_empty());
    for path in ["/api/", "/files/", "/none"] {
        let answer = secure.ask(path).await;
        assert_eq!(
            answer.field("strict-transport-security"),
            Some("max-age=31536000"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_is_shown_once_both_files_fit() {
    let secure = Secure::start(false).await;
    let next = Pair::new();
    // A certificate that its key does not fit is not shown.
    std::fs::write(secure.folder.path().join("tls.crt"), &next.certificate_pem).unwrap();
    let end = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < end {
        assert!(secure.pair.connect(secure.address()).await.is_ok());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    next.write(secure.folder.path());
    let end = Instant::now() + BOUND;
    while next.connect(secure.address()).await.is_err() {
        assert!(Instant::now() < end, "the new certificate is not shown");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(secure.pair.connect(secure.address()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_shake_hands_is_let_go() {
    let secure = Secure::start(false).await;
    for said in [
        &b""[..],
        b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ] {
        let mut stream = TcpStream::connect(secure.address()).await.unwrap();
        stream.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        // An alert may come first; the end must come.
        let ended = tokio::time::timeout(BOUND, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{said:?}");
    }
    assert_eq!(secure.ask("/api/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_on_the_secure_port_is_told_so_in_plain_http() {
    let secure = Secure::start(false).await;
    for said in [
        "GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "post /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "G",
    ] {
        let answer = exchange(secure.address(), said).await;
        assert_eq!(answer.status, 400, "{said:?}");
        assert_eq!(answer.instance(), "proxy");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains("https"), "{detail}");
    }
    assert!(secure.origin.take_seen().is_empty());
    assert_eq!(secure.ask("/api/").await.status, 200);
}
