//! A proxy, upstream servers that do as they are told, and a client that speaks in bytes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use proxy::access_log::{AccessLog, Destination};
use proxy::config::Config;
use proxy::server::{self, Orders, Sockets};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::answer::exchange;
pub(crate) use crate::answer::{Answer, read_some, read_to_end, read_until};

/// The longest that anything in these tests may take.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let end = Instant::now() + BOUND;
    while !condition().await {
        assert!(Instant::now() < end, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What an upstream server has received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Default)]
struct Script {
    frozen: AtomicBool,
    unwell: AtomicBool,
    draining: AtomicBool,
    status: Mutex<Option<(StatusCode, HeaderMap)>>,
    received: Mutex<Vec<Received>>,
}

/// An upstream server that answers with its name, and can be told to behave badly.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    name: &'static str,
    script: Arc<Script>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Origin {
    pub(crate) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(name, listener)
    }

    /// Starts it again at the address that it had.
    pub(crate) async fn restart(self) -> Self {
        assert!(self.stop.is_none(), "stop it first");
        Self::on(self.name, TcpListener::bind(self.address).await.unwrap())
    }

    fn on(name: &'static str, listener: TcpListener) -> Self {
        let script = Arc::new(Script::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .fallback(answer)
            .with_state((name, Arc::clone(&script)));
        let serving = tokio::spawn(async move {
            tokio::select! {
                _ = stopped => {}
                served = axum::serve(listener, app).into_future() => served.unwrap(),
            }
        });
        Self {
            address,
            name,
            script,
            stop: Some(stop),
            serving,
        }
    }

    /// Stops listening: connections are refused.
    pub(crate) async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        (&mut self.serving).await.unwrap();
    }

    /// Accepts connections and answers nothing, as a paused process does.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.script.frozen.store(frozen, Ordering::SeqCst);
    }

    /// Health checks fail.
    pub(crate) fn unwell(&self, unwell: bool) {
        self.script.unwell.store(unwell, Ordering::SeqCst);
    }

    /// Health answers say that it is stopping.
    pub(crate) fn drain(&self) {
        self.script.draining.store(true, Ordering::SeqCst);
    }

    /// Answers every request with this status and these fields.
    pub(crate) fn answer_with(&self, status: u16, fields: &[(&'static str, &'static str)]) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        *self.script.status.lock().unwrap() = Some((status, headers));
    }

    /// Forgets what it has received.
    pub(crate) fn forget(&self) {
        self.script.received.lock().unwrap().clear();
    }

    /// What it has received, health checks apart.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.script.received.lock().unwrap().clone()
    }
}

async fn answer(
    State((name, script)): State<(&'static str, Arc<Script>)>,
    request: Request,
) -> Response {
    if script.frozen.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    if request.uri().path() == "/healthz" {
        let unwell = script.unwell.load(Ordering::SeqCst);
        let draining = script.draining.load(Ordering::SeqCst);
        let status = if unwell { 503 } else { 200 };
        return (
            StatusCode::from_u16(status).unwrap(),
            [
                ("x-instance", name),
                ("x-lb-drain", if draining { "1" } else { "0" }),
            ],
        )
            .into_response();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let target = parts.uri.to_string();
    script.received.lock().unwrap().push(Received {
        method: parts.method.to_string(),
        target: target.clone(),
        headers: parts.headers,
        body: body.clone(),
    });
    let wait = |name: &str| {
        let (_, value) = target.split_once(&format!("{name}="))?;
        Some(Duration::from_millis(value.parse().unwrap()))
    };
    if let Some(pause) = wait("slow") {
        tokio::time::sleep(pause).await;
    }
    let scripted = script.status.lock().unwrap().clone();
    if let Some((status, headers)) = scripted {
        return (status, headers, name).into_response();
    }
    let named = [("x-instance", name)];
    if let Some(gap) = wait("stream") {
        let (mut sender, receiver) = tokio::io::duplex(64);
        tokio::spawn(async move {
            for piece in ["one ", "two ", "three"] {
                sender.write_all(piece.as_bytes()).await.unwrap();
                tokio::time::sleep(gap).await;
            }
        });
        let stream = tokio_util::io::ReaderStream::new(receiver);
        return (named, Body::from_stream(stream)).into_response();
    }
    (named, format!("{name} {}", body.len())).into_response()
}

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// Over TLS, if it is configured.
    pub(crate) secure: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
    /// Notified as by SIGHUP.
    pub(crate) hangup: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy whose route `/api` leads to these origins, weighted 4, 6, 4, 6 …
    pub(crate) async fn before(origins: &[&Origin]) -> Self {
        Self::with(origins, "", "").await
    }

    /// The same, with more lines for `[clients]` and for the upstream.
    pub(crate) async fn with(origins: &[&Origin], clients: &str, upstream: &str) -> Self {
        let addresses: Vec<SocketAddr> = origins.iter().map(|origin| origin.address).collect();
        Self::at(&addresses, clients, upstream).await
    }

    /// The same before servers at these addresses.
    pub(crate) async fn at(addresses: &[SocketAddr], clients: &str, upstream: &str) -> Self {
        Self::built(addresses, clients, "", upstream).await
    }

    /// The same with more lines for the route.
    pub(crate) async fn routed(addresses: &[SocketAddr], route: &str) -> Self {
        Self::built(addresses, "", route, "").await
    }

    /// The same with more lines for each.
    pub(crate) async fn built(
        addresses: &[impl std::fmt::Display],
        clients: &str,
        route: &str,
        upstream: &str,
    ) -> Self {
        let servers: Vec<String> = addresses
            .iter()
            .enumerate()
            .map(|(index, address)| {
                let weight = if index % 2 == 0 { 4 } else { 6 };
                format!(r#"{{ address = "{address}", weight = {weight} }}"#)
            })
            .collect();
        let quick = r#"health = { path = "/healthz", every = "100ms", timeout = "80ms" }"#;
        let health = [quick, ""][usize::from(upstream.contains("health"))];
        let proxy = Self::start(&format!(
            r#"
            listen = ["127.0.0.1:0"]
            admin = "127.0.0.1:0"
            [clients]
            {clients}
            [log]
            access = "off"
            [[routes]]
            path = "/api"
            upstream = "music"
            max_body = "1 MiB"
            {route}
            [upstreams.music]
            servers = [{}]
            {health}
            {upstream}
            "#,
            servers.join(", ")
        ))
        .await;
        proxy.until_up(addresses.len()).await;
        proxy
    }

    /// Starts a proxy with this configuration.
    pub(crate) async fn start(config: &str) -> Self {
        Self::serve(Config::parse(config, Path::new("proxy.toml")).unwrap())
    }

    /// Starts a proxy with this file, which it watches.
    pub(crate) async fn of_file(file: &Path) -> Self {
        Self::serve(Config::load(file).unwrap())
    }

    fn serve(config: Config) -> Self {
        let sockets = Sockets::bind(&config).unwrap();
        let address = sockets.addresses()[0];
        let admin = sockets.admin_address().unwrap();
        let secure = sockets.secure_address();
        let (log, _) = AccessLog::open(&Destination::Off).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let hangup = Arc::new(Notify::new());
        let hangups = Arc::clone(&hangup);
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            let orders = Orders {
                stop: stopped,
                hangup: hangups,
            };
            server::run(config, sockets, log, orders).await.unwrap();
        });
        Self {
            address,
            secure,
            admin,
            hangup,
            stop: Some(stop),
            serving,
        }
    }

    /// Asks it to stop.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(self) {
        tokio::time::timeout(BOUND, self.serving)
            .await
            .unwrap()
            .unwrap();
    }

    /// Waits until this many servers are up.
    pub(crate) async fn until_up(&self, servers: usize) {
        eventually(&format!("{servers} servers are up"), || async {
            let states = self.states().await;
            states.iter().filter(|state| *state == "up").count() == servers
        })
        .await;
    }

    /// The state or the cause of every server.
    pub(crate) async fn states(&self) -> Vec<String> {
        let status = self.status().await;
        let servers = status["upstreams"][0]["servers"].as_array().unwrap();
        let words = |server: &serde_json::Value| {
            let cause = server["cause"].as_str();
            cause.or(server["state"].as_str()).unwrap().to_owned()
        };
        servers.iter().map(words).collect()
    }

    pub(crate) async fn status(&self) -> serde_json::Value {
        self.admin("GET", "/status", "").await.json()
    }

    /// Asks the admin listener; `body` may be empty.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: &str) -> Answer {
        self.admin_with(method, path, body, "").await
    }

    /// The same with more header fields, each with its line end.
    pub(crate) async fn admin_with(
        &self,
        method: &str,
        path: &str,
        body: &str,
        fields: &str,
    ) -> Answer {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n"
        );
        exchange(self.admin, &format!("{head}{fields}\r\n{body}")).await
    }

    /// The events until now.
    pub(crate) async fn events(&self) -> Vec<serde_json::Value> {
        let list = "Accept: application/json\r\n";
        let answer = self.admin_with("GET", "/events", "", list).await;
        answer.json().as_array().unwrap().clone()
    }

    /// GETs a path on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        exchange(self.address, &request).await
    }

    /// POSTs a body on a connection of its own.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        exchange(self.address, &request).await
    }

    /// Sends bytes as they are and reads until the proxy closes.
    pub(crate) async fn raw(&self, bytes: &str) -> Answer {
        exchange(self.address, bytes).await
    }

    /// Opens a connection to speak on.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}
