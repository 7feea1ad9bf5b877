//! What is passed on, both ways.

use crate::support::{Origin, Proxy};

#[tokio::test(flavor = "multi_thread")]
async fn the_request_is_cleaned_and_marked() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let request = "GET /api/?q=%20 HTTP/1.1\r\nHost: shop.example\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\n\
        Keep-Alive: 1\r\nTE: trailers\r\nX_Under: 1\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
        Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-LB-Drain: 1\r\nX-Request-Id: my-id.1\r\nIdempotency-Key: k\r\n\r\n";
    let answer = proxy.raw(request).await;
    assert_eq!(answer.field("x-request-id"), Some("my-id.1"));
    let received = a.received().remove(0);
    assert_eq!(received.target, "/api/?q=%20");
    let field = |name: &str| {
        received
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    assert_eq!(field("host"), Some("shop.example"));
    assert_eq!(field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(field("x-forwarded-proto"), Some("http"));
    assert_eq!(field("x-forwarded-host"), Some("shop.example"));
    assert_eq!(field("x-real-ip"), Some("127.0.0.1"));
    assert_eq!(field("x-request-id"), Some("my-id.1"));
    assert_eq!(field("idempotency-key"), Some("k"));
    assert!(
        field("forwarded")
            .is_some_and(|value| value.contains("127.0.0.1") && !value.contains("6.6.6.6"))
    );
    assert!(field("via").is_some());
    for gone in ["x-secret", "keep-alive", "te", "x_under", "x-lb-drain"] {
        assert_eq!(field(gone), None, "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_s_chain_is_appended_to() {
    let a = Origin::start("a").await;
    let proxy = Proxy::with(&[&a], r#"trusted_proxies = ["127.0.0.0/8"]"#, "").await;
    proxy
        .raw("GET /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\r\n")
        .await;
    let received = a.received().remove(0);
    assert_eq!(received.headers["x-forwarded-for"], "6.6.6.6, 127.0.0.1");
    assert_eq!(received.headers["x-forwarded-proto"], "https");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_is_cleaned_and_every_answer_is_signed() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    a.answer_with(
        200,
        &[
            ("server", "secret/1.0"),
            ("x-powered-by", "magic"),
            ("keep-alive", "timeout=5"),
            ("x-kept", "yes"),
        ],
    );
    let answer = proxy.get("/api/").await;
    for gone in ["server", "x-powered-by", "keep-alive"] {
        assert_eq!(answer.field(gone), None, "{gone}");
    }
    assert_eq!(answer.field("x-kept"), Some("yes"));
    assert_eq!(answer.instance(), a.address.to_string(), "it gave no name");
    let id = answer.field("x-request-id").unwrap();
    assert!(id.len() >= 16, "{id}");
    let nothing = proxy.get("/elsewhere").await;
    assert_eq!((nothing.status, nothing.instance()), (404, "proxy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn absolute_form_goes_by_its_own_host() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let answer = proxy
        .raw("GET http://real.example/api/x?y HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let received = a.received().remove(0);
    assert_eq!(received.target, "/api/x?y");
    assert_eq!(received.headers["host"], "real.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_answers_odd_requests_too() {
    let a = Origin::start("a").await;
    let mut proxy = Proxy::before(&[&a]).await;
    std::mem::swap(&mut proxy.address, &mut proxy.admin);
    for (request, status) in [
        ("GET /healthz HTTP/1.1", 200),
        ("HEAD /status HTTP/1.1", 200),
        ("POST /healthz HTTP/1.1", 405),
        ("DELETE /status HTTP/1.1", 405),
        ("GET / HTTP/1.1", 404),
        ("GET /../healthz HTTP/1.1", 404),
        ("GET /healthz/%00?x=%zz HTTP/1.1", 404),
    ] {
        let answer = proxy
            .raw(&format!(
                "{request}\r\nHost: x\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert_eq!(
            (answer.status, answer.instance()),
            (status, "proxy"),
            "{request}"
        );
    }
    for garbage in [
        "GET\r\n\r\n",
        "\x16\x03\x01\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        proxy.raw(garbage).await;
    }
    std::mem::swap(&mut proxy.address, &mut proxy.admin);
    assert_eq!(proxy.states().await, ["up"]);
}
