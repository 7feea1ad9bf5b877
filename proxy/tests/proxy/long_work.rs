//! Work that takes long is neither doubled nor cut, with all servers healthy and with one of them
//! paused meanwhile.
//!
//! By default everything is some twenty times shorter than it would be; with `LONG_WORK=1` it has
//! its full length: an upload of 50 MiB at 5 MiB/s, a list of a million rows, an event each 20 s.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;

use crate::support::{BOUND, Proxy, eventually, read_to_end};

const ROW: &str = "{\"artist\":\"somebody\",\"song\":\"something\"},";

#[derive(Clone, Copy)]
struct Lengths {
    login: Duration,
    rows: usize,
    upload: usize,
    per_second: usize,
    event: Duration,
    idle: Duration,
    pause: Duration,
}

fn lengths() -> Lengths {
    let long = std::env::var_os("LONG_WORK").is_some();
    Lengths {
        login: Duration::from_millis(600),
        rows: if long { 1_000_000 } else { 50_000 },
        upload: if long { 50 << 20 } else { 5 << 19 },
        per_second: if long { 5 << 20 } else { 5 << 18 },
        event: Duration::from_millis(if long { 20_000 } else { 1000 }),
        idle: Duration::from_secs(if long { 60 } else { 9 }),
        pause: Duration::from_millis(if long { 8000 } else { 2000 }),
    }
}

/// A server that does long work, and can be paused in the middle of it.
#[derive(Clone)]
struct Worker {
    paused: Arc<AtomicBool>,
    /// How often each piece of work was begun, by all workers.
    begun: Arc<Mutex<HashMap<String, usize>>>,
    lengths: Lengths,
}

impl Worker {
    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .route("/healthz", get(healthz))
            .fallback(work)
            .with_state(self.clone());
        tokio::spawn(axum::serve(listener, app).into_future());
        address
    }

    async fn breathe(&self) {
        while self.paused.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn list(self, mut sender: DuplexStream) {
        for _ in 0..self.lengths.rows / 500 {
            self.breathe().await;
            // A reader that has gone is for the test to see.
            let _ = sender.write_all(ROW.repeat(500).as_bytes()).await;
        }
    }

    async fn events(self, mut sender: DuplexStream) {
        for number in 0..4 {
            self.breathe().await;
            let _ = sender
                .write_all(format!("data: {number}\n\n").as_bytes())
                .await;
            tokio::time::sleep(self.lengths.event).await;
        }
    }
}

async fn healthz(State(worker): State<Worker>) {
    worker.breathe().await;
}

async fn work(State(worker): State<Worker>, request: Request) -> Response {
    worker.breathe().await;
    let target = request.uri().to_string();
    *worker
        .begun
        .lock()
        .unwrap()
        .entry(target.clone())
        .or_default() += 1;
    let (sender, receiver) = tokio::io::duplex(64 * 1024);
    let body = Body::from_stream(tokio_util::io::ReaderStream::new(receiver));
    match target.split(['/', '?']).nth(2).unwrap() {
        "login" => {
            tokio::time::sleep(worker.lengths.login).await;
            worker.breathe().await;
            Response::new("welcome".into())
        }
        "upload" => {
            let mut stream = request.into_body().into_data_stream();
            let mut length = 0;
            while let Some(piece) = next(&mut stream).await {
                worker.breathe().await;
                length += piece.len();
            }
            Response::new(length.to_string().into())
        }
        "list" => {
            tokio::spawn(worker.list(sender));
            Response::new(body)
        }
        _ => {
            tokio::spawn(worker.events(sender));
            Response::new(body)
        }
    }
}

/// The next piece of a body; none when it ends or breaks off.
async fn next(stream: &mut axum::body::BodyDataStream) -> Option<Bytes> {
    use http_body_util::BodyExt;
    let frame = stream.frame().await?.ok()?;
    frame.into_data().ok()
}

async fn upload(proxy: &Proxy, id: usize, lengths: Lengths) {
    let mut stream = proxy.connect().await;
    let head = format!(
        "POST /api/upload?{id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        lengths.upload
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'x'; 32 * 1024];
    let mut tick = tokio::time::interval(Duration::from_secs_f64(
        piece.len() as f64 / lengths.per_second as f64,
    ));
    for _ in 0..lengths.upload / piece.len() {
        tick.tick().await;
        stream.write_all(&piece).await.unwrap();
    }
    let answer = read_to_end(&mut stream).await;
    assert_eq!(
        (answer.status, answer.body),
        (200, lengths.upload.to_string())
    );
}

async fn events(proxy: &Proxy, id: usize) {
    let mut stream = proxy.connect().await;
    let request = format!("GET /api/events?{id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    for number in 0..4 {
        let event = format!("data: {number}");
        while !String::from_utf8_lossy(&text).contains(&event) {
            let read = tokio::time::timeout(BOUND * 3, stream.read_buf(&mut text));
            assert!(read.await.unwrap().unwrap() > 0, "cut before {event}");
        }
    }
}

async fn login(proxy: &Proxy, id: usize) {
    let answer = proxy.post(&format!("/api/login?{id}"), "user").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "welcome"),
        "{id}"
    );
}

async fn list(proxy: &Proxy, id: usize, lengths: Lengths) {
    // HTTP/1.0 has no chunks: the rows stand there as they were sent.
    let answer = proxy
        .raw(&format!("GET /api/list?{id} HTTP/1.0\r\n\r\n"))
        .await;
    let rows = answer.body.matches(ROW).count();
    assert_eq!((answer.status, rows), (200, lengths.rows));
}

async fn long_work(pause: bool) {
    let lengths = lengths();
    let begun = Arc::new(Mutex::new(HashMap::new()));
    let workers = [(); 2].map(|()| Worker {
        paused: Arc::default(),
        begun: Arc::clone(&begun),
        lengths,
    });
    let addresses = [workers[0].start().await, workers[1].start().await];
    let proxy = Proxy::start(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = "127.0.0.1:0"
        [log]
        access = "off"
        [[routes]]
        path = "/api"
        upstream = "music"
        max_body = "75 MiB"
        [upstreams.music]
        servers = [{{ address = "{}" }}, {{ address = "{}" }}]
        timeouts = {{ idle = "{}s" }}
        health = {{ path = "/healthz" }}
        "#,
        addresses[0],
        addresses[1],
        lengths.idle.as_secs()
    ))
    .await;
    proxy.until_up(2).await;
    let of_each_kind = async {
        tokio::join!(
            upload(&proxy, 0, lengths),
            upload(&proxy, 1, lengths),
            events(&proxy, 0),
            events(&proxy, 1),
            list(&proxy, 0, lengths),
            list(&proxy, 1, lengths),
            login(&proxy, 0),
            login(&proxy, 1),
        )
    };
    let meanwhile = async {
        eventually("all is in hand", || async {
            begun.lock().unwrap().len() == 8
        })
        .await;
        workers[0].paused.store(pause, Ordering::SeqCst);
        // These meet a server of which nobody knows yet that it is paused.
        let late = async { tokio::join!(login(&proxy, 2), login(&proxy, 3), login(&proxy, 4)) };
        let resume = async {
            tokio::time::sleep(lengths.pause).await;
            workers[0].paused.store(false, Ordering::SeqCst);
        };
        tokio::join!(late, resume);
    };
    tokio::join!(of_each_kind, meanwhile);
    let begun = begun.lock().unwrap();
    assert_eq!(begun.len(), 11);
    assert!(
        begun.values().all(|&times| times == 1),
        "doubled: {begun:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_servers_healthy() {
    long_work(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_server_paused_meanwhile() {
    long_work(true).await;
}
