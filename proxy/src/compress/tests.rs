//! What is compressed and what is not, by status and fields; the encoder against a reader.

use std::io::Read;

use proptest::prelude::*;

use super::*;

fn headers(fields: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in fields.split('\n').filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    headers
}

/// Returns whether it is encoded and whether it varies.
fn planned(status: u16, answer: &str, request: &str) -> (bool, bool) {
    let status = StatusCode::from_u16(status).unwrap();
    let plan = plan(status, &headers(answer), &headers(request));
    (plan.encode, plan.varies)
}

const GZIP: &str = "accept-encoding: gzip";

#[test]
fn by_type() {
    for (kind, is_text) in [
        ("text/html; charset=utf-8", true),
        ("TEXT/plain", true),
        ("text/css", true),
        ("application/json", true),
        ("application/problem+json", true),
        ("application/javascript", true),
        ("application/x-ndjson", true),
        ("application/atom+xml;type=feed", true),
        ("image/svg+xml", true),
        ("text/event-stream", false),
        ("text/event-stream; charset=utf-8", false),
        ("image/png", false),
        ("application/octet-stream", false),
        ("application/zip", false),
        ("json", false),
        ("", false),
    ] {
        let answer = format!("content-type: {kind}");
        assert_eq!(planned(200, &answer, GZIP), (is_text, is_text), "{kind}");
    }
    assert_eq!(planned(200, "", GZIP), (false, false));
    let two = "content-type: text/html\ncontent-type: image/png";
    assert_eq!(planned(200, two, GZIP), (false, false));
}

#[test]
fn by_status_length_and_what_else_the_answer_says() {
    for (status, more, encoded) in [
        (200, "", true),
        (404, "", true),
        (500, "", true),
        (200, "content-length: 1025", true),
        (200, "content-length: 1024", false),
        (200, "content-length: 0", false),
        (204, "", false),
        (205, "", false),
        (206, "content-range: bytes 0-9/5000", false),
        (200, "content-range: bytes 0-9/5000", false),
        (200, "content-encoding: br", false),
        (200, "content-encoding: identity", false),
        (200, "cache-control: public, No-Transform", false),
        (
            200,
            "cache-control: public\ncache-control: no-transform",
            false,
        ),
        (200, "cache-control: no-store", true),
        (200, "content-digest: sha-256=:x:", false),
        (200, "content-md5: x", false),
    ] {
        let answer = format!("content-type: text/html\n{more}");
        let expected = (encoded, encoded);
        assert_eq!(planned(status, &answer, GZIP), expected, "{status} {more}");
    }
}

#[test]
fn by_what_the_client_takes() {
    for (request, encoded) in [
        ("accept-encoding: gzip", true),
        ("accept-encoding: gzip, deflate, br, zstd", true),
        ("accept-encoding: br;q=1, gzip;q=0.1", true),
        ("accept-encoding: *", true),
        ("accept-encoding: x-gzip", true),
        ("accept-encoding: deflate\naccept-encoding: gzip", true),
        ("accept-encoding: gzip;q=0", false),
        ("accept-encoding: gzip;q=0, *", false),
        ("accept-encoding: *;q=0", false),
        ("accept-encoding: br", false),
        ("accept-encoding: identity, gzip;q=0.5", false),
        ("accept-encoding: ", false),
        ("", false),
        ("accept-encoding: gzip\ncache-control: no-transform", false),
    ] {
        let got = planned(200, "content-type: text/html", request);
        assert_eq!(got, (encoded, true), "{request}");
    }
}

#[test]
fn tags() {
    let tag = |status: u16, answer: &str, request: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        let plan = plan(status, &headers(answer), &headers(request));
        plan.weak_tag.map(|tag| tag.to_str().unwrap().to_owned())
    };
    let html = "content-type: text/html\netag: \"a\"";
    assert_eq!(tag(200, html, GZIP).as_deref(), Some("W/\"a\""));
    assert_eq!(tag(200, html, ""), None);
    assert_eq!(
        tag(200, "content-type: text/html\netag: W/\"a\"", GZIP),
        None
    );
    assert_eq!(tag(200, "content-type: text/html", GZIP), None);
    for (has, told) in [
        ("W/\"a\"", Some("W/\"a\"")),
        ("\"b\", W/\"a\"", Some("W/\"a\"")),
        ("\"a\"", None),
        ("W/\"b\"", None),
        ("*", None),
    ] {
        let request = format!("{GZIP}\nif-none-match: {has}");
        assert_eq!(tag(304, "etag: \"a\"", &request).as_deref(), told, "{has}");
    }
}

#[test]
fn vary() {
    for (vary, told) in [
        ("", false),
        ("vary: Accept", false),
        ("vary: Accept, accept-encoding", true),
        ("vary: Accept\nvary: Accept-Encoding", true),
        ("vary: *", true),
    ] {
        assert_eq!(says_that_it_varies(&headers(vary)), told, "{vary}");
    }
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(bytes);
    decoder.read_to_end(&mut text).unwrap();
    text
}

#[test]
fn each_piece_can_be_read_as_soon_as_it_was_passed() {
    let mut encoder = Encoder::default();
    let mut sent = Vec::new();
    for piece in ["one ", "two ", "three"] {
        sent.extend(encoder.pass(piece.as_bytes(), false).unwrap());
        let mut so_far = [0; 64];
        let mut decoder = flate2::read::GzDecoder::new(&sent[..]);
        let mut read = 0;
        while let Ok(more @ 1..) = decoder.read(&mut so_far[read..]) {
            read += more;
        }
        assert!(so_far[..read].ends_with(piece.as_bytes()), "{piece}");
    }
    assert!(encoder.pass(b"", false).unwrap().is_empty());
    sent.extend(encoder.pass(b"", true).unwrap());
    assert_eq!(decoded(&sent), b"one two three");
}

#[test]
fn an_empty_body_is_an_empty_stream() {
    assert_eq!(decoded(&Encoder::default().pass(b"", true).unwrap()), b"");
}

proptest! {
    #[test]
    fn any_pieces_are_read_back(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..9)) {
        let mut encoder = Encoder::default();
        let last = pieces.len() - 1;
        let mut sent = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            sent.extend(encoder.pass(piece, index == last).unwrap());
        }
        prop_assert_eq!(decoded(&sent), pieces.concat());
    }
}
