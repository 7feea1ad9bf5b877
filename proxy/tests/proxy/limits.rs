//! Limits on clients: how many connections there may be, and how slow they may be.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::binary::{BINARY, Running, config};
use crate::rates::connect_from;
use crate::support::{BOUND, Origin, Proxy, eventually, read_to_end, read_until};

const GET: &[u8] = b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n";

/// Asks on a connection that is kept; whether it was answered.
async fn is_served(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    let asking = async {
        stream.write_all(GET).await.ok()?;
        while !String::from_utf8_lossy(&bytes).ends_with("a 0") {
            let read = tokio::io::AsyncReadExt::read_buf(stream, &mut bytes).await;
            read.ok().filter(|&read| read > 0)?;
        }
        Some(())
    };
    tokio::time::timeout(BOUND, asking).await.unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_idle_connection_makes_room_for_a_new_one() {
    let origin = Origin::start("a").await;
    let proxy = Proxy::with(&[&origin], "max_connections = 2", "").await;
    let (mut one, mut two) = (proxy.connect().await, proxy.connect().await);
    assert!(is_served(&mut one).await && is_served(&mut two).await);
    assert!(is_served(&mut one).await, "now it is the younger one");
    let mut three = proxy.connect().await;
    assert!(is_served(&mut three).await);
    assert_eq!(read_to_end(&mut two).await.status, 0, "it was closed");
    assert!(is_served(&mut one).await && is_served(&mut three).await);
    let metrics = proxy.admin("GET", "/metrics", "").await.body;
    for figure in [
        "proxy_client_connections 2",
        "proxy_client_connections_max 2",
        "proxy_client_connections_closed_total 1",
    ] {
        assert!(metrics.contains(figure), "{figure} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_being_served_is_not_closed_for_a_new_one() {
    let origin = Origin::start("a").await;
    let proxy = Proxy::with(&[&origin], "max_connections = 1", "").await;
    let mut busy = proxy.connect().await;
    let slow = b"GET /api/?slow=700 HTTP/1.1\r\nHost: x\r\n\r\n";
    busy.write_all(slow).await.unwrap();
    eventually("it is in hand", || async { origin.received().len() == 1 }).await;
    let mut new = proxy.connect().await;
    assert!(is_served(&mut new).await);
    let answer = read_to_end(&mut busy).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "a 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_no_more_than_its_share() {
    let origin = Origin::start("a").await;
    let proxy = Proxy::with(&[&origin], "max_connections_per_address = 2", "").await;
    let (mut one, mut two) = (proxy.connect().await, proxy.connect().await);
    assert!(is_served(&mut one).await && is_served(&mut two).await);
    let mut three = proxy.connect().await;
    assert!(!is_served(&mut three).await, "the third of one address");
    let mut other = connect_from("127.0.0.2", proxy.address).await;
    assert!(is_served(&mut other).await);
    assert!(is_served(&mut one).await && is_served(&mut two).await);
    drop(one);
    let address = proxy.address;
    eventually("there is room for it", || async move {
        is_served(&mut TcpStream::connect(address).await.unwrap()).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_not_waited_for_to_the_end() {
    let origin = Origin::start("a").await;
    let proxy = Proxy::with(&[&origin], "body_timeout = \"5s\"", "").await;
    let mut stream = proxy.connect().await;
    let head = b"POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let began = Instant::now();
    let (mut input, mut output) = stream.split();
    let drip = async {
        while output.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        std::future::pending::<()>().await
    };
    let answer = tokio::select! {
        answer = read_to_end(&mut input) => answer,
        () = drip => unreachable!("it never ends"),
    };
    let took = began.elapsed();
    assert_eq!(
        (answer.status, answer.instance()),
        (408, "proxy"),
        "{answer:?}"
    );
    assert!(took >= Duration::from_secs(9), "{took:?}");
    assert!(origin.received().is_empty());
    assert_eq!(proxy.states().await, ["up"], "no fault of the server's");
}

/// The binary with a limit of open descriptors, before one server.
struct Short {
    origin: Origin,
    running: Running,
    _file: tempfile::NamedTempFile,
}

impl Short {
    /// Starts it, and waits until it serves.
    async fn of_descriptors(most: u32) -> Self {
        let origin = Origin::start("a").await;
        let file = config(&format!(
            "listen = [\"127.0.0.1:0\"]\nlog.access = \"off\"\n[[routes]]\npath = \"/api\"\nupstream = \"u\"\n\
             [upstreams.u]\nservers = [{{ address = \"{}\" }}]\n",
            origin.address
        ));
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -n $0 && exec \"$1\" serve --config \"$2\""])
            .args([&most.to_string(), BINARY])
            .arg(file.path())
            .env("LOG_FORMAT", "json")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let short = Self {
            origin,
            running: Running::wait_for(command.spawn().unwrap()),
            _file: file,
        };
        short.until_it_serves().await;
        short.origin.forget();
        short
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.running.address).await.unwrap()
    }

    async fn until_it_serves(&self) {
        eventually("new ones are served", || async {
            is_served(&mut self.connect().await).await
        })
        .await;
    }

    /// A connection whose request takes a while, so that it is not idle.
    async fn busy(&self) -> TcpStream {
        let mut busy = self.connect().await;
        let slow = b"GET /api/?slow=2000 HTTP/1.1\r\nHost: x\r\n\r\n";
        busy.write_all(slow).await.unwrap();
        eventually("it is in hand", || async {
            self.origin.received().len() == 1
        })
        .await;
        busy
    }

    /// Has so many come whose heads do not end: none of them can be asked to leave. They go when
    /// the busy one has been answered; then new ones are served again.
    async fn crowd(&self, count: usize, mut busy: TcpStream) {
        let mut crowd = Vec::new();
        for _ in 0..count {
            let mut one = self.connect().await;
            one.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            crowd.push(one);
        }
        read_until(&mut busy, "a 0").await;
        drop(crowd);
        self.until_it_serves().await;
    }

    /// Fails unless the log has each of these words in one line.
    fn has_said_once(&mut self, words: &[&str]) {
        let log = self.running.log();
        for words in words {
            let lines = log.lines().filter(|line| line.contains(words));
            assert_eq!(lines.count(), 1, "{words} in {log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_it_serves_whom_it_has_says_so_once_and_recovers() {
    let mut short = Short::of_descriptors(100).await;
    let busy = short.busy().await;
    short.crowd(300, busy).await;
    short.has_said_once(&[
        "leaves room for fewer connections",
        "new ones wait",
        "again",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_system_refuses_descriptors_it_says_so_once_and_recovers() {
    let mut short = Short::of_descriptors(4000).await;
    let busy = short.busy().await;
    // Below what the proxy has reckoned with.
    let id = short.running.child.id().to_string();
    let lowered = Command::new("prlimit")
        .args(["--nofile=60:4000", "--pid", &id])
        .status();
    assert!(lowered.unwrap().success());
    short.crowd(100, busy).await;
    short.has_said_once(&[
        "no connection can be accepted",
        "connections are accepted again",
    ]);
}
