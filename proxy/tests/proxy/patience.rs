//! Who is waited for, how long, and what becomes of the others meanwhile.

use std::time::{Duration, Instant, SystemTime};

use tokio::io::AsyncWriteExt;

use crate::raw::{FINE, RawOrigin, Reply};
use crate::support::{Origin, Proxy, eventually, read_to_end};

fn unix_ms() -> i128 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i128::try_from(now.unwrap().as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_told_until_when_it_may_begin() {
    let origin = RawOrigin::start(Reply::Keep(FINE)).await;
    let proxy = Proxy::at(&[origin.address], "", "").await;
    let before = unix_ms();
    proxy.post("/api/", "x").await;
    proxy
        .raw("DELETE /api/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Deadline: 1\r\n\r\n")
        .await;
    let after = unix_ms();
    for write in origin.take_seen() {
        let deadline: i128 = write.field("x-request-deadline")[0].parse().unwrap();
        // 10 s for the try, less 1 s for the statement and 200 ms.
        assert!(
            (before + 8_800..=after + 8_800).contains(&deadline),
            "{deadline}"
        );
    }
    proxy.get("/api/").await;
    proxy.post("/api/", &"x".repeat(70_000)).await;
    for other in origin.take_seen() {
        let method = &other.method;
        assert!(other.field("x-request-deadline").is_empty(), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_the_whole_request_ends_a_try_too() {
    let a = Origin::start("a").await;
    let limits = r#"timeouts = { first_byte = "15s", request = "1s" }"#;
    let proxy = Proxy::with(&[&a], "", limits).await;
    let answer = proxy.get("/api/?slow=60000").await;
    assert_eq!(answer.status, 504);
    assert!(answer.took < Duration::from_secs(5), "{:?}", answer.took);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_waits_on_a_silent_server_that_is_the_last_one() {
    let a = Origin::start("a").await;
    let limits = r#"timeouts = { first_byte = "2s" }"#;
    let proxy = Proxy::with(&[&a], "", limits).await;
    a.freeze(true);
    let answer = proxy.get("/api/").await;
    assert_eq!(answer.status, 504);
    assert!(
        answer.took >= Duration::from_secs(2),
        "given up early: {answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_checks_only_connect_a_frozen_server_costs_the_first_byte_and_no_more() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let upstream = r#"
        health = { every = "100ms" }
        timeouts = { first_byte = "1s" }
    "#;
    let proxy = Proxy::with(&[&a, &b], "", upstream).await;
    a.freeze(true);
    // Of ten requests, four come to `a` first.
    let reads = futures_util::future::join_all((0..10).map(|_| proxy.get("/api/"))).await;
    for answer in &reads {
        assert_eq!((answer.status, answer.instance()), (200, "b"), "{answer:?}");
        assert!(answer.took < Duration::from_secs(5), "{answer:?}");
    }
    let moved = reads
        .iter()
        .filter(|answer| answer.took >= Duration::from_secs(1));
    assert_eq!(moved.count(), 4, "{reads:?}");
    let writes = futures_util::future::join_all((0..10).map(|_| proxy.post("/api/", "x"))).await;
    let late: Vec<_> = writes
        .iter()
        .filter(|answer| answer.status == 504)
        .collect();
    assert_eq!(
        late.len(),
        4,
        "nobody knows what became of them: {writes:?}"
    );
    assert!(
        late.iter()
            .all(|answer| answer.took >= Duration::from_secs(1))
    );
    assert!(a.received().is_empty());
    assert_eq!(proxy.states().await, ["up", "up"], "it takes connections");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_on_the_last_server_is_answered_though_it_takes_no_connections() {
    let mut a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let (answer, ()) = tokio::join!(proxy.get("/api/?slow=2000"), async {
        eventually("it is in hand", || async { a.received().len() == 1 }).await;
        a.stop().await;
    });
    assert_eq!((answer.status, answer.body.as_str()), (200, "a 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopping_server_has_in_hand_is_left_to_it() {
    let (mut a, mut b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    let (answer, ()) = tokio::join!(proxy.get("/api/?slow=2500"), async {
        eventually("it is in hand", || async {
            a.received().len() + b.received().len() == 1
        })
        .await;
        let holder = if a.received().is_empty() {
            &mut b
        } else {
            &mut a
        };
        holder.answer_with(200, &[("x-lb-drain", "1")]);
        eventually("it has said that it is stopping", || async {
            proxy.get("/api/").await;
            holder.received().len() > 1
        })
        .await;
        holder.stop().await;
    });
    assert_eq!(answer.status, 200);
    let seen = [a.received(), b.received()].concat();
    let slow = seen
        .iter()
        .filter(|request| request.target.contains("slow"));
    assert_eq!(slow.count(), 1, "it was sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_vanished_does_not_hold_its_requests_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.sock");
    // It answers health checks and nothing else.
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let app = axum::Router::new()
        .route("/healthz", axum::routing::get(|| async {}))
        .fallback(std::future::pending::<()>);
    let serving = tokio::spawn(axum::serve(listener, app).into_future());
    let proxy = Proxy::start(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = "127.0.0.1:0"
        [[routes]]
        path = "/"
        upstream = "music"
        [upstreams.music]
        servers = [{{ address = "unix:{}/*.sock" }}]
        health = {{ path = "/healthz" }}
        timeouts = {{ first_byte = "2s" }}
        "#,
        folder.path().display()
    ))
    .await;
    proxy.until_up(1).await;
    let (answer, ()) = tokio::join!(proxy.post("/", "x"), async {
        eventually("it is in hand", || async {
            proxy.status().await["in_flight"] == 1
        })
        .await;
        std::fs::remove_file(&path).unwrap();
        eventually("the server is gone", || async {
            proxy.states().await.is_empty()
        })
        .await;
    });
    serving.abort();
    assert_eq!(answer.status, 504, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_not_a_silent_server() {
    let body = "x".repeat(12_000_000);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let origin = RawOrigin::start(Reply::Keep(answer.leak())).await;
    let limits = r#"timeouts = { idle = "300ms" }"#;
    let proxy = Proxy::at(&[origin.address], "", limits).await;
    let mut stream = proxy.connect().await;
    stream
        .write_all(b"GET /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    // Nothing is read until every buffer on the way is full, and then for longer than the limit.
    let began = Instant::now();
    eventually("the reader has taken its time", || async {
        began.elapsed() > Duration::from_millis(1500)
    })
    .await;
    let answer = read_to_end(&mut stream).await;
    assert_eq!(answer.body.len(), body.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_proxy_says_close_on_its_own_answers_too() {
    let a = Origin::start("a").await;
    let mut proxy = Proxy::before(&[&a]).await;
    proxy.stop();
    eventually("it says so", || async {
        proxy.status().await["draining"] == true
    })
    .await;
    for request in [
        "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let answer = proxy.raw(request).await;
        assert_eq!(answer.field("connection"), Some("close"), "{request}");
    }
    proxy.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_has_begun_ends_before_the_proxy_does() {
    let a = Origin::start("a").await;
    let mut proxy = Proxy::before(&[&a]).await;
    let mut stream = proxy.connect().await;
    stream
        .write_all(b"POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        .await
        .unwrap();
    eventually("it is in hand", || async {
        proxy.status().await["in_flight"] == 1
    })
    .await;
    let (address, began) = (proxy.address, Instant::now());
    proxy.stop();
    eventually("nobody else is let in", || async {
        tokio::net::TcpStream::connect(address).await.is_err()
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(5));
    stream.write_all(b"cd").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "a 4"));
    assert_eq!(answer.field("connection"), Some("close"));
    proxy.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_takes_no_connection_that_a_rested_server_may_be_closing() {
    let origin = RawOrigin::start(Reply::OnlyOnce(FINE)).await;
    let proxy = Proxy::at(&[origin.address], "", "").await;
    assert_eq!(proxy.get("/api/").await.status, 200);
    let began = Instant::now();
    eventually("the server has rested", || async {
        began.elapsed() > Duration::from_millis(1200)
    })
    .await;
    assert_eq!(proxy.post("/api/", "x").await.status, 200);
    assert_eq!((origin.take_seen().len(), origin.connections()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_coming_gets_408_and_never_looks_whole() {
    let a = Origin::start("a").await;
    let proxy = Proxy::with(&[&a], r#"body_timeout = "300ms""#, "").await;
    let answer = proxy
        .raw("POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        .await;
    assert_eq!(
        (answer.status, answer.instance()),
        (408, "proxy"),
        "{answer:?}"
    );
    assert_eq!(answer.field("connection"), Some("close"));
    assert!(a.received().is_empty());
    assert_eq!(proxy.states().await, ["up"], "no fault of the server's");
}
