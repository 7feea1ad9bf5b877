//! A server dies, falls silent, is slow or answers with errors: what does the client notice?

use std::time::{Duration, Instant};

use crate::support::{Origin, Proxy, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_spread_exactly_four_to_six() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    let mut order = String::new();
    for _ in 0..100 {
        order.push_str(proxy.get("/api/").await.instance());
    }
    for ten in order.as_bytes().chunks(10) {
        assert_eq!(
            ten.iter().filter(|&&name| name == b'a').count(),
            4,
            "{order}"
        );
    }
    assert!(!order.contains("aaa") && !order.contains("bbb"), "{order}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_costs_nobody_anything() {
    let (mut a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    a.stop().await;
    for _ in 0..10 {
        let body = "x".repeat(100_000);
        let answer = proxy.post("/api/", &body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "b 100000"));
    }
    assert_eq!(
        proxy.states().await,
        ["connection refused or timed out", "up"]
    );
    let _a = a.restart().await;
    proxy.until_up(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_leaves_a_silent_server() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    a.freeze(true);
    let began = Instant::now();
    for _ in 0..6 {
        let answer = proxy.get("/api/").await;
        assert_eq!((answer.status, answer.instance()), (200, "b"));
    }
    // 250 ms of silence and a probe of 250 ms, once, with room for a busy machine.
    assert!(
        began.elapsed() < Duration::from_millis(2500),
        "{:?}",
        began.elapsed()
    );
    a.freeze(false);
    proxy.until_up(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_waits_on_a_silent_server_and_is_not_sent_twice() {
    let a = Origin::start("a").await;
    let b = Origin::start("b").await;
    let proxy = Proxy::with(&[&a, &b], "", r#"timeouts = { first_byte = "2s" }"#).await;
    a.freeze(true);
    b.freeze(true);
    let (first, second) = tokio::join!(proxy.post("/api/", "x"), proxy.post("/api/", "y"));
    for answer in [first, second] {
        // Whether the server has acted on it nobody knows: the client is told so by a 504.
        assert_eq!(answer.status, 504, "{answer:?}");
        assert!(answer.took >= Duration::from_secs(2));
    }
    assert_eq!(a.received().len() + b.received().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_is_left_in_peace() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    let (one, two) = tokio::join!(proxy.get("/api/?slow=1500"), proxy.get("/api/?slow=1500"));
    assert_eq!((one.status, two.status), (200, 200));
    let (post, _) = tokio::join!(proxy.post("/api/?slow=1500", "x"), proxy.get("/api/"));
    assert_eq!(post.status, 200);
    assert_eq!(
        a.received().len() + b.received().len(),
        4,
        "something was sent twice"
    );
    assert_eq!(proxy.states().await, ["up", "up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_answer_of_one_server_is_not_the_client_s_problem() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    a.answer_with(503, &[]);
    for _ in 0..4 {
        assert_eq!(proxy.get("/api/").await.body, "b 0");
    }
    // The last server's answer passes with its body.
    b.answer_with(502, &[]);
    let last = proxy.get("/api/").await;
    assert!(
        matches!((last.status, last.body.as_str()), (503, "a") | (502, "b")),
        "{last:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_answered_with_503_is_not_sent_elsewhere() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    a.answer_with(503, &[]);
    b.answer_with(503, &[]);
    assert_eq!(proxy.post("/api/", "x").await.status, 503);
    assert_eq!(a.received().len() + b.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_errors_in_a_row_eject_one_server_and_never_both() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    a.answer_with(500, &[]);
    b.answer_with(500, &[]);
    for _ in 0..30 {
        assert_eq!(proxy.get("/api/").await.status, 500);
    }
    let mut states = proxy.states().await;
    states.sort();
    assert_eq!(states, ["too many 5xx or broken answers", "up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_ejects_nobody() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    for origin in [&a, &b] {
        origin.answer_with(503, &[("x-lb-cause", "database"), ("retry-after", "1")]);
    }
    for _ in 0..30 {
        let answer = proxy.get("/api/").await;
        assert_eq!(
            (answer.status, answer.field("retry-after")),
            (503, Some("1"))
        );
        assert_eq!(
            answer.field("x-lb-cause"),
            None,
            "for the proxy's eyes only"
        );
    }
    assert_eq!(proxy.states().await, ["up", "up"]);
    assert_eq!(
        a.received().len() + b.received().len(),
        31,
        "a retry cannot help, once both have said so"
    );
    assert_eq!(degraded(&proxy).await, "database");
}

async fn degraded(proxy: &Proxy) -> serde_json::Value {
    proxy.status().await["upstreams"][0]["degraded"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_one_server_cannot_reach_is_not_the_client_s_problem() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    b.answer_with(503, &[("x-lb-cause", "database")]);
    for _ in 0..20 {
        assert_eq!(proxy.get("/api/").await.body, "a 0");
    }
    assert_eq!(degraded(&proxy).await, serde_json::Value::Null);
    assert_eq!(proxy.states().await, ["up", "up"]);
    let mut refused = 0;
    for _ in 0..10 {
        let answer = proxy.post("/api/", "x").await;
        if answer.status == 503 {
            assert_eq!(answer.field("retry-after"), Some("1"));
            refused += 1;
        }
    }
    assert_eq!(refused, 6, "a write without a key is sent once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_back_is_noticed() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    for origin in [&a, &b] {
        origin.answer_with(503, &[("x-lb-cause", "database")]);
    }
    assert_eq!(proxy.get("/api/").await.status, 503);
    assert_eq!(
        a.received().len() + b.received().len(),
        2,
        "both were asked"
    );
    assert_eq!(degraded(&proxy).await, "database");
    for origin in [&a, &b] {
        origin.answer_with(200, &[]);
    }
    eventually("it is no longer degraded", || async {
        assert_eq!(proxy.get("/api/").await.status, 200);
        degraded(&proxy).await.is_null()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cause_or_status_is_an_error_like_any_other() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    a.answer_with(500, &[("x-lb-cause", "database")]);
    b.answer_with(500, &[("x-lb-cause", "weather")]);
    for _ in 0..30 {
        proxy.get("/api/").await;
    }
    let mut states = proxy.states().await;
    states.sort();
    assert_eq!(states, ["too many 5xx or broken answers", "up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_server_gets_nothing_more() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::with(&[&a, &b], "", r#"resolve = "1s""#).await;
    a.unwell(true);
    a.answer_with(200, &[("x-lb-drain", "1"), ("x-instance", "a")]);
    for _ in 0..2 {
        let answer = proxy.get("/api/").await;
        assert_eq!(
            answer.field("x-lb-drain"),
            None,
            "for the proxy's eyes only"
        );
    }
    let seen = a.received().len();
    assert_eq!(seen, 1);
    for _ in 0..10 {
        assert_eq!(proxy.get("/api/").await.instance(), "b");
    }
    assert_eq!(a.received().len(), seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_left_is_said_at_once() {
    let (mut a, mut b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    a.stop().await;
    b.stop().await;
    assert_eq!(proxy.get("/api/").await.status, 503);
    let answer = proxy.get("/api/").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.field("retry-after"), Some("1"));
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert!(
        answer.took < Duration::from_millis(250),
        "{:?}",
        answer.took
    );
    let browser = "GET /api/ HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
    let page = proxy.raw(browser).await;
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.field("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'; base-uri 'none'"));
    assert!(!page.body.contains("stylesheet"), "no route serves one");
    let _b = b.restart().await;
    proxy.until_up(1).await;
    assert_eq!(proxy.get("/api/").await.instance(), "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_checks_fail_is_out_until_one_passes() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    a.unwell(true);
    eventually("the checks have failed", || async {
        proxy.states().await == ["health check: 503 from GET /healthz", "up"]
    })
    .await;
    assert_eq!(proxy.get("/api/").await.instance(), "b");
    a.unwell(false);
    proxy.until_up(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_in_a_folder_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = "127.0.0.1:0"
        [log]
        access = "off"
        [[routes]]
        path = "/"
        upstream = "music"
        [upstreams.music]
        servers = [{{ address = "unix:{}/*.sock" }}]
        "#,
        folder.path().display()
    ))
    .await;
    assert_eq!(proxy.get("/").await.status, 503);
    let path = folder.path().join("1.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let app = axum::Router::new().fallback(|| async { "from a socket" });
    let serving = tokio::spawn(axum::serve(listener, app).into_future());
    proxy.until_up(1).await;
    let answer = proxy.get("/").await;
    assert_eq!(answer.body, "from a socket");
    // It does not name itself, so it is named by its address.
    assert_eq!(answer.instance(), format!("unix:{}", path.display()));
    serving.abort();
    std::fs::remove_file(&path).unwrap();
    eventually("the server is gone", || async {
        proxy.states().await.is_empty()
    })
    .await;
    assert_eq!(proxy.get("/").await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_came_late_has_nobody_wait_twice_and_counts_all_the_same() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    for origin in [&a, &b] {
        origin.answer_with(503, &[("x-lb-cause", "database"), ("retry-after", "1")]);
    }
    let proxy = Proxy::before(&[&a, &b]).await;
    // As where the database hangs: each server needs all its time to find out.
    for asked in 1..=2 {
        assert_eq!(proxy.get("/api/?slow=700").await.status, 503);
        assert_eq!(
            a.received().len() + b.received().len(),
            asked,
            "asked once each"
        );
    }
    assert_eq!(proxy.status().await["upstreams"][0]["degraded"], "database");
}
