//! A running stack as its clients see it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use stack::ask::{self, Address, Answer, NoAnswer};
use stack::probe::{self, Report};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::driver::Driver;

/// The longest that anything may take to come true.
const BOUND: Duration = Duration::from_secs(90);
/// The longest that one request may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    eventually_within(BOUND, what, condition).await;
}

/// Waits until `condition` holds, and not longer than `bound`.
pub(crate) async fn eventually_within<F: Future<Output = bool>>(
    bound: Duration,
    what: &str,
    condition: impl Fn() -> F,
) {
    let end = Instant::now() + bound;
    while !condition().await {
        assert!(Instant::now() < end, "not within {bound:?}: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// A running stack.
pub(crate) struct Stack {
    pub(crate) driver: Driver,
}

impl Stack {
    pub(crate) async fn start(driver: Driver) -> Self {
        let stack = Self { driver };
        stack.driver.up().await;
        stack
    }

    pub(crate) async fn end(&self) {
        self.driver.remove().await;
    }

    pub(crate) async fn show_logs(&self) {
        self.driver.show_logs().await;
    }

    /// Undoes what an earlier scenario may have left behind.
    pub(crate) async fn make_whole(&self) {
        if !self.is_whole().await {
            for words in [
                "resume db",
                "resume api",
                "resume api2",
                "start db",
                "start api",
                "start api2",
                "start proxy",
                "scale api=1",
            ] {
                self.driver.try_run(words).await;
            }
            eventually("the stack is whole", || self.is_whole()).await;
        }
    }

    /// Whether ten requests are shared as they should be.
    pub(crate) async fn is_whole(&self) -> bool {
        let mut names = Vec::new();
        for _ in 0..10 {
            match self.get("/api/music/").await {
                Ok(answer) if answer.status == StatusCode::OK => names.push(service(&answer)),
                _ => return false,
            }
        }
        names.iter().filter(|name| *name == "api_1").count() == 4
            && names.iter().filter(|name| *name == "api2_1").count() == 6
    }

    pub(crate) fn address(&self) -> Address {
        Address::Tcp(self.driver.address)
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, NoAnswer> {
        ask::get(&self.address(), path, PATIENCE).await
    }

    /// Sends a request that must be answered.
    pub(crate) async fn ask(&self, method: Method, path: &str, accept: &str, body: &str) -> Answer {
        let body = body.as_bytes().to_vec().into();
        let mut request = ask::request(method, &self.address(), path, body).unwrap();
        request
            .headers_mut()
            .insert("accept", accept.parse().unwrap());
        ask::ask(&self.address(), request, PATIENCE).await.unwrap()
    }

    /// Adds a song and returns its id.
    pub(crate) async fn add_song(&self, song: &str) -> u64 {
        let body = serde_json::json!({ "song": song, "singer": "e2e" }).to_string();
        let answer = self.ask(Method::POST, "/api/music/", "*/*", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()["id"].as_u64().unwrap()
    }

    /// The names that answer a number of requests, one after the other.
    pub(crate) async fn order(&self, requests: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..requests {
            let answer = self.get("/api/music/").await.unwrap();
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            names.push(service(&answer));
        }
        names
    }

    /// Whether somebody answers under this name.
    pub(crate) async fn answers(&self, name: &str) -> bool {
        let names: BTreeSet<String> = self.order(10).await.into_iter().collect();
        names.contains(name)
    }

    /// Whether the next request is answered with this status.
    pub(crate) async fn says(&self, status: u16) -> bool {
        let answer = self.get("/api/music/").await;
        answer.is_ok_and(|answer| answer.status == status)
    }

    /// The state or cause of every server, as the proxy sees it.
    pub(crate) async fn servers(&self) -> Vec<String> {
        let status = self.driver.proxy_status().await;
        let servers = status["upstreams"][0]["servers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let words = |server: &serde_json::Value| {
            let cause = server["cause"].as_str();
            cause
                .or(server["state"].as_str())
                .unwrap_or_default()
                .to_owned()
        };
        servers.iter().map(words).collect()
    }

    /// Starts 40 requests a second.
    pub(crate) fn traffic(&self, post: f64) -> Traffic {
        let seconds = Arc::new(AtomicUsize::new(0));
        let shown = Arc::clone(&seconds);
        let settings = probe::Settings {
            url: format!("http://{}", self.driver.address).parse().unwrap(),
            rate: 40.0,
            post,
            new_connections: false,
            path: None,
            slow: Duration::from_secs(5),
            timeout: PATIENCE,
            keep: false,
        };
        let running = probe::start(settings, move |_| {
            shown.fetch_add(1, Ordering::SeqCst);
        });
        Traffic { running, seconds }
    }

    /// Opens a connection and sends bytes as they are.
    pub(crate) async fn send(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.driver.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }
}

/// Requests that go on until they are stopped.
pub(crate) struct Traffic {
    running: probe::Running,
    seconds: Arc<AtomicUsize>,
}

impl Traffic {
    /// Lets some seconds of requests pass.
    pub(crate) async fn flow(&self, seconds: usize) {
        let until = self.seconds.load(Ordering::SeqCst) + seconds;
        eventually("requests flow", || async {
            self.seconds.load(Ordering::SeqCst) >= until
        })
        .await;
    }

    pub(crate) async fn stop(self) -> Report {
        self.running.stop().await.unwrap()
    }
}

/// The name of who answered, written as docker-compose 1.29 writes it.
pub(crate) fn service(answer: &Answer) -> String {
    answer.instance().replace('-', "_")
}

/// Reads what comes until the other side closes.
pub(crate) async fn read_to_end(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A reset behind the answer is as good as an end.
    let _ = read.expect("the connection was never closed");
    String::from_utf8_lossy(&bytes).into_owned()
}
