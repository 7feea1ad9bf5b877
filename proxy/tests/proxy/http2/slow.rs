//! Clients that send or take a body by the byte: they are not waited for to the end.

use std::time::{Duration, Instant};

use h2::Reason;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use super::client::{
    DATA, END_HEADERS, END_STREAM, Frames, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE, block,
    frame, get, read_frame,
};
use crate::raw::{RawOrigin, Reply};
use crate::support::{BOUND, Origin, Proxy};

/// Sends a frame four times a second, until a frame of this kind comes; how long that took.
async fn drip_until(client: Frames, drip: Vec<u8>, awaited: u8) -> (Duration, Vec<u8>) {
    let began = Instant::now();
    let (mut reading, mut writing) = client.stream.into_split();
    let dripping = async {
        while writing.write_all(&drip).await.is_ok() {
            sleep(Duration::from_millis(250)).await;
        }
        std::future::pending::<()>().await
    };
    let read = async {
        loop {
            let (kind, _, stream, payload) = read_frame(&mut reading).await.expect("closed");
            if kind == awaited && stream == 1 {
                return payload;
            }
        }
    };
    let read = async {
        tokio::select! {
            payload = read => payload,
            () = dripping => unreachable!("it never ends"),
        }
    };
    let payload = timeout(BOUND, read).await.expect("it is waited for");
    (began.elapsed(), payload)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_or_an_answer_that_drips_is_not_waited_for_to_the_end() {
    let a = Origin::start("a").await;
    let receiving = Proxy::before(&[&a]).await;
    let sending = async {
        let mut client = Frames::greet(receiving.address).await;
        let post = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "x"),
            (":path", "/api/"),
        ];
        let post = post.map(|(name, value)| (name.into(), value.into()));
        client.send(HEADERS, END_HEADERS, 1, &block(&post)).await;
        drip_until(client, frame(DATA, 0, 1, b"x"), HEADERS).await
    };
    let large = "x".repeat(1024 * 1024);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{large}",
        large.len()
    );
    let origin = RawOrigin::start(Reply::Keep(answer.leak())).await;
    let giving = Proxy::at(&[origin.address], "", "").await;
    let taking = async {
        let mut client = Frames::greet(giving.address).await;
        // A window of one byte, and one more each time.
        client.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]).await;
        let flags = END_HEADERS | END_STREAM;
        client.send(HEADERS, flags, 1, &get("/api/")).await;
        let more = frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]);
        drip_until(client, more, RST_STREAM).await
    };
    let ((sent, _), (taken, reason)) = tokio::join!(sending, taking);
    for took in [sent, taken] {
        assert!(took >= Duration::from_secs(9), "{took:?}");
    }
    assert_eq!(reason, u32::from(Reason::INTERNAL_ERROR).to_be_bytes());
    assert!(a.received().is_empty());
    for proxy in [&receiving, &giving] {
        assert_eq!(proxy.states().await, ["up"], "no fault of the server's");
    }
}
