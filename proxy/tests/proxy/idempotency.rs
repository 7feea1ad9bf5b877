//! Writes with a key are sent again, and no others.

use crate::raw::{FINE, RawOrigin, Reply};
use crate::support::{Answer, Origin, Proxy};

/// A server that breaks off whatever it is sent, and one that does not; the first is asked first.
async fn before(idempotency: &str) -> (RawOrigin, Origin, Proxy) {
    let breaks = RawOrigin::start(Reply::Close("")).await;
    let fine = Origin::start("fine").await;
    let route = format!("idempotency = \"{idempotency}\"");
    let proxy = Proxy::routed(&[fine.address, breaks.address], &route).await;
    (breaks, fine, proxy)
}

async fn send(proxy: &Proxy, method: &str, fields: &str, body: &str) -> Answer {
    let length = body.len();
    proxy
        .raw(&format!(
            "{method} /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
        ))
        .await
}

fn key_at(origin: &Origin) -> Option<String> {
    let key = origin.received()[0].headers.get("idempotency-key").cloned();
    key.map(|key| key.to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_changes_nothing_where_it_is_off() {
    let (breaks, fine, proxy) = before("off").await;
    let answer = send(&proxy, "POST", "Idempotency-Key: k\r\n", "x").await;
    assert_eq!(answer.status, 502);
    assert_eq!(breaks.take_seen()[0].field("idempotency-key"), ["k"]);
    assert!(fine.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_s_key_makes_a_write_repeatable() {
    let (breaks, fine, proxy) = before("honour").await;
    let answer = send(&proxy, "POST", "Idempotency-Key: k\r\n", "x").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "fine 1"));
    assert_eq!(breaks.take_seen()[0].field("idempotency-key"), ["k"]);
    assert_eq!(key_at(&fine).as_deref(), Some("k"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_a_write_is_sent_once_and_none_is_made() {
    let (breaks, fine, proxy) = before("honour").await;
    assert_eq!(send(&proxy, "POST", "", "x").await.status, 502);
    assert!(breaks.take_seen()[0].field("idempotency-key").is_empty());
    assert!(fine.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_key_is_the_same_on_every_try() {
    for method in ["POST", "DELETE"] {
        let (breaks, fine, proxy) = before("mint").await;
        let answer = send(&proxy, method, "", "x").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "fine 1"));
        let first = breaks.take_seen()[0].field("idempotency-key").join(",");
        assert!(first.starts_with("lb-"), "{first:?}");
        assert_eq!(key_at(&fine), Some(first));
        assert_eq!(answer.field("idempotency-key"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_s_key_is_never_overwritten() {
    let (breaks, fine, proxy) = before("mint").await;
    breaks.reply(Reply::Keep(FINE));
    send(&proxy, "POST", "Idempotency-Key: k\r\n", "x").await;
    send(&proxy, "GET", "", "").await;
    assert_eq!(breaks.take_seen()[0].field("idempotency-key"), ["k"]);
    assert_eq!(key_at(&fine), None, "a read needs none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_with_a_key_leaves_a_silent_server_and_an_unavailable_one() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let route = "idempotency = \"mint\"";
    let proxy = Proxy::routed(&[a.address, b.address], route).await;
    b.freeze(true);
    let answer = send(&proxy, "POST", "", "x").await;
    assert_eq!((answer.status, answer.instance()), (200, "a"));
    b.freeze(false);
    proxy.until_up(2).await;
    b.answer_with(503, &[]);
    for _ in 0..2 {
        let answer = send(&proxy, "POST", "", "x").await;
        assert_eq!((answer.status, answer.instance()), (200, "a"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_to_be_kept_is_not_sent_again_for_all_its_key() {
    let (breaks, fine, proxy) = before("mint").await;
    let answer = send(&proxy, "POST", "", &"x".repeat(200_000)).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(breaks.take_seen().len(), 1);
    assert!(fine.received().is_empty());
}
