//! A stop that loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Origin, Proxy, eventually, read_to_end, read_until};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_is_answered_and_told_to_close() {
    let a = Origin::start("a").await;
    let mut proxy = Proxy::before(&[&a]).await;
    let mut slow = proxy.connect().await;
    slow.write_all(b"GET /api/?slow=2500 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    eventually("it is in flight", || async { a.received().len() == 1 }).await;
    proxy.stop();
    let answer = read_to_end(&mut slow).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "a 0"));
    assert_eq!(answer.field("connection"), Some("close"));
    proxy.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_draining_while_requests_are_still_served() {
    let a = Origin::start("a").await;
    let mut proxy = Proxy::before(&[&a]).await;
    let mut kept = proxy.connect().await;
    kept.write_all(b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut kept, "a 0").await;
    proxy.stop();
    eventually("it says so", || async {
        proxy.status().await["draining"] == true
    })
    .await;
    kept.write_all(b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let last = read_to_end(&mut kept).await;
    assert_eq!(
        (last.status, last.field("connection")),
        (200, Some("close"))
    );
    let fresh = proxy.get("/api/").await;
    assert_eq!(
        (fresh.status, fresh.field("connection")),
        (200, Some("close"))
    );
    proxy.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_in_a_loop_lose_nothing() {
    let a = Origin::start("a").await;
    let mut proxy = Proxy::before(&[&a]).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (address, answered) = (proxy.address, Arc::clone(&answered));
        clients.spawn(async move {
            loop {
                // Refused means that the listener is closed: a balancer would go elsewhere.
                let Ok(mut stream) = TcpStream::connect(address).await else {
                    return;
                };
                let sent =
                    stream.write_all(b"GET /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
                sent.await.unwrap();
                assert_eq!(
                    read_to_end(&mut stream).await.status,
                    200,
                    "a request was lost"
                );
                answered.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    eventually("the loops run", || async {
        answered.load(Ordering::SeqCst) > 100
    })
    .await;
    proxy.stop();
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    proxy.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_proxy_stops_quickly() {
    let a = Origin::start("a").await;
    let mut proxy = Proxy::before(&[&a]).await;
    let _idle = proxy.connect().await;
    let began = std::time::Instant::now();
    proxy.stop();
    proxy.stopped().await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
