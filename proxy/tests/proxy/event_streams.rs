//! Server-sent events: each reaches its reader as it is sent, however long the next one takes.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::secure::Pair;
use crate::streamer::Streamer;
use crate::support::{BOUND, Proxy, read_until};

const EVENTS: &str = "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n";
const REQUEST: &str = "GET /api/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\
    Accept-Encoding: gzip\r\nConnection: close\r\n\r\n";
/// Longer than every limit of the proxies here but the one between two pieces of an answer.
const GAP: Duration = Duration::from_millis(900);

fn event(number: usize) -> String {
    format!("data: {number}\n\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_comes_at_once_and_the_next_one_may_take_its_time() {
    let server = Streamer::start(EVENTS, (0..3).map(event).collect(), false).await;
    let clients = "body_timeout = \"100ms\"\nidle_timeout = \"100ms\"\nheader_timeout = \"500ms\"";
    let limits = "timeouts = { first_byte = \"300ms\", request = \"400ms\" }";
    let route = "compress = true";
    let proxy = Proxy::built(&[server.address], clients, route, limits).await;
    let mut stream = proxy.connect().await;
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n")
        .await
        .to_ascii_lowercase();
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    assert!(!head.contains("content-encoding"), "{head}");
    assert!(!head.contains("content-length"), "{head}");
    for number in 0..2 {
        tokio::time::sleep(GAP).await;
        server.go_on();
        // The next one is not sent before this one was read.
        read_until(&mut stream, &event(number)).await;
    }
    tokio::time::sleep(GAP).await;
    server.go_on();
    let last = read_until(&mut stream, "\r\n0\r\n\r\n").await;
    assert!(last.contains(&event(2)), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_comes_at_once_over_tls() {
    let server = Streamer::start(EVENTS, (0..3).map(event).collect(), false).await;
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::new();
    pair.write(folder.path());
    let proxy = Proxy::start(&format!(
        "listen = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n\
         tls = {{ listen = \"127.0.0.1:0\", certificate = \"{folder}/tls.crt\", key = \"{folder}/tls.key\" }}\n\
         log.access = \"off\"\nroutes = [{{ path = \"/api\", upstream = \"u\" }}]\n\
         [upstreams.u]\nservers = [{{ address = \"{}\" }}]\nhealth = {{ path = \"/healthz\", every = \"100ms\" }}\n",
        server.address,
        folder = folder.path().display()
    ))
    .await;
    proxy.until_up(1).await;
    let mut stream = pair.connect(proxy.secure.unwrap()).await.unwrap();
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    for number in 0..3 {
        server.go_on();
        let read = async {
            while !String::from_utf8_lossy(&bytes).contains(&event(number)) {
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "closed");
            }
        };
        tokio::time::timeout(BOUND, read).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_pauses_gets_every_event() {
    let filler = "x".repeat(2000);
    let event = |number: usize| format!("data: {number} {filler}\n\n");
    let server = Streamer::start(EVENTS, (0..4000).map(event).collect(), false).await;
    let proxy = Proxy::routed(&[server.address], "").await;
    let mut stream = proxy.connect().await;
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    server.send_all();
    read_until(&mut stream, "data: 0 ").await;
    tokio::time::sleep(GAP).await;
    let mut rest = String::new();
    let read = tokio::time::timeout(BOUND, stream.read_to_string(&mut rest)).await;
    read.expect("the end did not come").unwrap();
    let events = rest.matches("data: ").count();
    assert!(events >= 3900, "only {events}");
    assert!(rest.contains("data: 3999 ") && rest.ends_with("0\r\n\r\n"));
}
