//! Bytes and verdicts.

mod reading;

use super::*;

pub(super) fn read(bytes: &[u8]) -> Verdict {
    Reader::new(Limits::default()).read(bytes)
}

/// Feeds the bytes in pieces, as a connection would bring them.
pub(super) fn read_in_pieces(bytes: &[u8], piece: usize) -> Verdict {
    let mut reader = Reader::new(Limits::default());
    let mut arrived = 0;
    loop {
        arrived = bytes.len().min(arrived + piece);
        match reader.read(&bytes[..arrived]) {
            Verdict::Incomplete if arrived < bytes.len() => {}
            verdict => return verdict,
        }
    }
}

/// The status of a refusal, 200 for a head that passes, 0 for one that is not whole.
pub(super) fn status(verdict: &Verdict) -> u16 {
    match verdict {
        Verdict::Incomplete => 0,
        Verdict::Accepted(_) => 200,
        Verdict::Refused(refused) => refused.status.as_u16(),
    }
}

fn check(bytes: &str, expected: u16) {
    for piece in [1, 7, usize::MAX / 2] {
        let verdict = read_in_pieces(bytes.as_bytes(), piece);
        assert_eq!(
            status(&verdict),
            expected,
            "{bytes:?} by {piece}: {verdict:?}"
        );
    }
}

/// A GET with these lines besides its host.
pub(super) fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n")
}

/// A POST with these lines besides its host.
pub(super) fn post(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n")
}

fn framing(lines: &str) -> Framing {
    match read(post(lines).as_bytes()) {
        Verdict::Accepted(accepted) => accepted.body,
        other => panic!("{lines:?}: {other:?}"),
    }
}

#[test]
fn request_lines() {
    for (line, expected) in [
        ("GET / HTTP/1.1", 200),
        ("GET /a%20b?c=d&e={f}|^ HTTP/1.1", 200),
        ("OPTIONS * HTTP/1.1", 200),
        ("GET http://x/ HTTP/1.1", 200),
        ("GET HTTPS://x:443 HTTP/1.1", 200),
        ("GET http://[::1]:80/a HTTP/1.1", 200),
        ("GET * HTTP/1.1", 400),
        ("GET x HTTP/1.1", 400),
        ("GET ftp://x/ HTTP/1.1", 400),
        ("GET http:///a HTTP/1.1", 400),
        ("GET http://user@x/ HTTP/1.1", 400),
        ("GET http://x:y/ HTTP/1.1", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET /  HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        (" GET / HTTP/1.1", 400),
        ("GET /a b HTTP/1.1", 400),
        ("GET\t/ HTTP/1.1", 400),
        ("GET /\tx HTTP/1.1", 400),
        ("GET /#a HTTP/1.1", 400),
        ("GET /a\\b HTTP/1.1", 400),
        ("GET /\0 HTTP/1.1", 400),
        ("GET /\x7f HTTP/1.1", 400),
        ("GET /\u{e9} HTTP/1.1", 400),
        ("GET /% HTTP/1.1", 400),
        ("GET /%4 HTTP/1.1", 400),
        ("GET /%zz HTTP/1.1", 400),
        ("GET /<a> HTTP/1.1", 400),
        ("GET /\"a\" HTTP/1.1", 400),
        ("GET /`a` HTTP/1.1", 400),
        ("GET /?`a` HTTP/1.1", 200),
        ("GET /?\"a\" HTTP/1.1", 400),
        ("GET //h/a HTTP/1.1", 200),
        ("GET http://x?a HTTP/1.1", 200),
        ("OPTIONS http://x HTTP/1.1", 200),
        ("POST * HTTP/1.1", 400),
        ("GET /", 400),
        ("GET", 400),
        ("GET / HTTP/1.1\r", 400),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/0.9", 505),
        ("PRI * HTTP/2.0", 505),
        ("GET / http/1.1", 400),
        ("GET / HTTP/1.10", 400),
        ("GET / HTTP/11", 400),
        ("TRACE / HTTP/1.1", 405),
        ("CONNECT x:80 HTTP/1.1", 405),
        ("get / HTTP/1.1", 405),
        ("BREW / HTTP/1.1", 405),
        ("G\u{e9}T / HTTP/1.1", 400),
        ("G,T / HTTP/1.1", 400),
        ("[] / HTTP/1.1", 400),
    ] {
        check(&format!("{line}\r\nHost: x\r\n\r\n"), expected);
    }
}

#[test]
fn hosts() {
    for (host, expected) in [
        ("x", 200),
        ("example.com:8080", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("a_b-c.~d", 200),
        ("x:", 200),
        ("", 400),
        (":80", 400),
        ("x:65536", 400),
        ("x:8a", 400),
        ("x:1:2", 400),
        ("[::1", 400),
        ("[x]", 400),
        ("[::1]x", 400),
        ("a b", 400),
        ("a/b", 400),
        ("a@b", 400),
        ("a,b", 400),
        ("a%2fb", 400),
        ("\u{e9}", 400),
    ] {
        check(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), expected);
    }
    check("GET / HTTP/1.1\r\n\r\n", 400);
    check("GET / HTTP/1.1\r\nHost: x\r\nhOST: x\r\n\r\n", 400);
    check("GET / HTTP/1.0\r\n\r\n", 200);
    check("GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", 400);
}

#[test]
fn fields() {
    for (lines, expected) in [
        ("", 200),
        ("A: b\r\n", 200),
        ("A:b\r\n", 200),
        ("A:\r\n", 200),
        ("A: b\tc \u{e9}\r\n", 200),
        ("A_b: c\r\n", 200),
        ("A: b\n", 400),
        ("A: b\rc\r\n", 400),
        ("A: b\r\r\n", 400),
        ("\rA: b\r\n", 400),
        ("A: b\r\n c\r\n", 400),
        ("A: b\r\n\tc\r\n", 400),
        ("A : b\r\n", 400),
        ("A\t: b\r\n", 400),
        (" A: b\r\n", 400),
        (": b\r\n", 400),
        ("A\r\n", 400),
        ("A b: c\r\n", 400),
        ("A(: b\r\n", 400),
        ("A: \0\r\n", 400),
        ("A: \x1b\r\n", 400),
        ("A: \x7f\r\n", 400),
        ("Connection: close, X-Mine\r\n", 200),
        ("Connection: close, Host\r\n", 400),
        ("Connection: content-length\r\n", 400),
        ("Connection: X-Forwarded-For\r\n", 400),
        ("Connection:\r\n", 200),
        ("Connection: close, , keep-alive,\r\n", 200),
        ("Connection: a,b,c,d,e,f,g,h,i\r\n", 200),
        ("Connection: a,b,c,d,e,f,g,h,i,j\r\n", 400),
        ("Connection: a,b,c,d,e\r\nConnection: f,g,h,i,j\r\n", 400),
        ("Connection: \"close\"\r\n", 400),
        ("Connection: a b\r\n", 400),
        ("Connection: :authority\r\n", 400),
        ("Connection: Cookie\r\n", 400),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\n", 200),
        ("Expect: 100-continue\r\n", 200),
        ("Expect: 100-Continue\r\n", 200),
        ("Expect: tea\r\n", 417),
        ("Expect:\r\n", 417),
    ] {
        check(&get(lines), expected);
    }
}

#[test]
fn bodies() {
    for (lines, expected) in [
        ("", Framing::None),
        ("Content-Length: 0\r\n", Framing::None),
        ("Content-Length: 5\r\n", Framing::Length(5)),
        ("Content-Length: 005\r\n", Framing::Length(5)),
        ("Content-Length: 5, 5\r\n", Framing::Length(5)),
        (
            "content-length: 5\r\nContent-Length:5\r\n",
            Framing::Length(5),
        ),
        (
            "Content-Length: 18446744073709551615\r\n",
            Framing::Length(u64::MAX),
        ),
        ("Transfer-Encoding: chunked\r\n", Framing::Chunked),
        ("transfer-encoding:  CHUNKED \r\n", Framing::Chunked),
    ] {
        assert_eq!(framing(lines), expected, "{lines:?}");
    }
    for (lines, expected) in [
        ("Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        ("Content-Length: 5, 6\r\n", 400),
        ("Content-Length: 5,\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: +5\r\n", 400),
        ("Content-Length: -5\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length: 5 5\r\n", 400),
        ("Content-Length: 5.0\r\n", 400),
        ("Content-Length: 18446744073709551616\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Content-Length : 5\r\n", 400),
        ("Transfer-Encoding : chunked\r\n", 400),
        ("Transfer-Encoding: gzip\r\n", 501),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: chunked, chunked\r\n", 501),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            501,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            501,
        ),
        ("Transfer-Encoding: \"chunked\"\r\n", 501),
        ("Transfer-Encoding: chunked;a=b\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding:\r\n", 501),
        ("Transfer-Encoding:\x0bchunked\r\n", 400),
    ] {
        check(&post(lines), expected);
    }
    check("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

#[test]
fn the_methods_that_pass_are_those_that_are_told() {
    for method in super::ALLOW.split(", ") {
        assert!(super::is_allowed(method.as_bytes()), "{method}");
    }
    for other in ["", "get", "TRACE", "CONNECT", "GET, HEAD", "GETS"] {
        assert!(!super::is_allowed(other.as_bytes()), "{other}");
    }
}
