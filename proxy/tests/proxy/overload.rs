//! More requests than the servers may have in hand: some wait, the rest are told to come again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Answer, Origin, Proxy, eventually, read_until};

async fn waiting(proxy: &Proxy) -> u64 {
    proxy.status().await["upstreams"][0]["waiting"]
        .as_u64()
        .unwrap()
}

/// What clients have got who ask again and again.
#[derive(Default)]
struct Tally {
    served: AtomicUsize,
    refused: AtomicUsize,
    stop: AtomicBool,
}

/// Asks again and again on one connection; after a refusal only when it was told to, in short.
async fn client(address: std::net::SocketAddr, path: String, tally: Arc<Tally>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    while !tally.stop.load(Ordering::SeqCst) {
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_until(&mut stream, "\r\n\r\n").await;
        let lower = head.to_lowercase();
        if head.starts_with("HTTP/1.1 200") {
            tally.served.fetch_add(1, Ordering::SeqCst);
            if !head.ends_with(" 0") {
                read_until(&mut stream, " 0").await;
            }
        } else {
            assert!(head.starts_with("HTTP/1.1 503"), "{head}");
            assert!(lower.contains("retry-after: 1\r\n"), "{head}");
            tally.refused.fetch_add(1, Ordering::SeqCst);
            if !head.ends_with('}') {
                read_until(&mut stream, "}").await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The share of its slots that an overloaded upstream puts to use.
async fn goodput(proxy: &Proxy, slots: usize, service: Duration) -> f64 {
    let tally = Arc::new(Tally::default());
    let path = format!("/api/?slow={}", service.as_millis());
    let clients: Vec<_> = (0..3 * slots)
        .map(|_| tokio::spawn(client(proxy.address, path.clone(), Arc::clone(&tally))))
        .collect();
    tokio::time::sleep(service).await;
    let (began, before) = (Instant::now(), tally.served.load(Ordering::SeqCst));
    tokio::time::sleep(service * 10).await;
    let served = tally.served.load(Ordering::SeqCst) - before;
    let possible = slots as f64 * began.elapsed().as_secs_f64() / service.as_secs_f64();
    tally.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    assert!(
        tally.refused.load(Ordering::SeqCst) > 0,
        "it was no overload"
    );
    served as f64 / possible
}

#[tokio::test(flavor = "multi_thread")]
async fn three_times_too_much_leaves_the_slots_full_and_the_rest_told() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let limits = "max_connections = 8\nqueue = { length = 16, wait = \"100ms\" }";
    let proxy = Proxy::with(&[&a, &b], "", limits).await;
    let mut best = 0.0_f64;
    // A machine that is busy with something else may spoil one round.
    for _ in 0..3 {
        best = best.max(goodput(&proxy, 16, Duration::from_millis(200)).await);
        if best >= 0.9 {
            break;
        }
    }
    assert!(best >= 0.9, "{best}");
    let after = proxy.get("/api/").await;
    assert_eq!(after.status, 200);
    assert!(after.took < Duration::from_secs(2), "{after:?}");
    let status = proxy.status().await;
    assert_eq!(
        (&status["in_flight"], waiting(&proxy).await),
        (&0.into(), 0)
    );
    assert_eq!(proxy.states().await, ["up", "up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_is_passed_over_and_never_exceeded() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::with(&[&a, &b], "", "max_connections = 1").await;
    let (one, two) = tokio::join!(proxy.get("/api/?slow=300"), proxy.get("/api/?slow=300"));
    let mut both = [one.instance().to_owned(), two.instance().to_owned()];
    both.sort();
    assert_eq!(both, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_served_in_turn_and_the_rest_is_told_at_once() {
    let a = Origin::start("a").await;
    let limits = "max_connections = 1\nqueue = { length = 2, wait = \"20s\" }";
    let proxy = Proxy::with(&[&a], "", limits).await;
    let seen = |count: usize| {
        let a = &a;
        async move { a.received().len() == count }
    };
    let queued = |count: u64| {
        let proxy = &proxy;
        async move { waiting(proxy).await == count }
    };
    let first = proxy.get("/api/1?slow=1500");
    let rest = async {
        eventually("it is in hand", || seen(1)).await;
        let second = proxy.get("/api/2");
        let third = async {
            eventually("one waits", || queued(1)).await;
            let (third, refused): (Answer, Answer) = tokio::join!(proxy.get("/api/3"), async {
                eventually("two wait", || queued(2)).await;
                proxy.get("/api/4").await
            });
            assert_eq!(
                (refused.status, refused.field("retry-after")),
                (503, Some("1"))
            );
            assert!(refused.body.contains("busy"), "{refused:?}");
            third
        };
        tokio::join!(second, third)
    };
    let (first, (second, third)) = tokio::join!(first, rest);
    assert_eq!([first.status, second.status, third.status], [200; 3]);
    let targets: Vec<_> = a.received().into_iter().map(|r| r.target).collect();
    assert_eq!(targets, ["/api/1?slow=1500", "/api/2", "/api/3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_has_an_end() {
    let a = Origin::start("a").await;
    let limits = "max_connections = 1\nqueue = { length = 9, wait = \"200ms\" }";
    let proxy = Proxy::with(&[&a], "", limits).await;
    let (slow, ()) = tokio::join!(proxy.get("/api/?slow=3000"), async {
        eventually("it is in hand", || async { a.received().len() == 1 }).await;
        let answer = proxy.get("/api/").await;
        assert_eq!(answer.status, 503);
        assert!(answer.took >= Duration::from_millis(190), "{answer:?}");
    });
    assert_eq!(slow.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_frees_its_place_in_the_queue() {
    let a = Origin::start("a").await;
    let limits = "max_connections = 1\nqueue = { length = 9, wait = \"1h\" }";
    let proxy = Proxy::with(&[&a], "", limits).await;
    let (slow, ()) = tokio::join!(proxy.get("/api/?slow=6000"), async {
        eventually("it is in hand", || async { a.received().len() == 1 }).await;
        let mut leaving = proxy.connect().await;
        leaving
            .write_all(b"POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
            .await
            .unwrap();
        eventually("it waits", || async { waiting(&proxy).await == 1 }).await;
        drop(leaving);
        eventually("nobody waits", || async { waiting(&proxy).await == 0 }).await;
        assert_eq!(
            proxy.status().await["in_flight"],
            1,
            "the slow one is still there"
        );
    });
    assert_eq!((slow.status, a.received().len()), (200, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_when_the_last_server_goes_learns_it() {
    let mut a = Origin::start("a").await;
    let limits = "max_connections = 1\nqueue = { length = 9, wait = \"1h\" }";
    let proxy = Proxy::with(&[&a], "", limits).await;
    let (_, ()) = tokio::join!(proxy.get("/api/?slow=1000"), async {
        eventually("it is in hand", || async { a.received().len() == 1 }).await;
        let (answer, ()) = tokio::join!(proxy.get("/api/"), async {
            eventually("it waits", || async { waiting(&proxy).await == 1 }).await;
            a.stop().await;
        });
        assert_eq!(answer.status, 503);
    });
}
