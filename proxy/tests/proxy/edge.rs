//! What must not get in: refused with the right status, closed, and nothing reaches an upstream.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::support::{Origin, Proxy, eventually, read_to_end};

/// Bytes and the status that they get.
const REFUSED: &[(&str, u16)] = &[
    ("GET /api/ HTTP/1.1\r\n\r\n", 400),
    ("GET /api/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("GET /api/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("GET /api/a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET /api/\\x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET /api/#x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET api HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET /api/ HTTP/1.1\nHost: x\n\n", 400),
    ("GET /api/ HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400),
    ("GET /api/ HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
    ("GET /api/ HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    ("GET /api/ HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n", 400),
    ("GET /api/\r\n\r\n", 400),
    ("GET /api/ HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    ("TRACE /api/ HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    ("CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    ("GET /api/ HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n", 417),
    (
        "POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\nab",
        400,
    ),
    (
        "POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
        400,
    ),
    (
        "POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        400,
    ),
    (
        "POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "POST /api/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    (
        "POST /api/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    (
        "POST /api/ HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_rules_is_refused_and_goes_nowhere() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    for (bytes, status) in REFUSED {
        let smuggled = format!("{bytes}GET /api/smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        for request in [*bytes, &smuggled] {
            let answer = proxy.raw(request).await;
            assert_eq!(answer.status, *status, "{request:?} got {answer:?}");
            assert_eq!(answer.instance(), "proxy", "{request:?}");
            assert_eq!(answer.field("connection"), Some("close"), "{request:?}");
        }
    }
    let seen = a.received();
    assert!(seen.is_empty(), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_long_and_too_many_have_their_own_statuses() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let long = format!("GET /api/{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(9000));
    assert_eq!(proxy.raw(&long).await.status, 414);
    let many = format!(
        "GET /api/ HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "A: b\r\n".repeat(101)
    );
    assert_eq!(proxy.raw(&many).await.status, 431);
    let large = format!(
        "GET /api/ HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    assert_eq!(proxy.raw(&large).await.status, 431);
    assert!(a.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_route_s_limit_is_refused() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let body = "x".repeat(1024 * 1024 + 1);
    let announced = proxy.post("/api/", &body).await;
    assert_eq!((announced.status, announced.instance()), (413, "proxy"));
    assert!(a.received().is_empty());
    let chunked = format!(
        "POST /api/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let counted = proxy.raw(&chunked).await;
    assert_eq!((counted.status, counted.instance()), (413, "proxy"));
    assert!(a.received().is_empty(), "a cut body must not look whole");
    assert_eq!(proxy.post("/api/", &body[1..]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_chunks_are_refused_and_the_upstream_sees_no_whole_request() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    for chunks in [
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n",
        "5;\nhello\r\n0\r\n\r\n",
    ] {
        let request =
            format!("POST /api/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let answer = proxy.raw(&request).await;
        assert_eq!(
            (answer.status, answer.instance()),
            (400, "proxy"),
            "{chunks:?} {answer:?}"
        );
    }
    assert!(a.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dripped_head_gets_408_and_a_silent_client_nothing() {
    let a = Origin::start("a").await;
    let proxy = Proxy::with(&[&a], r#"header_timeout = "300ms""#, "").await;
    let mut dripping = proxy.connect().await;
    let (mut reading, mut writing) = dripping.split();
    let drip = async {
        for byte in b"GET /api/ HTTP/1.1\r\nHost: x\r\nA-Field: never-ends"
            .iter()
            .cycle()
        {
            if writing.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut head = Vec::with_capacity(4096);
    let read = tokio::io::AsyncReadExt::read_buf(&mut reading, &mut head);
    tokio::select! {
        read = read => { read.unwrap(); }
        () = drip => panic!("closed without a word"),
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    assert!(head.contains("x-instance: proxy"), "{head}");

    let mut silent = proxy.connect().await;
    assert_eq!(read_to_end(&mut silent).await.head, "", "nothing was asked");
    assert!(a.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_are_closed_and_busy_ones_are_not() {
    let a = Origin::start("a").await;
    let proxy = Proxy::with(
        &[&a],
        r#"header_timeout = "300ms"
            idle_timeout = "600ms""#,
        "",
    )
    .await;
    let mut stream = proxy.connect().await;
    stream
        .write_all(b"GET /api/?slow=1500 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let answer = read_to_end(&mut stream).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "a 0"));
    assert!(
        answer.took >= Duration::from_millis(2000),
        "{:?}",
        answer.took
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_is_answered_at_once_and_closed() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let answer = proxy.raw("GET /api/ HTTP/1.0\r\n\r\n").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "a 0"));
    assert!(answer.took < Duration::from_secs(1), "{:?}", answer.took);
    let streamed = proxy.raw("GET /api/?stream=10 HTTP/1.0\r\n\r\n").await;
    assert_eq!(
        streamed.field("transfer-encoding"),
        None,
        "it knows no chunks"
    );
    assert_eq!(streamed.body, "one two three");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_handshake_is_refused_where_none_is_taken() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let handshake =
        "GET /api/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n";
    let answer = proxy.raw(handshake).await;
    assert_eq!(
        (answer.status, answer.instance()),
        (403, "proxy"),
        "{answer:?}"
    );
    assert!(a.received().is_empty());
    // `curl --http2` offers this, and is content with HTTP/1.1.
    let offer = "GET /api/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\
        Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
    assert_eq!(proxy.raw(offer).await.status, 200);
    for dropped in ["upgrade", "http2-settings"] {
        assert!(!a.received()[0].headers.contains_key(dropped), "{dropped}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_limit_wait_for_a_place() {
    let a = Origin::start("a").await;
    let proxy = Proxy::with(&[&a], "max_connections = 2", "").await;
    let (first, _second) = (proxy.connect().await, proxy.connect().await);
    let mut third = proxy.connect().await;
    third
        .write_all(b"GET /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let early = tokio::time::timeout(Duration::from_millis(300), third.readable()).await;
    assert!(early.is_err(), "it was served over the limit");
    drop(first);
    assert_eq!(read_to_end(&mut third).await.status, 200);
    eventually("it was passed on", || async { a.received().len() == 1 }).await;
}
