//! TLS to servers: requests and health checks alike, and what is said of a server without trust.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::support::{Origin, Proxy, eventually};

/// Signs certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    fn sign(&self, name: &str, years: (i32, i32)) -> TlsAcceptor {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config).into()
    }

    fn fine(&self) -> TlsAcceptor {
        self.sign("api.internal", (2000, 4000))
    }
}

/// Speaks TLS in front of a plain server.
struct Secured {
    address: SocketAddr,
    acceptor: Arc<Mutex<TlsAcceptor>>,
}

impl Secured {
    async fn before(origin: &Origin, acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = Arc::new(Mutex::new(acceptor));
        let (shared, plain) = (Arc::clone(&acceptor), origin.address);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = shared.lock().unwrap().clone();
                tokio::spawn(async move {
                    // Who is not trusted is told so, and that is all.
                    let Ok(mut secured) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut plain = TcpStream::connect(plain).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut secured, &mut plain).await;
                });
            }
        });
        Self { address, acceptor }
    }

    /// Shows another certificate from now on.
    fn show(&self, acceptor: TlsAcceptor) {
        *self.acceptor.lock().unwrap() = acceptor;
    }
}

/// A proxy before servers that must prove to be `api.internal`; limits leave room for handshakes
/// on a busy machine.
async fn proxy(authority: &Authority, addresses: &[SocketAddr]) -> Proxy {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file.as_file(), authority.pem.as_bytes()).unwrap();
    let weights = [4, 6, 1, 1];
    let servers: Vec<_> = addresses
        .iter()
        .zip(weights)
        .map(|(address, weight)| format!("{{ address = \"{address}\", weight = {weight} }}"))
        .collect();
    Proxy::start(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = "127.0.0.1:0"
        [log]
        access = "off"
        [[routes]]
        path = "/api"
        upstream = "music"
        [upstreams.music]
        servers = [{}]
        timeouts = {{ connect = "9s" }}
        health = {{ path = "/healthz", every = "100ms", timeout = "9s" }}
        tls = {{ server_name = "api.internal", ca = "{}" }}
        "#,
        servers.join(", "),
        file.path().display()
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_health_checks_are_secured() {
    let authority = Authority::new();
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let one = Secured::before(&a, authority.fine()).await;
    let two = Secured::before(&b, authority.fine()).await;
    let proxy = proxy(&authority, &[one.address, two.address]).await;
    proxy.until_up(2).await;
    for _ in 0..10 {
        let answer = proxy.post("/api/", &"x".repeat(100_000)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!((a.received().len(), b.received().len()), (4, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_trust_is_out_and_the_cause_is_said() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let a = Origin::start("a").await;
    let unknown = Secured::before(&a, stranger.fine()).await;
    let other = Secured::before(&a, authority.sign("api.example", (2000, 4000))).await;
    let expired = Secured::before(&a, authority.sign("api.internal", (2000, 2001))).await;
    let addresses = [unknown.address, other.address, expired.address, a.address];
    let proxy = proxy(&authority, &addresses).await;
    eventually("each cause is said", || async {
        proxy.states().await
            == [
                "certificate signed by nobody who is trusted",
                "certificate for another name",
                "certificate expired or not valid yet",
                "TLS handshake failed",
            ]
    })
    .await;
    assert_eq!(proxy.get("/api/").await.status, 503);
    assert!(a.received().is_empty());
    unknown.show(authority.fine());
    proxy.until_up(1).await;
    assert_eq!(proxy.get("/api/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_goes_wrong_costs_nobody_a_request() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let one = Secured::before(&a, authority.fine()).await;
    let two = Secured::before(&b, authority.fine()).await;
    let proxy = proxy(&authority, &[one.address, two.address]).await;
    proxy.until_up(2).await;
    two.show(stranger.fine());
    for _ in 0..10 {
        let answer = proxy.post("/api/", "x").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(a.received().len() + b.received().len(), 10);
    eventually("the cause is said", || async {
        proxy.states().await == ["up", "certificate signed by nobody who is trusted"]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_left_through_tls_too() {
    let authority = Authority::new();
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let one = Secured::before(&a, authority.fine()).await;
    let two = Secured::before(&b, authority.fine()).await;
    let proxy = proxy(&authority, &[one.address, two.address]).await;
    proxy.until_up(2).await;
    b.freeze(true);
    let began = Instant::now();
    let answer = proxy.get("/api/").await;
    assert_eq!((answer.status, answer.instance()), (200, "a"));
    assert!(began.elapsed() < Duration::from_secs(5), "{answer:?}");
}
