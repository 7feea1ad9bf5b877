//! An API that runs inside the test, a client for it, and a way to wait without luck.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use api::auth::accounts;
use api::auth::password::Passwords;
use api::config::{DatabaseConfig, Listen};
use api::database::Database;
use api::instance::{Instance, InstanceName};
use api::permission::{Access, Permission, TrustedProxies};
use api::router::{self, App};
use api::server::{self, Limits, Listener};
use api::stop::{Stop, Stopper};
use axum::body::{Body, Bytes};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// The name of the instance in these tests.
pub(crate) const NAME: &str = "api_7";
/// Whatever is waited for takes no longer than this, or the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How an API of a test differs from the usual.
pub(crate) struct Setup {
    pub(crate) permission: Permission,
    pub(crate) connections: u32,
    pub(crate) limits: Limits,
    pub(crate) passwords: Passwords,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            permission: Permission::Open,
            connections: 4,
            limits: Limits::default(),
            passwords: Passwords::default(),
        }
    }
}

/// A running API.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    pub(crate) stopper: Stopper,
    serving: JoinHandle<()>,
}

/// A database can be dropped at the end of its test only when nobody is connected to it.
impl Drop for Api {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Api {
    /// Starts an API that anyone may write to.
    pub(crate) async fn start(database: &PgConnectOptions) -> Self {
        Self::start_with(database, Setup::default()).await
    }

    pub(crate) async fn start_with(database: &PgConnectOptions, setup: Setup) -> Self {
        let listen = Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = Listener::bind(&listen).await.unwrap();
        let address = listener.to_string().parse().unwrap();
        let (stopper, stop) = Stop::pair();
        let app = app(database, &setup, stop.clone()).await;
        let serving = tokio::spawn(server::serve(listener, app, stop, setup.limits));
        Self {
            address,
            stopper,
            serving,
        }
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) {
        timeout(PATIENCE, &mut self.serving).await.unwrap().unwrap();
    }

    /// Opens a connection that is kept.
    pub(crate) async fn connect(&self) -> Client {
        Client::on(TcpStream::connect(self.address).await.unwrap()).await
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        self.connect().await.send(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, &[], "")).await
    }

    /// Sends JSON.
    pub(crate) async fn write(&self, method: Method, path: &str, json: &str) -> Answer {
        self.send(request(
            method,
            path,
            &[("content-type", "application/json")],
            json.to_owned(),
        ))
        .await
    }

    /// Adds a music and returns its id.
    pub(crate) async fn add(&self, song: &str, singer: &str) -> i64 {
        let body = serde_json::json!({ "song": song, "singer": singer }).to_string();
        let answer = self.write(Method::POST, "/api/music/", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()["id"].as_i64().unwrap()
    }
}

/// Puts an API together.
pub(crate) async fn app(database: &PgConnectOptions, setup: &Setup, stop: Stop) -> axum::Router {
    let instance = Instance::named(InstanceName::parse(NAME)).await;
    let config = DatabaseConfig {
        connect: database.clone(),
        wait: Duration::ZERO,
        connections: setup.connections,
    };
    let access = Access {
        permission: setup.permission,
        trusted_proxies: TrustedProxies::new(vec![IpAddr::from([127, 0, 0, 1]).into()]),
    };
    let database = Database::open(&config, &instance);
    let passwords = setup.passwords.clone();
    router::app(App::with_passwords(
        instance, database, access, stop, passwords,
    ))
}

/// The name of the account that [`add_admin`] makes.
pub(crate) const ADMIN: &str = "admin";
/// Its password.
pub(crate) const PASSWORD: &str = "password123";

/// Makes an account, and returns a token of it.
pub(crate) async fn add_admin(database: &PgConnectOptions) -> String {
    let mut connection = database.connect().await.unwrap();
    accounts::create_superuser(&mut connection, ADMIN, PASSWORD.into())
        .await
        .unwrap();
    let token = accounts::add_token(&mut connection, ADMIN).await.unwrap();
    token.reveal().to_owned()
}

/// Makes a request for an address on this machine.
pub(crate) fn request(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Request<Body> {
    let mut builder = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "music.test");
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.into()).unwrap()
}

/// One connection to an API.
pub(crate) struct Client(SendRequest<Body>);

impl Client {
    pub(crate) async fn on<S>(stream: S) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    pub(crate) async fn send(&mut self, request: Request<Body>) -> Answer {
        self.try_send(request).await.unwrap()
    }

    pub(crate) async fn try_send(&mut self, request: Request<Body>) -> hyper::Result<Answer> {
        let started = Instant::now();
        let (head, body) = self.0.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            took: started.elapsed(),
        })
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) took: Duration,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Returns a header, or nothing as text if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Asks again and again until `condition` holds.
pub(crate) async fn eventually<F>(what: &str, condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    within(PATIENCE, what, condition).await;
}

/// Asks again and again until `condition` holds, for what may take longer than anything else.
pub(crate) async fn within<F>(limit: Duration, what: &str, mut condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let deadline = Instant::now() + limit;
    while !condition().await {
        assert!(Instant::now() < deadline, "in vain waited for: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
