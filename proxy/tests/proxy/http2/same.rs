//! What must be the same over HTTP/2: bodies, limits of time, files, retries, and a stop that loses
//! nothing.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;

use super::client::Client;
use super::over_tls;
use crate::raw::{RawOrigin, Reply};
use crate::secure::Secure;
use crate::support::{BOUND, Origin, Proxy, eventually};

const MEBIBYTE: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_arrives_whole_and_one_too_large_is_answered() {
    let a = Origin::start("a").await;
    let proxy = Proxy::routed(&[a.address], "").await;
    let mut client = Client::connect(proxy.address).await;
    let body = Bytes::from(vec![b'x'; MEBIBYTE]);
    let (answer, content) = client
        .send(Method::POST, "/api/", Some(vec![body]))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(content, format!("a {MEBIBYTE}").into_bytes());
    // The client goes on sending: the answer must reach it all the same.
    let body = vec![Bytes::from(vec![b'x'; MEBIBYTE]); 20];
    let (answer, _) = client
        .send(Method::POST, "/api/", Some(body))
        .await
        .unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(answer.headers()["x-instance"], "proxy");
    let (answer, _) = client.get("/api/").await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_is_answered_in_time() {
    let a = Origin::start("a").await;
    let proxy = Proxy::with(&[&a], "body_timeout = \"1s\"", "").await;
    let mut client = Client::connect(proxy.address).await;
    let began = Instant::now();
    let (answer, _) = client
        .send(Method::POST, "/api/", Some(Vec::new()))
        .await
        .unwrap();
    assert_eq!(answer.status(), 408);
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(a.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_share_is_four_to_six_and_a_lost_server_costs_nothing() {
    let (a, mut b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..20 {
        client.get("/api/").await.unwrap();
    }
    assert_eq!((a.received().len(), b.received().len()), (8, 12));
    // One without connections of old, which the server may be closing when a write comes.
    let proxy = Proxy::before(&[&a, &b]).await;
    let mut client = Client::connect(proxy.address).await;
    b.stop().await;
    for _ in 0..10 {
        let body = Some(vec![Bytes::from_static(b"hello")]);
        let (answer, content) = client.send(Method::POST, "/api/", body).await.unwrap();
        assert_eq!((answer.status().as_u16(), &content[..]), (200, &b"a 5"[..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_sent_again_to_another_server() {
    let refuses = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let one = RawOrigin::start(Reply::Keep(refuses)).await;
    let two = Origin::start("two").await;
    let proxy = Proxy::at(&[one.address, two.address], "", "").await;
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..10 {
        let body = Some(vec![Bytes::from(vec![b'x'; 50_000])]);
        let (answer, content) = client.send(Method::PUT, "/api/", body).await.unwrap();
        let content = String::from_utf8(content).unwrap();
        assert_eq!((answer.status().as_u16(), &*content), (200, "two 50000"));
    }
    assert!(!one.take_seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_breaks_off_before_its_answer_is_not_the_client_s_fault() {
    let one = RawOrigin::start(Reply::Close("")).await;
    let two = Origin::start("two").await;
    let proxy = Proxy::at(&[one.address, two.address], "", "").await;
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..10 {
        let (answer, content) = client.get("/api/").await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &content[..]),
            (200, &b"two 0"[..])
        );
    }
    assert!(!one.take_seen().is_empty(), "it was asked first");
    let alone = Proxy::at(&[one.address], "", "").await;
    let mut client = Client::connect(alone.address).await;
    let body = Some(vec![Bytes::from_static(b"hello")]);
    let (answer, _) = client.send(Method::POST, "/api/", body).await.unwrap();
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.headers()["x-instance"], "proxy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_left_by_reads_and_costs_writes_the_first_byte() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let limits = "timeouts = { first_byte = \"1s\" }";
    let proxy = Proxy::with(&[&a, &b], "", limits).await;
    let mut client = Client::connect(proxy.address).await;
    a.freeze(true);
    for _ in 0..6 {
        let (answer, content) = client.get("/api/").await.unwrap();
        assert_eq!((answer.status().as_u16(), &content[..]), (200, &b"b 0"[..]));
    }
    b.freeze(true);
    let body = Some(vec![Bytes::from_static(b"hello")]);
    let (answer, _) = client.send(Method::POST, "/api/", body).await.unwrap();
    assert_eq!(answer.status(), 504);
    assert_eq!(answer.headers()["x-instance"], "proxy");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_visibly_cut() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let origin = RawOrigin::start(Reply::Close(half)).await;
    let proxy = Proxy::at(&[origin.address], "", "").await;
    let mut client = Client::connect(proxy.address).await;
    let told = client.get("/api/").await;
    assert!(told.as_ref().is_err_and(h2::Error::is_reset), "{told:?}");
    let (answer, _) = client.get("/none").await.unwrap();
    assert_eq!(answer.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_keep_their_form() {
    for (text, status, body) in [
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n",
            200,
            "ok",
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: x-a, close\r\nX-A: b\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok",
            200,
            "ok",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            200,
            "ok",
        ),
        (
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno",
            500,
            "no",
        ),
    ] {
        let origin = RawOrigin::start(Reply::Close(text)).await;
        let proxy = Proxy::at(&[origin.address], "", "").await;
        let mut client = Client::connect(proxy.address).await;
        let (answer, content) = client.get("/api/").await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{text}");
        assert_eq!(content, body.as_bytes(), "{text}");
        for name in [
            "connection",
            "keep-alive",
            "transfer-encoding",
            "trailer",
            "x-a",
        ] {
            assert!(!answer.headers().contains_key(name), "{name} of {text}");
        }
        for name in ["date", "x-instance", "x-request-id"] {
            let values = answer.headers().get_all(name).iter();
            assert_eq!(values.count(), 1, "{name} of {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_the_scheme_are_the_same_over_tls() {
    let secure = Secure::start(false).await;
    let large: Vec<u8> = (0..MEBIBYTE).map(|n| (n / 7 % 251) as u8).collect();
    std::fs::write(secure.folder.path().join("large.bin"), &large).unwrap();
    let mut client = over_tls(&secure).await;
    let (answer, content) = client.get("/files/").await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &content[..]),
        (200, &b"home"[..])
    );
    let (answer, content) = client.get("/files/large.bin").await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(content == large, "{} bytes", content.len());
    let head = client.send(Method::HEAD, "/files/large.bin", None).await;
    let (answer, content) = head.unwrap();
    assert_eq!(answer.headers()["content-length"], "1048576");
    assert!(content.is_empty());
    client.get("/api/").await.unwrap();
    let seen = secure.origin.take_seen();
    assert_eq!(seen[0].field("x-forwarded-proto"), ["https"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_gives_up_ends_its_request() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let client = Client::connect(proxy.address).await;
    let mut leaving = client.clone();
    let asked = tokio::spawn(async move { leaving.get("/api/?slow=19000").await });
    eventually("it is in flight", || async { a.received().len() == 1 }).await;
    // The future goes, and the stream with it; the connection stays.
    asked.abort();
    eventually("its server is free again", || async {
        let status = proxy.status().await;
        status["upstreams"][0]["servers"][0]["in_flight"] == 0
    })
    .await;
    let mut staying = client;
    assert_eq!(staying.get("/api/").await.unwrap().0.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_loses_nothing() {
    let a = Origin::start("a").await;
    let mut proxy = Proxy::before(&[&a]).await;
    let address = proxy.address;
    let mut slow = Client::connect(address).await;
    let waiting = tokio::spawn(async move { slow.get("/api/?slow=2500").await });
    let _idle = Client::connect(address).await;
    let loops = (0..4).map(|_| {
        tokio::spawn(async move {
            let mut client = Client::connect(address).await;
            let mut served = 0;
            loop {
                match client.get("/api/").await {
                    Ok((answer, _)) => assert_eq!(answer.status(), 200),
                    // Told to go, it comes again; what was not begun may be sent again.
                    Err(error) if error.is_go_away() || error.is_reset() => {
                        assert_eq!(error.reason(), Some(h2::Reason::NO_ERROR), "{error:?}");
                        let again = tokio::net::TcpStream::connect(address).await;
                        let Ok(again) = again else { return served };
                        client = Client::over(again).await;
                        continue;
                    }
                    Err(error) => panic!("lost: {error:?} after {served}"),
                }
                served += 1;
            }
        })
    });
    let loops: Vec<_> = loops.collect();
    eventually("all are served", || async { a.received().len() > 50 }).await;
    let began = Instant::now();
    proxy.stop();
    for client in loops {
        let served = tokio::time::timeout(BOUND, client).await.unwrap();
        assert!(served.unwrap() > 0);
    }
    let (answer, _) = waiting.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    proxy.stopped().await;
    assert!(
        began.elapsed() < Duration::from_secs(7),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_makes_room() {
    let a = Origin::start("a").await;
    let proxy = Proxy::with(&[&a], "max_connections = 2", "").await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(proxy.address).await;
        assert_eq!(client.get("/api/").await.unwrap().0.status(), 200);
        clients.push(client);
        // It is idle a little after its answer.
        let idle = format!("\nproxy_client_connections_idle {}\n", clients.len());
        eventually("it is idle", || async {
            let metrics = proxy.admin("GET", "/metrics", "").await.body;
            metrics.contains(&idle)
        })
        .await;
    }
    let mut third = Client::connect(proxy.address).await;
    assert_eq!(third.get("/api/").await.unwrap().0.status(), 200);
    // What it asks before it hears that it is to leave is still answered.
    let leaves = async { while clients[0].get("/api/").await.is_ok() {} };
    let left = tokio::time::timeout(BOUND, leaves).await;
    left.expect("the longest idle one leaves");
    assert_eq!(clients[1].get("/api/").await.unwrap().0.status(), 200);
}
