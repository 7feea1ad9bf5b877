//! Large answers: every byte, in order, however they are framed and however quickly they are read.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use crate::raw::{RawOrigin, Reply};
use crate::support::{Answer, Proxy, eventually, read_to_end};

const TWICE: &str = "GET /api/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /api/2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// A body of which no two places look alike.
fn body(length: usize) -> String {
    let numbers = (0..).map(|number| format!("{number:07} "));
    let mut body: String = numbers.take(length / 8 + 1).collect();
    body.truncate(length);
    body
}

fn with_length(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn in_chunks(body: &str, size: usize) -> String {
    let chunks = body.as_bytes().chunks(size).map(|chunk| {
        let text = String::from_utf8_lossy(chunk);
        format!("{:x}\r\n{text}\r\n", chunk.len())
    });
    let chunks: String = chunks.collect();
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
}

/// Takes the chunks apart; returns what they hold and what stands behind the last.
fn whole(mut chunks: &str) -> (String, &str) {
    let mut body = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        body.push_str(&rest[..size]);
        chunks = rest[size..].strip_prefix("\r\n").unwrap();
        if size == 0 {
            return (body, chunks);
        }
    }
}

async fn before(answer: String) -> Proxy {
    let origin = RawOrigin::start(Reply::Keep(answer.leak())).await;
    Proxy::at(&[origin.address], "", "").await
}

const SIZES: [usize; 8] = [
    16_384, 16_385, 65_536, 65_537, 100_000, 131_072, 400_000, 3_000_000,
];

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_a_known_length_are_whole_and_the_connection_is_kept() {
    for size in SIZES {
        let body = body(size);
        let proxy = before(with_length(&body)).await;
        let first = proxy.raw(TWICE).await;
        assert_eq!(first.field("content-length"), Some(&*size.to_string()));
        let (one, second) = first.body.split_at(size);
        assert!(one == body, "{size}");
        let (head, two) = second.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("Connection: close"), "{head}");
        assert!(two == body, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_chunks_are_whole_and_the_connection_is_kept() {
    for (size, chunk) in [
        (100_000, 70_000),
        (400_000, 65_536),
        (400_000, 20_000),
        (100_000, 100),
        (3_000_000, 1_000_000),
    ] {
        let body = body(size);
        let proxy = before(in_chunks(&body, chunk)).await;
        let first = proxy.raw(TWICE).await;
        let (one, second) = whole(&first.body);
        assert!(one == body, "{size} in {chunk}");
        let (head, two) = second.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(whole(two) == (body, ""), "{size} in {chunk}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_with_its_connection_is_whole() {
    let body = body(400_000);
    let answer = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    let origin = RawOrigin::start(Reply::Close(answer.leak())).await;
    let proxy = Proxy::at(&[origin.address], "", "").await;
    let answer = proxy.raw(TWICE).await;
    let (one, second) = whole(&answer.body);
    assert!(one == body);
    let (_, two) = second.split_once("\r\n\r\n").unwrap();
    assert!(whole(two) == (body, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_1_0_gets_it_whole() {
    let body = body(400_000);
    for answer in [with_length(&body), in_chunks(&body, 65_536)] {
        let proxy = before(answer).await;
        let answer = proxy.raw("GET /api/ HTTP/1.0\r\nHost: x\r\n\r\n").await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_cut_off_is_not_taken_for_whole() {
    let body = body(400_000);
    let lengthy = with_length(&body);
    let chunked = in_chunks(&body, 65_536);
    for cut in [20_000, 100_000, 300_000] {
        for answer in [&lengthy, &chunked] {
            let part = answer[..cut].to_owned();
            let origin = RawOrigin::start(Reply::Close(part.leak())).await;
            let proxy = Proxy::at(&[origin.address], "", "").await;
            let answer: Answer = proxy.raw(TWICE).await;
            assert_eq!(answer.status, 200);
            assert!(answer.body.len() < body.len(), "{cut}: {}", answer.head);
            assert!(!answer.body.ends_with("0\r\n\r\n"), "{cut}");
            assert!(!answer.body.contains("HTTP/1.1"), "{cut}: closed behind it");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_alone_is_answered_to_head() {
    let body = body(400_000);
    let proxy = before(with_length(&body)).await;
    let twice = TWICE.replace("GET", "HEAD");
    let answer = proxy.raw(&twice).await;
    assert_eq!(answer.field("content-length"), Some("400000"));
    assert!(answer.body.starts_with("HTTP/1.1 200"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_read_late_is_whole() {
    let body = body(12_000_000);
    let proxy = before(with_length(&body)).await;
    let mut stream = proxy.connect().await;
    stream.write_all(TWICE.as_bytes()).await.unwrap();
    let began = Instant::now();
    eventually("every buffer on the way is full", || async {
        began.elapsed() > Duration::from_millis(300)
    })
    .await;
    let answer = read_to_end(&mut stream).await;
    let (one, second) = answer.body.split_at(body.len());
    assert!(one == body);
    assert!(second.ends_with(&body[body.len() - 100..]));
    assert!(second.len() > body.len());
}
