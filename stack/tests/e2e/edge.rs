//! What every answer says, and what is refused.

use std::time::{Duration, Instant};

use http::Method;

use crate::support::{Stack, read_to_end};

pub(crate) async fn every_answer_names_who_gave_it(stack: &Stack) {
    for (method, path, status, by_proxy) in [
        (Method::GET, "/", 200, true),
        (Method::GET, "/static/style.css", 200, true),
        (Method::GET, "/static/none", 404, true),
        (Method::POST, "/", 405, true),
        (Method::GET, "/api/music/", 200, false),
        (Method::GET, "/api/music/999999999/", 404, false),
        (Method::GET, "/api/none/", 404, false),
        (Method::PUT, "/api/music/", 405, false),
    ] {
        let answer = stack.ask(method.clone(), path, "*/*", "").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_eq!(
            answer.instance() == "proxy",
            by_proxy,
            "{method} {path}: {}",
            answer.instance()
        );
        assert!(!answer.instance().is_empty(), "{method} {path}");
        assert!(!answer.header("x-request-id").is_empty(), "{method} {path}");
    }
    let health = stack.ask(Method::GET, "/healthz", "*/*", "").await;
    assert_eq!(
        health.instance(),
        "proxy",
        "the API's health is not for everybody"
    );
    assert_eq!(health.status, 404);
}

pub(crate) async fn what_breaks_the_rules_is_refused(stack: &Stack) {
    for request in [
        "GET /api/music/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /api/music/ HTTP/1.1\r\n\r\n",
        "GET /api/ music/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /api/music/ HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
        "POST /api/music/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let answer = read_to_end(stack.send(request).await).await.to_lowercase();
        assert!(answer.starts_with("http/1.1 400 "), "{request:?}: {answer}");
        assert!(
            answer.contains("x-instance: proxy"),
            "{request:?}: {answer}"
        );
    }
}

pub(crate) async fn http_1_0_is_answered_at_once(stack: &Stack) {
    let began = Instant::now();
    let answer = read_to_end(stack.send("GET / HTTP/1.0\r\n\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}
