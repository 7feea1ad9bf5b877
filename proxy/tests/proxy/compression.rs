//! Answers sent as gzip: which, how their header changes, and that they are sent as they come.

use std::io::Read;
use std::net::SocketAddr;

use flate2::read::GzDecoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw::{RawOrigin, Reply};
use crate::streamer::Streamer;
use crate::support::{BOUND, Proxy};

const ROUTE: &str = "compress = true";

/// An answer as bytes: the head in lower case, and the body without its chunks.
struct Got {
    head: String,
    body: Vec<u8>,
    /// The body has come to its end.
    whole: bool,
}

impl Got {
    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn decoded(&self) -> String {
        let mut text = String::new();
        GzDecoder::new(&self.body[..])
            .read_to_string(&mut text)
            .unwrap();
        text
    }
}

async fn ask(address: SocketAddr, method: &str, fields: &str) -> Got {
    let head = format!("{method} /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    ask_raw(address, &head).await
}

async fn ask_raw(address: SocketAddr, request: &str) -> Got {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(BOUND, stream.read_to_end(&mut bytes)).await;
    read.expect("the proxy did not close").unwrap();
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    let head = String::from_utf8(bytes[..end].to_vec())
        .unwrap()
        .to_ascii_lowercase();
    let raw = &bytes[end..];
    let (body, whole) =
        match head.contains("transfer-encoding: chunked") && !request.starts_with("HEAD") {
            true => without_chunks(raw),
            false => (raw.to_vec(), true),
        };
    Got { head, body, whole }
}

/// The chunks that have arrived whole, and whether the last one is among them.
fn without_chunks(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line) = raw.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&raw[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        if raw.len() < line + 4 + size {
            break;
        }
        body.extend_from_slice(&raw[line + 2..line + 2 + size]);
        raw = &raw[line + 4 + size..];
    }
    (body, false)
}

/// A server that gives this answer, and a proxy before it.
async fn before(fields: &str, body: &str) -> (RawOrigin, Proxy) {
    let length = body.len();
    let answer = format!("HTTP/1.1 {fields}Content-Length: {length}\r\n\r\n{body}");
    answering(answer, ROUTE).await
}

async fn answering(answer: String, route: &str) -> (RawOrigin, Proxy) {
    let origin = RawOrigin::start(Reply::Keep(answer.leak())).await;
    let proxy = Proxy::routed(&[origin.address], route).await;
    (origin, proxy)
}

fn long() -> String {
    (0..400).map(|number| format!("line {number}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_sent_as_gzip_and_says_so() {
    let text = long();
    let fields = "200 OK\r\nContent-Type: application/json\r\nETag: \"v1\"\r\nAccept-Ranges: bytes\r\nVary: Accept\r\n";
    let (_origin, proxy) = before(fields, &text).await;
    let got = ask(proxy.address, "GET", "Accept-Encoding: br, gzip;q=0.5\r\n").await;
    assert_eq!(got.field("content-encoding"), Some("gzip"), "{}", got.head);
    assert_eq!(got.field("etag"), Some("w/\"v1\""));
    assert_eq!(
        (got.field("content-length"), got.field("accept-ranges")),
        (None, None)
    );
    assert!(
        got.head.contains("vary: accept\r\n") && got.head.contains("vary: accept-encoding\r\n")
    );
    assert!(got.whole && got.body.len() < text.len() / 2);
    assert_eq!(got.decoded(), text);

    let head = ask(proxy.address, "HEAD", "Accept-Encoding: br, gzip;q=0.5\r\n").await;
    for field in [
        "content-encoding",
        "etag",
        "content-length",
        "accept-ranges",
        "content-type",
    ] {
        assert_eq!(head.field(field), got.field(field), "{field} of HEAD");
    }
    assert!(head.body.is_empty());

    for refused in [
        "",
        "Accept-Encoding: gzip;q=0\r\n",
        "Accept-Encoding: br\r\n",
    ] {
        let got = ask(proxy.address, "GET", refused).await;
        assert_eq!(got.field("content-encoding"), None, "{refused}");
        assert_eq!(got.field("etag"), Some("\"v1\""));
        assert_eq!(got.field("content-length"), Some(&*text.len().to_string()));
        assert!(
            got.head.contains("vary: accept-encoding\r\n"),
            "{}",
            got.head
        );
        assert_eq!(got.body, text.as_bytes());
    }
    let old = "GET /api/x HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n";
    let old = ask_raw(proxy.address, old).await;
    assert_eq!(old.field("transfer-encoding"), None);
    assert_eq!(old.decoded(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_is_kept_behind_a_compressed_answer() {
    let text = long();
    let (origin, proxy) = before("200 OK\r\nContent-Type: text/html\r\n", &text).await;
    let two = "GET /api/1 HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n\
        GET /api/2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(two.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(BOUND, stream.read_to_end(&mut bytes)).await;
    read.unwrap().unwrap();
    let answers = String::from_utf8_lossy(&bytes);
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2);
    assert!(answers.ends_with(&text));
    assert_eq!(
        origin.connections(),
        1,
        "the server's connection is kept too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_changed_passes_as_it_is() {
    let text = long();
    let short = "x".repeat(1024);
    for (fields, body) in [
        (
            "206 Partial Content\r\nContent-Type: text/html\r\nContent-Range: bytes 0-4589/9000\r\n",
            &text,
        ),
        (
            "200 OK\r\nContent-Type: text/html\r\nCache-Control: public, no-transform\r\n",
            &text,
        ),
        (
            "200 OK\r\nContent-Type: text/html\r\nContent-Encoding: br\r\n",
            &text,
        ),
        ("200 OK\r\nContent-Type: text/event-stream\r\n", &text),
        ("200 OK\r\nContent-Type: image/png\r\n", &text),
        ("200 OK\r\nContent-Type: text/html\r\n", &short),
    ] {
        let (_origin, proxy) = before(fields, body).await;
        let got = ask(proxy.address, "GET", "Accept-Encoding: gzip\r\n").await;
        assert_eq!(got.body, body.as_bytes(), "{fields}");
        let coded = fields.contains("Content-Encoding");
        assert_eq!(
            got.field("content-encoding"),
            coded.then_some("br"),
            "{fields}"
        );
        assert_eq!(
            got.field("content-length"),
            Some(&*body.len().to_string()),
            "{fields}"
        );
    }
    let (_origin, proxy) = answering(
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        ),
        "",
    )
    .await;
    let got = ask(proxy.address, "GET", "Accept-Encoding: gzip\r\n").await;
    assert_eq!(
        (got.body, got.head.contains("vary")),
        (text.into_bytes(), false)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_stay_without() {
    for answer in [
        "HTTP/1.1 204 No Content\r\nContent-Type: text/html\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\nContent-Type: text/html\r\n\r\n",
    ] {
        let (_origin, proxy) = answering(answer.to_owned(), ROUTE).await;
        let fields = "Accept-Encoding: gzip\r\nIf-None-Match: W/\"v1\"\r\n";
        let got = ask(proxy.address, "GET", fields).await;
        assert!(got.body.is_empty(), "{answer}");
        assert_eq!(got.field("content-encoding"), None, "{answer}");
        if answer.contains(" 304 ") {
            assert_eq!(
                got.field("etag"),
                Some("w/\"v1\""),
                "the tag that the client has"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_piece_of_an_answer_is_sent_as_it_comes() {
    let pieces = ["first ", "second ", "third"].map(str::to_owned);
    let html = "Content-Type: text/html\r\n";
    let server = Streamer::start(html, pieces.to_vec(), false).await;
    let proxy = Proxy::routed(&[server.address], ROUTE).await;
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    let request =
        "GET /api/ HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let mut expected = String::new();
    for piece in &pieces {
        server.go_on();
        expected.push_str(piece);
        // The next piece is not sent before this one was read.
        let reading = async {
            while !so_far(&bytes).contains(&expected) {
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "closed");
            }
        };
        tokio::time::timeout(BOUND, reading).await.unwrap();
    }
}

/// What can be read already of a compressed answer.
fn so_far(bytes: &[u8]) -> String {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return String::new();
    };
    let (body, _) = without_chunks(&bytes[end + 4..]);
    let mut text = Vec::new();
    let mut decoder = GzDecoder::new(&body[..]);
    let mut room = [0; 256];
    while let Ok(read @ 1..) = decoder.read(&mut room) {
        text.extend_from_slice(&room[..read]);
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_seen_to_be_cut() {
    let server = Streamer::start("Content-Type: text/html\r\n", vec![long()], true).await;
    let proxy = Proxy::routed(&[server.address], ROUTE).await;
    server.send_all();
    let got = ask(proxy.address, "GET", "Accept-Encoding: gzip\r\n").await;
    assert_eq!(got.field("content-encoding"), Some("gzip"));
    assert!(!got.whole, "it looks whole");
}
