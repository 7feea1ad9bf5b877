//! Upstream servers that break the rules, break off, or answer before they were asked to.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::raw::{FINE, RawOrigin, Reply};
use crate::support::{Proxy, eventually, read_to_end, read_until};

async fn before(origin: &RawOrigin) -> Proxy {
    Proxy::at(&[origin.address], "", "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_makes_no_sense_becomes_a_502() {
    let origin = RawOrigin::start(Reply::Close("")).await;
    let proxy = before(&origin).await;
    for garbage in [
        "",
        "\r\n\r\n",
        "hello\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nqqq",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nqqq",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nqqq",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nqqq",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nqqq",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        origin.reply(Reply::Close(garbage));
        let answer = proxy.get("/api/").await;
        let last = answer.body.rsplit("HTTP/1.1 ").next().unwrap_or("");
        let status = if answer.status == 100 { &last[..3] } else { "" };
        assert!(
            answer.status == 502 || status == "502",
            "{garbage:?}: {answer:?}"
        );
        let text = format!("{}{}", answer.head, answer.body).to_lowercase();
        assert!(
            text.contains("x-instance: proxy"),
            "{garbage:?}: {answer:?}"
        );
        assert!(
            !text.contains("qqq") && !text.contains("pingora"),
            "{answer:?}"
        );
    }
    origin.reply(Reply::Keep(FINE));
    assert_eq!(proxy.get("/api/").await.body, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_lengths_are_one_length() {
    let origin = RawOrigin::start(Reply::Keep(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    ))
    .await;
    let proxy = before(&origin).await;
    let answer = proxy.get("/api/").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    let lengths = answer
        .head
        .to_lowercase()
        .matches("content-length: 2")
        .count();
    assert_eq!(lengths, 1, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_cut_visibly() {
    let origin = RawOrigin::start(Reply::Close(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    ))
    .await;
    let proxy = before(&origin).await;
    let request = "GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n";
    let counted = proxy.raw(request).await;
    assert_eq!(counted.field("content-length"), Some("9"));
    assert_eq!(counted.body, "half", "and nothing behind it");
    origin.reply(Reply::Close(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ));
    let chunked = proxy.raw(request).await;
    assert!(chunked.body.contains("half"), "{chunked:?}");
    assert!(
        !chunked.body.contains("0\r\n\r\n"),
        "it looks whole: {chunked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_leave_the_connection_usable() {
    let origin = RawOrigin::start(Reply::Keep(FINE)).await;
    let proxy = before(&origin).await;
    for (method, reply) in [
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n",
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "HEAD",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n",
        ),
    ] {
        origin.reply(Reply::Keep(reply));
        let mut stream = proxy.connect().await;
        for _ in 0..2 {
            let request = format!("{method} /api/ HTTP/1.1\r\nHost: x\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let head = read_until(&mut stream, "\r\n\r\n").await;
            assert!(
                head.ends_with("\r\n\r\n"),
                "{method} {reply:?}: a body: {head:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_of_the_proxy_s_own_pages_has_no_body_and_says_what_becomes_of_the_connection() {
    let origin = RawOrigin::start(Reply::Close("")).await;
    let proxy = before(&origin).await;
    let mut stream = proxy.connect().await;
    for (path, start, connection) in [
        ("/nowhere", "HTTP/1.1 404", "keep-alive"),
        ("/nowhere", "HTTP/1.1 404", "keep-alive"),
        ("/api/", "HTTP/1.1 502", "close"),
    ] {
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_until(&mut stream, "\r\n\r\n").await;
        assert!(head.starts_with(start), "{head}");
        assert!(head.ends_with("\r\n\r\n"), "a body: {head:?}");
        assert!(
            head.contains(&format!("Connection: {connection}")),
            "{head}"
        );
    }
    assert_eq!(read_to_end(&mut stream).await.head, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_pass_and_old_clients_get_none() {
    let origin = RawOrigin::start(Reply::Keep(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ))
    .await;
    let proxy = before(&origin).await;
    let hinted = proxy.get("/api/").await;
    assert_eq!(hinted.status, 103);
    assert!(hinted.body.starts_with("HTTP/1.1 200"), "{hinted:?}");
    let old = proxy
        .raw("GET /api/ HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!((old.status, old.body.as_str()), (200, "ok"));
    let seen = origin.take_seen();
    assert_eq!(seen[1].field("host").len(), 1, "HTTP/1.1 asks for a host");
    assert!(seen[1].field("expect").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_sees_the_end_by_the_close() {
    let origin = RawOrigin::start(Reply::Keep(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ))
    .await;
    let proxy = before(&origin).await;
    let answer = proxy
        .raw("GET /api/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    assert_eq!(answer.body, "ok");
    assert_eq!(answer.field("connection"), Some("close"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_fails_after_its_100_is_reported() {
    let origin = RawOrigin::start(Reply::Close("HTTP/1.1 100 Continue\r\n\r\n")).await;
    let proxy = before(&origin).await;
    let request =
        "POST /api/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab";
    let answer = proxy.raw(request).await;
    assert_eq!(answer.status, 100);
    assert!(answer.body.starts_with("HTTP/1.1 502"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_arrives_and_the_upload_is_not_waited_for() {
    let origin = RawOrigin::start(Reply::Early(
        "HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig",
    ))
    .await;
    let proxy = before(&origin).await;
    let mut stream = proxy.connect().await;
    stream
        .write_all(b"POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\nab")
        .await
        .unwrap();
    let answer = read_to_end(&mut stream).await;
    assert_eq!((answer.status, answer.body.as_str()), (413, "big"));
    assert_eq!(answer.field("connection"), Some("close"));
    assert!(answer.took < Duration::from_secs(5), "{:?}", answer.took);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_connection_is_replaced_by_a_fresh_one() {
    let origin = RawOrigin::start(Reply::OnlyOnce(FINE)).await;
    let proxy = before(&origin).await;
    for round in 0..5 {
        assert_eq!(proxy.get("/api/").await.body, "ok", "round {round}");
    }
    assert_eq!(origin.take_seen().len(), 5, "answered once each");
    assert_eq!(proxy.states().await, ["up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_closed_client_gets_its_answer() {
    let origin = RawOrigin::start(Reply::Keep(FINE)).await;
    let proxy = before(&origin).await;
    for request in [
        "GET /api/ HTTP/1.0\r\n\r\n",
        "GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab",
    ] {
        let mut stream = proxy.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "ok"),
            "{request}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_has_begun_moves_on_whole() {
    let busy = RawOrigin::start(Reply::Early(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    ))
    .await;
    let fine = RawOrigin::start(Reply::Keep(FINE)).await;
    // The second one has the larger weight: it is asked first.
    let proxy = Proxy::at(&[fine.address, busy.address], "", "").await;
    let mut stream = proxy.connect().await;
    stream
        .write_all(
            b"PUT /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nab",
        )
        .await
        .unwrap();
    eventually("the busy one has answered", || async { !fine.is_idle() }).await;
    stream.write_all(b"cd").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await.body, "ok");
    assert_eq!(
        (busy.take_seen().len(), &fine.take_seen()[0].body[..]),
        (1, &b"abcd"[..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_answers_its_checks_and_breaks_every_request_is_ejected() {
    for nonsense in ["", "hello\r\n\r\n"] {
        let (bad, good) = (
            RawOrigin::start(Reply::Close(nonsense)).await,
            RawOrigin::start(Reply::Keep(FINE)).await,
        );
        let proxy = Proxy::at(&[bad.address, good.address], "", "").await;
        let mut failed = 0;
        for _ in 0..60 {
            failed += u32::from(proxy.post("/api/", "x").await.status != 200);
        }
        assert!(failed <= 5, "{nonsense:?}: {failed} of 60 failed");
        let states = proxy.states().await;
        assert_eq!(states, ["too many 5xx or broken answers", "up"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_a_method_is_not_ejected() {
    let unknown = "HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n";
    let (a, b) = (
        RawOrigin::start(Reply::Keep(unknown)).await,
        RawOrigin::start(Reply::Keep(unknown)).await,
    );
    let proxy = Proxy::at(&[a.address, b.address], "", "").await;
    for _ in 0..30 {
        assert_eq!(proxy.post("/api/", "x").await.status, 501);
    }
    assert_eq!(proxy.states().await, ["up", "up"]);
}

/// Says that more comes than does.
const CUT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";

#[tokio::test(flavor = "multi_thread")]
async fn one_that_breaks_off_every_body_is_ejected() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let error = "HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nhalf";
    for cut in [CUT, chunked, error] {
        let (bad, good) = (
            RawOrigin::start(Reply::Close(cut)).await,
            RawOrigin::start(Reply::Keep(FINE)).await,
        );
        let proxy = Proxy::at(&[bad.address, good.address], "", "").await;
        proxy.until_up(2).await;
        let request = "GET /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        eventually("it is ejected", || async {
            proxy.raw(request).await;
            proxy.states().await == ["too many 5xx or broken answers", "up"]
        })
        .await;
        assert_eq!(bad.take_seen().len(), 5, "{cut:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_clients_leave_early_is_not_ejected() {
    let half = RawOrigin::start(Reply::Early(CUT)).await;
    let good = RawOrigin::start(Reply::Keep(FINE)).await;
    let proxy = Proxy::at(&[half.address, good.address], "", "").await;
    proxy.until_up(2).await;
    for _ in 0..20 {
        let mut client = proxy.connect().await;
        let request = b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n";
        client.write_all(request).await.unwrap();
        read_until(&mut client, "\r\n\r\n").await;
    }
    eventually("all have left", || async {
        let status = proxy.status().await;
        let servers = status["upstreams"][0]["servers"].as_array().unwrap();
        servers.iter().all(|server| server["in_flight"] == 0)
    })
    .await;
    assert_eq!(proxy.states().await, ["up", "up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_bodies_are_cut_by_a_limit_of_ours_is_not_ejected() {
    let half = RawOrigin::start(Reply::Early(CUT)).await;
    let good = RawOrigin::start(Reply::Keep(FINE)).await;
    let limits = r#"timeouts = { idle = "100ms" }"#;
    let proxy = Proxy::at(&[half.address, good.address], "", limits).await;
    proxy.until_up(2).await;
    let mut cut = 0;
    while cut < 6 {
        let request = "GET /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answer = proxy.raw(request).await;
        cut += u32::from(answer.body == "half");
        assert_eq!(proxy.states().await, ["up", "up"], "after {cut}");
    }
}
