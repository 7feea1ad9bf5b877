//! Slow is allowed: uploads in pieces, answers with gaps, several requests on one connection.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::support::{Origin, Proxy, read_to_end, read_until};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_gaps_is_passed_on_piece_by_piece() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let mut stream = proxy.connect().await;
    stream
        .write_all(b"GET /api/?stream=700 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let first = read_until(&mut stream, "one ").await;
    assert!(!first.contains("two"), "it was held back: {first}");
    read_until(&mut stream, "three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_is_not_cut() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let mut stream = proxy.connect().await;
    stream
        .write_all(
            b"POST /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\n",
        )
        .await
        .unwrap();
    for piece in ["ab", "cd", "ef"] {
        tokio::time::sleep(Duration::from_millis(700)).await;
        stream.write_all(piece.as_bytes()).await.unwrap();
    }
    let answer = read_to_end(&mut stream).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "a 6"));
    assert_eq!(&a.received()[0].body[..], b"abcdef");
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let requests = "GET /api/1 HTTP/1.1\r\nHost: x\r\n\r\n\
        POST /api/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
        POST /api/3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n\
        GET /api/4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = proxy.raw(requests).await;
    assert_eq!(answer.body.matches("HTTP/1.1 200").count(), 3, "{answer:?}");
    let targets: Vec<_> = a
        .received()
        .into_iter()
        .map(|r| (r.method, r.target, r.body.len()))
        .collect();
    let expected = [
        ("GET", "/api/1", 0),
        ("POST", "/api/2", 3),
        ("POST", "/api/3", 2),
        ("GET", "/api/4", 0),
    ];
    assert_eq!(
        targets,
        expected.map(|(m, t, l)| (m.to_owned(), t.to_owned(), l))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_one_at_a_time_make_the_same_requests() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let mut stream = proxy.connect().await;
    stream.set_nodelay(true).unwrap();
    let requests = "POST /api/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n0\r\nT: x\r\n\r\n\
        GET /api/2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for byte in requests.as_bytes() {
        stream.write_all(&[*byte]).await.unwrap();
    }
    let answer = read_to_end(&mut stream).await;
    assert!(answer.body.contains("HTTP/1.1 200"), "{answer:?}");
    assert_eq!(a.received().len(), 2);
    assert_eq!(&a.received()[0].body[..], b"ab");
}

#[tokio::test(flavor = "multi_thread")]
async fn expect_100_continue_works_and_the_connection_is_kept() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let mut stream = proxy.connect().await;
    for _ in 0..2 {
        stream
            .write_all(b"POST /api/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            .await
            .unwrap();
        read_until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
        stream.write_all(b"ab").await.unwrap();
        read_until(&mut stream, "a 2").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_noticed() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let mut stream = proxy.connect().await;
    stream
        .write_all(b"GET /api/?slow=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let in_flight = |expected: i64| {
        let proxy = &proxy;
        async move { proxy.status().await["in_flight"] == expected }
    };
    crate::support::eventually("it is in flight", || in_flight(1)).await;
    drop(stream);
    crate::support::eventually("it is not", || in_flight(0)).await;
}
