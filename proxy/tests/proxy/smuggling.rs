//! Whatever is sent, the upstream reads the requests that the rules make of it, and no others.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use proxy::front::body::BodyEnd;
use proxy::head::{Framing, Limits, Reader, Verdict};
use proxy::route::{Matcher, Prefix, Table};
use tokio::io::AsyncWriteExt;

use crate::raw::{FINE, RawOrigin, Reply};
use crate::support::{Proxy, read_to_end};

/// What the rules make of the bytes of one connection.
#[derive(Debug, Default)]
struct Expected {
    /// Method, target and body of what goes on.
    passed: Vec<(String, String, Vec<u8>)>,
    /// The status of a refusal at the end.
    refused: Option<u16>,
    /// An old client wants its connection kept: whether it is, is not the question here.
    open_end: bool,
}

/// Reads a connection by the rules of `head` and `body`, one request after the other.
fn expected(mut bytes: &[u8], routed: impl Fn(&str) -> bool) -> Expected {
    let mut expected = Expected::default();
    loop {
        let accepted = match Reader::new(Limits::default()).read(bytes) {
            Verdict::Accepted(accepted) => accepted,
            Verdict::Refused(refused) => {
                expected.refused = Some(refused.status.as_u16());
                return expected;
            }
            Verdict::Incomplete => return expected,
        };
        let (head, rest) = bytes.split_at(accepted.len);
        let head = accepted.rewritten.unwrap_or(head.to_vec());
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut words = text.trim_start().split(' ');
        let mut word = || words.next().unwrap().to_owned();
        let (method, target) = (word(), word());
        let mut end = match accepted.body {
            Framing::None => BodyEnd::NONE,
            Framing::Length(length) => BodyEnd::Length(length),
            Framing::Chunked => BodyEnd::CHUNKED,
        };
        if !end.is_reached() && !routed(&target) {
            // Who sends a body to nobody is answered at once, and the connection closed.
            expected.passed.push((method, target, Vec::new()));
            return expected;
        }
        let mut length = 0;
        while !end.is_reached() {
            match end.admit(&rest[length..]) {
                Ok(0) => return expected,
                Ok(admitted) => length += admitted,
                Err(_) => {
                    expected.refused = Some(400);
                    return expected;
                }
            }
        }
        let (body, rest) = rest.split_at(length);
        let body = match accepted.body {
            Framing::Chunked => unchunked(body),
            Framing::None | Framing::Length(_) => body.to_vec(),
        };
        expected.passed.push((method, target, body));
        let fields = text.to_ascii_lowercase();
        expected.open_end = fields.contains("http/1.0\r\n") && fields.contains("keep-alive");
        if fields.contains("connection: close") || fields.contains("http/1.0\r\n") {
            return expected;
        }
        bytes = rest;
    }
}

/// Takes the chunks of a well-formed body apart, in the plainest way there is.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let size = std::str::from_utf8(&bytes[..end]).unwrap();
        let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(words)
}

fn line() -> impl Strategy<Value = String> {
    let method = one_of(&[
        "GET", "GET", "POST", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "TRACE", "G T",
        "",
    ]);
    let target = prop_oneof![
        6 => "/api/[a-z0-9%~:@!$&'()*+,;=?/._^{}|-]{0,12}",
        1 => "/api/[ -~]{0,8}",
        2 => one_of(&[
            "//api/x", "/api//x", "/api/http://x/", "*", "http://other.example/api/a?b", "http://x",
            "HTTP://x:80/api/", "http://x?y=/api", "https://x/api/", "ws://x/api/", "http:/x",
            "http://u@x/api/", "x:80", "/api/%00", "/api/%zz", "/api/\u{e9}", "/api/?a b", "/api/x#y",
            "/api/../x", "", "/api/?", "/api/:@x", "/api/x\\y", "http://[::1]/api/", "http://x:/api/",
        ]).prop_map(str::to_owned),
    ];
    let version = one_of(&[
        "HTTP/1.1",
        "HTTP/1.1",
        "HTTP/1.1",
        "HTTP/1.1",
        "HTTP/1.1",
        "HTTP/1.0",
        "HTTP/2.0",
        "HTTP/1.2",
        "http/1.1",
        "HTTP/1.1 ",
        "",
    ]);
    (method, target, version).prop_map(|(m, t, v)| format!("{m} {t} {v}"))
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Za-z-]{1,12}: [ -~]{0,16}",
        1 => "[!-~]{1,6}:[ -~\t]{0,6}",
        6 => one_of(&[
            "Host: x", "Host: x", "Host: y:80", "Host:", "Host: a b", "host: x@y", "Host: x:", "Host: x:99999",
            "Host: [::1]:80", "Content-Length: 3", "Content-Length: 0", "Content-Length: 3, 3",
            "Content-Length: 03", "Content-Length: 3 ", "Content-Length: 3,4", "Content-Length: ",
            "Content-Length: +3", "Content-Length: 0x3", "Content_Length: 5", "Content-Length : 3",
            "Content-Length: 18446744073709551616", "Transfer-Encoding: chunked",
            "Transfer-Encoding: Chunked", "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: gzip", "Transfer-Encoding: ", "Transfer-Encoding:\tchunked",
            "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: chunked;x=y", "Transfer_Encoding: chunked",
            "Transfer-Encoding : chunked", "X: y\r\n folded", "X: y\rz", "X: y\nZ: 1", "X: \0", " X: y",
            "Connection: close", "Connection: keep-alive", "Connection: upgrade", "Upgrade: h2c",
            "Connection: Transfer-Encoding", "Connection: \"x\"", "Connection: a,b,c,d,e,f,g,h",
            "Connection: x-a, x-b, x-c", "Connection: :authority", "Connection: \u{e9}",
            "HTTP2-Settings: x", "TE: trailers", "Trailer: x", "Expect: 100-continue", "Expect: x",
            "X: \u{e9}", "no colon", ": empty", "X-Request-Id: a b",
        ]).prop_map(str::to_owned),
    ]
}

fn body() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(String::new()),
        3 => Just("abc".to_owned()),
        3 => one_of(&[
            "0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "3;x=y\r\nabc\r\n0\r\nT: x\r\n\r\n",
            "3;x=\"\r\nabc\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n", "3 \r\nabc\r\n0\r\n\r\n",
            "0x3\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "00003\r\nabc\r\n000\r\n\r\n",
            "3\r\nabc\r\n0\r\nT x\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n\r\n", "-3\r\nabc\r\n0\r\n\r\n",
            "3\r\nabc\r\n0;x\r\nContent-Length: 9\r\n\r\n", "1000000000000000\r\n", "3\rX\nabc\r\n0\r\n\r\n",
        ]).prop_map(str::to_owned),
    ]
}

fn request() -> impl Strategy<Value = String> {
    let good = (
        one_of(&["GET", "POST", "PUT"]),
        "/api/[a-z]{0,3}",
        one_of(&[
            "\r\n\r\n",
            "\r\nContent-Length: 3\r\n\r\nabc",
            "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n2\r\nbc\r\n0\r\nT: x\r\n\r\n",
        ]),
    )
        .prop_map(|(method, target, rest)| format!("{method} {target} HTTP/1.1\r\nHost: x{rest}"));
    let odd = (
        line(),
        prop::collection::vec(field(), 0..5),
        any::<bool>(),
        body(),
    )
        .prop_map(|(line, fields, host, body)| {
            let mut text = format!("{line}\r\n");
            if host {
                text.push_str("Host: x\r\n");
            }
            for field in fields {
                text.push_str(&field);
                text.push_str("\r\n");
            }
            text + "\r\n" + &body
        });
    prop_oneof![1 => good, 2 => odd]
}

/// Splits what came back into its answers: status and fields of each.
fn answers(mut text: &str) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    while let Some((head, rest)) = text.split_once("\r\n\r\n") {
        assert!(head.starts_with("HTTP/1.1 "), "not an answer: {text:?}");
        let status: u16 = head[9..12].parse().unwrap();
        let fields = head.to_lowercase();
        let length = fields
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        text = &rest[length..];
        answers.push((status, fields));
    }
    assert!(text.is_empty(), "more than the answers: {text:?}");
    answers
}

async fn check(proxy: &Proxy, origin: &RawOrigin, requests: &[String]) {
    let bytes = requests.concat();
    let prefix = "/api".parse::<Prefix>().unwrap();
    let routes = Table::new([(Matcher::new(None, prefix), ())]);
    let routed = |target: &str| {
        let path = target.split('?').next().unwrap();
        routes.find(None, path).is_some()
    };
    let expected = expected(bytes.as_bytes(), routed);
    let mut stream = proxy.connect().await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    // The proxy may have refused and closed already.
    let _ = stream.shutdown().await;
    let answer = read_to_end(&mut stream).await;
    let text = if answer.head.is_empty() {
        String::new()
    } else {
        format!("{}\r\n\r\n{}", answer.head, answer.body)
    };
    let answers = answers(&text);
    for (status, fields) in &answers {
        assert!(
            fields.contains("x-instance: "),
            "{status} {fields} to {bytes:?}"
        );
        assert!(
            !fields.contains("pingora"),
            "{status} {fields} to {bytes:?}"
        );
    }
    let seen: Vec<_> = origin
        .take_seen()
        .into_iter()
        .map(|seen| (seen.method, seen.target, seen.body))
        .collect();
    if expected.open_end {
        return;
    }
    let goes_on: Vec<_> = expected
        .passed
        .iter()
        .filter(|(_, target, _)| routed(target))
        .cloned()
        .collect();
    assert_eq!(seen, goes_on, "for {bytes:?} answered {answers:?}");
    // The proxy answers `OPTIONS *` itself.
    let served = |target: &str| routed(target) || target == "*";
    let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    let wanted: Vec<u16> = expected
        .passed
        .iter()
        .map(|(_, target, _)| if served(target) { 200 } else { 404 })
        .chain(expected.refused)
        .collect();
    assert_eq!(statuses, wanted, "for {bytes:?}");
}

#[test]
fn the_upstream_sees_exactly_the_requests_that_were_sent() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (proxy, origin) = runtime.block_on(async {
        let origin = RawOrigin::start(Reply::Keep(FINE)).await;
        (Proxy::at(&[origin.address], "", "").await, origin)
    });
    let config = Config {
        cases: 1000,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&prop::collection::vec(request(), 1..4), |requests| {
            runtime.block_on(check(&proxy, &origin, &requests));
            Ok(())
        })
        .unwrap();
}
