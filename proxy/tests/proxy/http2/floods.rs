//! Floods: each ends its connection, the upstream sees next to nothing of it, and meanwhile other
//! clients are served.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use h2::Reason;
use tokio::io::AsyncWriteExt;

use super::client::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, PREFACE,
    PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, get,
};
use crate::binary::{Running, config};
use crate::raw::{FINE, RawOrigin, Reply};
use crate::support::{BOUND, Origin, Proxy, eventually};

/// What a flood sends first, and then again and again.
struct Flood {
    name: &'static str,
    first: Vec<u8>,
    /// One round, made for the stream of this number.
    round: fn(u32) -> Vec<u8>,
}

fn floods() -> Vec<Flood> {
    let flood = |name, first, round| Flood { name, first, round };
    let open = frame(HEADERS, END_HEADERS, 1, &get("/none"));
    let waiting = || {
        frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &get("/api/?slow=20000"),
        )
    };
    vec![
        flood("requests taken back", Vec::new(), |stream| {
            let request = frame(HEADERS, END_HEADERS | END_STREAM, stream, &get("/api/"));
            [request, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        }),
        flood("requests that reset themselves", Vec::new(), |stream| {
            let request = frame(HEADERS, END_HEADERS, stream, &get("/none"));
            [request, frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
        }),
        flood("more requests than agreed", waiting(), |stream| {
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                stream + 2,
                &get("/api/?slow=20000"),
            )
        }),
        flood(
            "a head without end",
            frame(HEADERS, END_STREAM, 1, &get("/none")),
            |_| frame(CONTINUATION, 0, 1, &[0, 1, b'a', 1, b'b']),
        ),
        flood(
            "a head of empty pieces",
            frame(HEADERS, END_STREAM, 1, &get("/none")),
            |_| frame(CONTINUATION, 0, 1, &[]),
        ),
        flood("settings", Vec::new(), |_| {
            frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])
        }),
        flood("empty settings", Vec::new(), |_| frame(SETTINGS, 0, 0, &[])),
        flood("pings", Vec::new(), |_| frame(PING, 0, 0, &[7; 8])),
        flood("answers to no ping", Vec::new(), |_| {
            frame(PING, ACK, 0, &[7; 8])
        }),
        flood("priorities", Vec::new(), |_| {
            frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 9])
        }),
        flood("empty data", open.clone(), |_| frame(DATA, 0, 1, &[])),
        flood("padding alone", open, |_| {
            frame(DATA, 8, 1, &[4, 0, 0, 0, 0])
        }),
        flood("windows opened by the byte", waiting(), |_| {
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])
        }),
        flood("frames that nobody knows", Vec::new(), |_| {
            frame(77, 0, 0, b"x")
        }),
    ]
}

/// Floods until the proxy has had enough.
async fn run(flood: &Flood, address: SocketAddr) -> Option<Reason> {
    let mut client = Frames::greet(address).await;
    client.stream.write_all(&flood.first).await.unwrap();
    let (mut reading, mut writing) = client.stream.into_split();
    let write = async {
        for round in 0..100_000_u32 {
            let bytes = (flood.round)(2 * round + 1);
            if writing.write_all(&bytes).await.is_err() {
                return;
            }
        }
        // Far more than there may be: whether it ends is now up to the proxy.
        std::future::pending::<()>().await;
    };
    let read = async {
        let mut goaway = None;
        while let Some((kind, _, _, payload)) = super::client::read_frame(&mut reading).await {
            if kind == super::client::GOAWAY {
                let code = u32::from_be_bytes(payload[4..8].try_into().unwrap());
                goaway = Some(Reason::from(code));
            }
        }
        goaway
    };
    let ended = async {
        tokio::select! {
            goaway = read => goaway,
            () = write => None,
        }
    };
    let ended = tokio::time::timeout(BOUND, ended).await;
    ended.unwrap_or_else(|_| panic!("{}: it is not ended", flood.name))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_flood_is_ended_and_others_are_served_meanwhile() {
    let origin = Origin::start("a").await;
    let proxy = Proxy::with(&[&origin], "", "timeouts = { first_byte = \"30s\" }").await;
    let mut honest = Client::connect(proxy.address).await;
    for flood in floods() {
        let before = origin.received().len();
        let flooding = run(&flood, proxy.address);
        let serving = async {
            let mut worst = Duration::ZERO;
            for _ in 0..20 {
                let began = Instant::now();
                let (answer, _) = honest.get("/api/honest").await.unwrap();
                assert_eq!(answer.status(), 200, "{}", flood.name);
                worst = worst.max(began.elapsed());
            }
            worst
        };
        let (_, worst) = tokio::join!(flooding, serving);
        assert!(worst < Duration::from_secs(5), "{}: {worst:?}", flood.name);
        let requests = origin.received().len() - before - 20;
        // 100 at a time, and 200 that were taken back.
        assert!(requests <= 400, "{}: {requests} requests", flood.name);
    }
    eventually("nothing is left in flight", || async {
        let metrics = proxy.admin("GET", "/metrics", "").await.body;
        let in_flight = metrics
            .lines()
            .filter(|line| line.starts_with("proxy_requests_in_flight{"));
        in_flight.clone().count() > 0 && in_flight.clone().all(|line| line.ends_with(" 0"))
    })
    .await;
}

/// The most memory that a process has had so far, in KiB.
async fn peak(running: &Running) -> u64 {
    let status = format!("/proc/{}/status", running.child.id());
    let status = tokio::fs::read_to_string(status).await.unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    words[1].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_take_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(&format!(
        "listen = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n[log]\naccess = \"off\"\n[[routes]]\npath = \"/\"\nfiles = \"{}\"\n",
        folder.path().display()
    ));
    let running = Running::start(&file);
    let before = peak(&running).await;
    let floods = floods();
    let all = floods.iter().cycle().take(3 * floods.len());
    let ended = futures_util::future::join_all(all.map(|flood| run(flood, running.address)));
    ended.await;
    let grown = peak(&running).await - before;
    assert!(grown < 100 * 1024, "{grown} KiB");
    assert!(running.get("/none").starts_with("HTTP/1.1 404 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_floods_is_told_to_calm_down() {
    let origin = RawOrigin::start(Reply::Keep(FINE)).await;
    let proxy = Proxy::at(&[origin.address], "", "").await;
    let mut client = Frames::greet(proxy.address).await;
    // Little more than is allowed, so that what is left unread destroys no answer.
    for _ in 0..1001 {
        client.send(PING, ACK, 0, &[7; 8]).await;
    }
    let closed = client.until_closed().await;
    assert_eq!(closed.goaway, Some(Reason::ENHANCE_YOUR_CALM));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_half_of_it_is_let_go() {
    let origin = RawOrigin::start(Reply::Keep(FINE)).await;
    let limits = "header_timeout = \"1s\"\nidle_timeout = \"2s\"";
    let proxy = Proxy::at(&[origin.address], limits, "").await;
    let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/api/"));
    let begun = frame(HEADERS, END_STREAM, 1, &get("/api/"));
    let served = frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/none"));
    let another = frame(HEADERS, END_STREAM, 3, &get("/api/"));
    let said: Vec<Vec<u8>> = vec![
        PREFACE.to_vec(),
        [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat(),
        [PREFACE, &frame(SETTINGS, 0, 0, &[]), &head[..5]].concat(),
        [PREFACE, &frame(SETTINGS, 0, 0, &[]), &head[..20]].concat(),
        [PREFACE, &frame(SETTINGS, 0, 0, &[]), &begun].concat(),
        [PREFACE, &frame(SETTINGS, 0, 0, &[]), &served].concat(),
        [PREFACE, &frame(SETTINGS, 0, 0, &[]), &served, &another].concat(),
    ];
    let closing = said.into_iter().map(|said| {
        let address = proxy.address;
        async move {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let mut client = Frames { stream };
            let began = Instant::now();
            client.stream.write_all(&said).await.unwrap();
            client.until_closed().await;
            began.elapsed()
        }
    });
    let closing = futures_util::future::join_all(closing).await;
    // A second or two, and two more for a client that does not close by itself.
    assert!(
        closing
            .iter()
            .all(|took| *took >= Duration::from_millis(900)),
        "{closing:?}"
    );
    assert!(
        closing.iter().all(|took| *took < Duration::from_secs(15)),
        "{closing:?}"
    );
    assert!(origin.take_seen().is_empty());
}
