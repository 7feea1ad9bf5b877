//! What is sent again, where, and what is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::raw::FINE;
use crate::support::{Origin, Proxy, eventually};

/// A server of which a test says what it does with each request, and when it answers no health
/// check any more.
struct Moody {
    address: std::net::SocketAddr,
    deaf: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
}

impl Moody {
    async fn start<F, A>(act: F) -> Self
    where
        F: Fn(TcpStream) -> A + Clone + Send + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let deaf = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(AtomicUsize::new(0));
        let (is_deaf, count) = (Arc::clone(&deaf), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (act, is_deaf, count) = (act.clone(), Arc::clone(&is_deaf), Arc::clone(&count));
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    let read = stream.read(&mut head).await.unwrap_or(0);
                    if !head[..read].starts_with(b"GET /healthz") {
                        count.fetch_add(1, Ordering::SeqCst);
                        is_deaf.store(true, Ordering::SeqCst);
                        return act(stream).await;
                    }
                    if is_deaf.load(Ordering::SeqCst) {
                        std::future::pending::<()>().await;
                    }
                    // A check that has given up is no concern of this test.
                    let _ = stream.write_all(FINE.as_bytes()).await;
                });
            }
        });
        Self {
            address,
            deaf,
            requests,
        }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_no_try() {
    let (a, mut b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::with(&[&a, &b], "", "retry = { tries = 1 }").await;
    b.stop().await;
    // The second one has the larger weight: it is asked first.
    let answer = proxy.post("/api/", "x").await;
    assert_eq!((answer.status, answer.instance()), (200, "a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_that_sent_something_are_counted() {
    let breaks = |stream: TcpStream| async move { drop(stream) };
    let (one, two) = (Moody::start(breaks).await, Moody::start(breaks).await);
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let addresses = [a.address, one.address, b.address, two.address];
    let proxy = Proxy::at(&addresses, "", "retry = { tries = 2 }").await;
    let answer = proxy.get("/api/").await;
    assert!(matches!(answer.status, 200 | 502), "{answer:?}");
    let sent = one.requests() + two.requests() + a.received().len() + b.received().len();
    assert!(sent <= 2, "{sent} tries");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_of_life_before_the_answer_is_heard() {
    let moody = Moody::start(|mut stream: TcpStream| async move {
        for _ in 0..60 {
            let hint = "HTTP/1.1 102 Processing\r\n\r\n";
            stream.write_all(hint.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        stream.write_all(FINE.as_bytes()).await.unwrap();
    })
    .await;
    let b = Origin::start("b").await;
    let proxy = Proxy::at(&[b.address, moody.address], "", "").await;
    let answer = proxy.raw("GET /api/ HTTP/1.0\r\n\r\n").await;
    assert!(moody.deaf.load(Ordering::SeqCst), "it was asked first");
    assert_eq!((answer.status, answer.instance()), (200, "raw"));
    assert_eq!(b.received().len(), 0, "it was sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_breaks_off_is_out_until_it_has_answered_a_probe() {
    let moody = Moody::start(|stream: TcpStream| async move { drop(stream) }).await;
    let b = Origin::start("b").await;
    let proxy = Proxy::at(&[b.address, moody.address], "", "").await;
    assert_eq!(proxy.post("/api/", "x").await.status, 502);
    for _ in 0..5 {
        let answer = proxy.post("/api/", "x").await;
        assert_eq!((answer.status, answer.instance()), (200, "b"));
    }
    assert_eq!(moody.requests(), 1);
    moody.deaf.store(false, Ordering::SeqCst);
    proxy.until_up(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_answer_that_says_so_takes_a_stopping_server_out() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    a.drain();
    eventually("it is out", || async {
        proxy.states().await == ["draining", "up"]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_are_out_one_request_at_a_time_may_try() {
    let a = Origin::start("a").await;
    let proxy = Proxy::with(&[&a], "", "").await;
    a.unwell(true);
    eventually("it is out", || async {
        proxy.states().await == ["health check: 503 from GET /healthz"]
    })
    .await;
    let (tried, ()) = tokio::join!(proxy.get("/api/?slow=1000"), async {
        eventually("one tries", || async { a.received().len() == 1 }).await;
        for _ in 0..5 {
            assert_eq!(proxy.get("/api/").await.status, 503);
        }
    });
    assert_eq!((tried.status, a.received().len()), (200, 1));
    assert_eq!(proxy.get("/api/").await.status, 200, "and the next one");
    assert_eq!(
        proxy.states().await,
        ["health check: 503 from GET /healthz"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_said_that_it_stops_is_not_tried() {
    let a = Origin::start("a").await;
    let proxy = Proxy::with(&[&a], "", "").await;
    a.drain();
    eventually("it is out", || async {
        proxy.states().await == ["draining"]
    })
    .await;
    assert_eq!(proxy.get("/api/").await.status, 503);
    assert!(a.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_mute_is_not_tried() {
    let a = Origin::start("a").await;
    let proxy = Proxy::with(&[&a], "", "").await;
    a.freeze(true);
    eventually("it is out", || async {
        proxy.states().await == ["health check: timed out after 80ms"]
    })
    .await;
    eventually("it has long been mute", || async {
        let answer = proxy.get("/api/").await;
        answer.status == 503 && answer.took < Duration::from_millis(250)
    })
    .await;
    let tried = a.received().len();
    for _ in 0..5 {
        assert_eq!(proxy.get("/api/").await.status, 503);
    }
    assert_eq!(a.received().len(), tried);
}
