//! Frames that break the rules of RFC 9113, each on a connection of its own: it is ended or the
//! stream reset, and the upstream reads nothing.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::client::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, PREFACE,
    PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame, get,
};
use crate::raw::{FINE, RawOrigin, Reply};
use crate::support::{Proxy, eventually};

const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 32;

/// The frames of each case, and whether they end one stream only.
fn broken() -> Vec<(&'static str, Vec<Vec<u8>>, bool)> {
    let open = || frame(HEADERS, END_HEADERS, 1, &get("/none"));
    let announced = || {
        let length = block(&[(b"content-length".to_vec(), b"5".to_vec())]);
        frame(HEADERS, END_HEADERS, 1, &[get("/none"), length].concat())
    };
    let half = || frame(HEADERS, END_STREAM, 1, &get("/none")[..4]);
    let setting = |id: u8, value: u32| {
        let value = value.to_be_bytes();
        frame(SETTINGS, 0, 0, &[&[0, id], &value[..]].concat())
    };
    let whole = false;
    let stream = true;
    vec![
        ("data on stream 0", vec![frame(DATA, 0, 0, b"x")], whole),
        (
            "headers on stream 0",
            vec![frame(HEADERS, 5, 0, &get("/api/"))],
            whole,
        ),
        (
            "headers on an even stream",
            vec![frame(HEADERS, 5, 2, &get("/api/"))],
            whole,
        ),
        (
            "continuation on stream 0",
            vec![frame(CONTINUATION, 4, 0, &get("/api/"))],
            whole,
        ),
        (
            "continuation of nothing",
            vec![frame(CONTINUATION, 4, 1, &get("/api/"))],
            whole,
        ),
        (
            "continuation of another stream",
            vec![half(), frame(CONTINUATION, 4, 3, b"")],
            whole,
        ),
        (
            "data within a head",
            vec![half(), frame(DATA, 0, 1, b"x")],
            whole,
        ),
        (
            "a ping within a head",
            vec![half(), frame(PING, 0, 0, &[0; 8])],
            whole,
        ),
        (
            "another head within a head",
            vec![half(), frame(HEADERS, 5, 3, &get("/api/"))],
            whole,
        ),
        (
            "an unknown frame within a head",
            vec![half(), frame(99, 0, 1, b"x")],
            whole,
        ),
        (
            "data on an idle stream",
            vec![frame(DATA, 1, 1, b"x")],
            whole,
        ),
        (
            "a reset of an idle stream",
            vec![frame(RST_STREAM, 0, 1, &[0; 4])],
            whole,
        ),
        (
            "a window of an idle stream",
            vec![frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])],
            whole,
        ),
        (
            "a reset of stream 0",
            vec![frame(RST_STREAM, 0, 0, &[0; 4])],
            whole,
        ),
        (
            "a reset of a wrong length",
            vec![open(), frame(RST_STREAM, 0, 1, &[0; 3])],
            whole,
        ),
        (
            "a ping of a wrong length",
            vec![frame(PING, 0, 0, &[0; 7])],
            whole,
        ),
        (
            "a ping on a stream",
            vec![frame(PING, 0, 1, &[0; 8])],
            whole,
        ),
        (
            "settings on a stream",
            vec![frame(SETTINGS, 0, 1, &[])],
            whole,
        ),
        (
            "settings of a wrong length",
            vec![frame(SETTINGS, 0, 0, &[0; 5])],
            whole,
        ),
        (
            "confirmed settings with settings",
            vec![frame(SETTINGS, ACK, 0, &[0; 6])],
            whole,
        ),
        ("a setting for push of 2", vec![setting(2, 2)], whole),
        (
            "a setting for windows too large",
            vec![setting(4, 1 << 31)],
            whole,
        ),
        (
            "a setting for frames too small",
            vec![setting(5, 16_383)],
            whole,
        ),
        (
            "a setting for frames too large",
            vec![setting(5, 1 << 24)],
            whole,
        ),
        (
            "a push by a client",
            vec![open(), frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])],
            whole,
        ),
        (
            "a goaway on a stream",
            vec![frame(GOAWAY, 0, 1, &[0; 8])],
            whole,
        ),
        (
            "a frame too large",
            vec![open(), frame(DATA, 0, 1, &[0; 16_385])],
            whole,
        ),
        (
            "a window opened by nothing",
            vec![frame(WINDOW_UPDATE, 0, 0, &[0; 4])],
            whole,
        ),
        (
            "a window of a wrong length",
            vec![frame(WINDOW_UPDATE, 0, 0, &[0; 3])],
            whole,
        ),
        (
            "a window too large",
            vec![frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255])],
            whole,
        ),
        (
            "padding longer than the data",
            vec![open(), frame(DATA, PADDED, 1, &[9, 0])],
            whole,
        ),
        (
            "padding without its length",
            vec![open(), frame(DATA, PADDED, 1, &[])],
            whole,
        ),
        (
            "padding longer than the head",
            vec![frame(HEADERS, PADDED | 5, 1, &[200, 0x82])],
            whole,
        ),
        (
            "a priority of a wrong length",
            vec![open(), frame(PRIORITY, 0, 1, &[0; 4])],
            stream,
        ),
        (
            "a stream that waits for itself",
            vec![frame(
                HEADERS,
                WITH_PRIORITY | 5,
                1,
                &[&[0, 0, 0, 1, 0], &get("/api/")[..]].concat(),
            )],
            stream,
        ),
        (
            "an index of nothing",
            vec![frame(HEADERS, 5, 1, &[0x80])],
            whole,
        ),
        (
            "an index beyond the table",
            vec![frame(HEADERS, 5, 1, &[0xff, 0xff, 0x7f])],
            whole,
        ),
        (
            "an index without end",
            vec![frame(HEADERS, 5, 1, &[0xff; 40])],
            whole,
        ),
        (
            "a name longer than its head",
            vec![frame(HEADERS, 5, 1, &[0, 5, b'x'])],
            whole,
        ),
        (
            "letters that no code has",
            vec![frame(
                HEADERS,
                5,
                1,
                &[0, 0x84, 255, 255, 255, 255, 1, b'x'],
            )],
            whole,
        ),
        (
            "a table larger than agreed",
            vec![frame(HEADERS, 5, 1, &[0x3f, 0xe1, 0xff, 0x7f])],
            whole,
        ),
        (
            "a stream older than the last",
            vec![
                frame(HEADERS, 5, 5, &get("/none")),
                frame(HEADERS, 5, 3, &get("/api/")),
            ],
            whole,
        ),
        (
            "a second head that ends nothing",
            vec![open(), frame(HEADERS, 4, 1, &get("/api/"))],
            stream,
        ),
        (
            "a window of a stream by nothing",
            vec![open(), frame(WINDOW_UPDATE, 0, 1, &[0; 4])],
            stream,
        ),
        (
            "less data than announced",
            vec![announced(), frame(DATA, END_STREAM, 1, b"x")],
            stream,
        ),
        (
            "more data than announced",
            vec![announced(), frame(DATA, END_STREAM, 1, b"123456")],
            stream,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_frames_reach_nobody() {
    let origin = RawOrigin::start(Reply::Keep(FINE)).await;
    let limits = "header_timeout = \"1s\"\nidle_timeout = \"1s\"";
    let proxy = Proxy::at(&[origin.address], limits, "").await;
    let cases = broken();
    let checks = cases.into_iter().map(|(name, frames, one_stream)| {
        let address = proxy.address;
        async move {
            let mut client = Frames::greet(address).await;
            client.stream.write_all(&frames.concat()).await.unwrap();
            let closed = client.until_closed().await;
            let is_error = closed
                .goaway
                .is_some_and(|reason| reason != h2::Reason::NO_ERROR);
            let is_reset = closed
                .resets
                .iter()
                .any(|(_, reason)| *reason != h2::Reason::NO_ERROR);
            // Where only the stream is at fault, the whole connection may be ended as well.
            let right = is_error || one_stream && is_reset;
            (!right).then(|| format!("{name}: {closed:?}"))
        }
    });
    let wrong: Vec<String> = futures_util::future::join_all(checks)
        .await
        .into_iter()
        .flatten()
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(origin.take_seen().is_empty());
    assert_eq!(proxy.get("/api/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_go_no_further_whatever_they_hold() {
    let origin = RawOrigin::start(Reply::Keep(FINE)).await;
    let proxy = Proxy::at(&[origin.address], "", "").await;
    proxy.until_up(1).await;
    let fields = |fields: &[(&str, &str)]| {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let fields = fields
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)));
        block(&fields.collect::<Vec<_>>())
    };
    let head = fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", "/api/"),
    ]);
    let trailers = fields(&[(":path", "/api/evil"), ("x-evil", "evil")]);
    let mut client = Frames::greet(proxy.address).await;
    client.send(HEADERS, END_HEADERS, 1, &head).await;
    client.send(DATA, 0, 1, b"hello").await;
    let last = END_HEADERS | END_STREAM;
    client.send(HEADERS, last, 1, &trailers).await;
    let seen = std::cell::RefCell::new(Vec::new());
    eventually("the request has come", || async {
        seen.borrow_mut().extend(origin.take_seen());
        !seen.borrow().is_empty()
    })
    .await;
    assert!(!format!("{seen:?}").contains("evil"), "{seen:?}");
    assert_eq!(seen.borrow()[0].body, b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preface_that_goes_wrong_is_refused_and_closed() {
    let origin = RawOrigin::start(Reply::Keep(FINE)).await;
    let limits = "header_timeout = \"1s\"";
    let proxy = Proxy::at(&[origin.address], limits, "").await;
    for (said, statuses) in [
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", &[505][..]),
        (
            "PRI * HTTP/2.0\r\n\r\nGET /api/ HTTP/1.1\r\nHost: x\r\n\r\n",
            &[505],
        ),
        ("PRI /api/ HTTP/1.1\r\nHost: x\r\n\r\n", &[405]),
        ("PRI * HTTP/2.0\r\n\r\n", &[505]),
        ("PRI", &[408]),
        ("P", &[408]),
    ] {
        let answer = proxy.raw(said).await;
        assert!(statuses.contains(&answer.status), "{said:?} {answer:?}");
        assert_eq!(answer.instance(), "proxy");
    }
    let short = proxy.raw("GET /api/ HTTP/1.0\r\n\r\n").await;
    assert_eq!(short.status, 200);
    assert_eq!(origin.take_seen().len(), 1);
    // Drop by drop it takes no longer than a head may.
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    let dripping = async {
        for byte in PREFACE.iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        }
    };
    let ended = tokio::time::timeout(crate::support::BOUND, dripping).await;
    assert!(ended.is_ok(), "it goes on for ever");
}
