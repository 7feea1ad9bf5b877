//! What a route may ask for, over HTTP/2: gzip, `WebSocket`s, a rate; and the pages that say what
//! is refused.

use std::io::Read;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::Method;
use tokio::time::timeout;

use super::client::{
    Client, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, Told, block, get, read_frame,
};
use super::over_tls;
use crate::raw::{FINE, RawOrigin, Reply};
use crate::secure::Secure;
use crate::streamer::Streamer;
use crate::support::{BOUND, Origin, Proxy};

const GZIP: (&str, &str) = ("accept-encoding", "gzip");

fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let fields = fields.iter();
    let fields: Vec<_> = fields
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect();
    block(&fields)
}

/// Sends a request without a body, with more fields than a plain one has.
async fn ask(client: &mut Client, method: &str, path: &str, more: &[(&str, &str)]) -> Told {
    let plain = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", path),
    ];
    let head = [fields(&plain), fields(more)].concat();
    client.send_head(head, method.parse().unwrap(), None).await
}

/// What can be read already of a compressed answer.
fn decoded(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    let mut decoder = GzDecoder::new(bytes);
    let mut room = [0; 256];
    while let Ok(read @ 1..) = decoder.read(&mut room) {
        text.extend_from_slice(&room[..read]);
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_sent_as_gzip_to_whoever_takes_it() {
    let text: String = (0..400).map(|number| format!("line {number}\n")).collect();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: \"v1\"\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    let origin = RawOrigin::start(Reply::Keep(answer.leak())).await;
    let proxy = Proxy::routed(&[origin.address], "compress = true").await;
    let mut client = Client::connect(proxy.address).await;
    for method in ["GET", "HEAD"] {
        let told = ask(&mut client, method, "/api/", &[GZIP]).await;
        let (answer, body) = told.unwrap();
        let fields = answer.headers();
        assert_eq!(fields["content-encoding"], "gzip", "{method}");
        assert_eq!(fields["etag"], "W/\"v1\"", "{method}");
        assert!(!fields.contains_key("content-length"), "{method}");
        match method {
            "GET" => assert_eq!(decoded(&body), text),
            _ => assert!(body.is_empty()),
        }
        assert!(body.len() < text.len() / 2);
    }
    let (answer, body) = ask(&mut client, "GET", "/api/", &[]).await.unwrap();
    assert!(!answer.headers().contains_key("content-encoding"));
    assert_eq!(answer.headers()["etag"], "\"v1\"");
    assert_eq!(body, text.into_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_piece_of_an_answer_is_sent_as_it_comes() {
    for (kind, is_coded) in [("text/html", true), ("text/event-stream", false)] {
        let pieces = ["first ", "second ", "third"].map(str::to_owned);
        let kind = format!("Content-Type: {kind}\r\n");
        let server = Streamer::start(&kind, pieces.to_vec(), false).await;
        let proxy = Proxy::routed(&[server.address], "compress = true").await;
        let mut client = Frames::greet(proxy.address).await;
        let head = [get("/api/"), fields(&[GZIP])].concat();
        client
            .send(HEADERS, END_HEADERS | END_STREAM, 1, &head)
            .await;
        let (mut body, mut expected) = (Vec::new(), String::new());
        let so_far = |body: &[u8]| match is_coded {
            true => decoded(body),
            false => String::from_utf8(body.to_vec()).unwrap(),
        };
        for piece in &pieces {
            server.go_on();
            expected.push_str(piece);
            // The next piece is not sent before this one was read.
            while so_far(&body) != expected {
                let frame = timeout(BOUND, read_frame(&mut client.stream)).await;
                let (kind, _, _, payload) = frame.expect("no piece").expect("closed");
                if kind == DATA {
                    body.extend(payload);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_switches_to_a_websocket() {
    let origin = RawOrigin::start(Reply::Keep(FINE)).await;
    let proxy = Proxy::routed(&[origin.address], "websocket = true").await;
    let mut client = Client::connect(proxy.address).await;
    let version = ("sec-websocket-version", "13");
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let upgrade = ("upgrade", "websocket");
    for offer in [
        &[upgrade, version, key][..],
        &[("connection", "upgrade"), upgrade, version, key],
    ] {
        let told = ask(&mut client, "GET", "/api/", offer).await;
        let is_refused = match &told {
            Ok((answer, _)) => answer.status() == 400,
            Err(error) => error.is_reset(),
        };
        assert!(is_refused, "{told:?}");
    }
    assert!(origin.take_seen().is_empty());
    // Without an offer it is a plain request, and stays one.
    let told = ask(&mut client, "GET", "/api/", &[version, key]).await;
    assert_eq!(told.unwrap().0.status(), 200);
    let seen = origin.take_seen();
    assert!(seen[0].field("upgrade").is_empty(), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_a_page_for_browsers_and_json_for_others() {
    let secure = Secure::start(false).await;
    let mut client = over_tls(&secure).await;
    for (method, path, status) in [
        ("GET", "/none/canary", 404),
        ("GET", "/files/canary?canary", 404),
        ("DELETE", "/files/", 405),
    ] {
        let accept = ("accept", "text/html");
        let told = ask(&mut client, method, path, &[accept, ("x-canary", "canary")]).await;
        let (answer, body) = told.unwrap();
        let fields = answer.headers();
        let body = String::from_utf8(body).unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert!(body.starts_with("<!doctype html>"), "{path}: {body}");
        for (name, value) in [
            ("x-instance", "proxy"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
        ] {
            assert_eq!(fields[name], value, "{path}");
        }
        assert!(fields.contains_key("content-security-policy"), "{path}");
        assert_eq!(fields.contains_key("allow"), status == 405, "{path}");
        let told = format!("{fields:?}{body}").to_lowercase();
        assert!(
            !told.contains("canary") && !told.contains("pingora"),
            "{told}"
        );
        assert!(!fields.contains_key("server"), "{path}");
        let (_, body) = ask(&mut client, method, path, &[]).await.unwrap();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(json["detail"].is_string(), "{path}: {json}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_its_rate_a_client_gets_429_on_a_connection_that_goes_on() {
    let a = Origin::start("a").await;
    let rate = "rate_limit = { requests = 1, per = \"1h\", burst = 3 }";
    let proxy = Proxy::routed(&[a.address], rate).await;
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..3 {
        assert_eq!(client.get("/api/").await.unwrap().0.status(), 200);
    }
    let body = vec![Bytes::from(vec![b'x'; 1024 * 1024]); 5];
    for body in [None, Some(body)] {
        let told = client.send(Method::POST, "/api/", body).await;
        let (answer, _) = told.unwrap();
        assert_eq!(answer.status(), 429);
        let wait = answer.headers()["retry-after"].to_str().unwrap();
        assert!(wait.parse::<u32>().unwrap() > 3000, "{wait}");
    }
    assert_eq!(client.get("/none").await.unwrap().0.status(), 404);
    assert_eq!(a.received().len(), 3);
}
