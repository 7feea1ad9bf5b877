//! Rate limits of routes, and whose request a request is.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::binary::{Running, config};
use crate::reloading::{self, Filed};
use crate::support::{Answer, Origin, Proxy, eventually, read_to_end};

/// A limit that nobody earns anything under during a test.
const THREE: &str = "rate_limit = { requests = 1, per = \"1h\", burst = 3 }";

/// Connects from another address of this machine.
pub(crate) async fn connect_from(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(from.parse().unwrap(), 0))
        .unwrap();
    socket.connect(to).await.unwrap()
}

async fn get_from(from: &str, proxy: &Proxy, fields: &str) -> Answer {
    let mut stream = connect_from(from, proxy.address).await;
    let request = format!("GET /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_to_end(&mut stream).await
}

#[tokio::test(flavor = "multi_thread")]
async fn over_its_rate_a_client_gets_429_and_a_true_time_to_wait() {
    let origin = Origin::start("a").await;
    let limit = "rate_limit = { requests = 1, per = \"1500ms\", burst = 2 }";
    let proxy = Proxy::routed(&[origin.address], limit).await;
    for _ in 0..2 {
        assert_eq!(proxy.get("/api/").await.status, 200);
    }
    let refused = proxy.get("/api/").await;
    let told = Instant::now();
    assert_eq!((refused.status, refused.instance()), (429, "proxy"));
    assert!(
        refused.json()["detail"]
            .as_str()
            .unwrap()
            .starts_with("Too many requests")
    );
    let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{refused:?}");
    let page = get_from("127.0.0.1", &proxy, "Accept: text/html\r\n").await;
    assert_eq!(page.status, 429);
    assert!(page.body.starts_with("<!doctype html>"), "{page:?}");
    assert_eq!(
        get_from("127.0.0.2", &proxy, "").await.status,
        200,
        "another client"
    );
    let seen = origin.received().len();
    assert_eq!(seen, 3, "what was refused has reached the server");
    eventually("it has waited as long as it was told", || async {
        told.elapsed() >= Duration::from_secs(wait)
    })
    .await;
    assert_eq!(proxy.get("/api/").await.status, 200);
    let metrics = proxy.admin("GET", "/metrics", "").await.body;
    let counted = "proxy_rate_limited_total{route=\"/api\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_body_is_not_waited_for_and_a_refused_read_keeps_its_connection() {
    let origin = Origin::start("a").await;
    let proxy = Proxy::routed(&[origin.address], THREE).await;
    for _ in 0..3 {
        proxy.get("/api/").await;
    }
    let head = "POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n";
    let refused = proxy.raw(head).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    assert_eq!(refused.field("connection"), Some("close"));
    let two = "GET /api/ HTTP/1.1\r\nHost: x\r\n\r\nGET /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let refused = proxy.raw(two).await;
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("HTTP/1.1 429 "), "{refused:?}");
    assert_eq!(origin.received().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_who_a_trusted_proxy_says_and_nobody_else_is_believed() {
    let origin = Origin::start("a").await;
    let route = format!("{THREE}\n[[routes]]\npath = \"/free\"\nupstream = \"music\"");
    let strangers = Proxy::routed(&[origin.address], &route).await;
    for forged in ["1.1.1.1", "2.2.2.2", "3.3.3.3"] {
        let field = format!(
            "X-Forwarded-For: {forged}\r\nForwarded: for={forged}\r\nX-Real-IP: {forged}\r\n"
        );
        assert_eq!(get_from("127.0.0.1", &strangers, &field).await.status, 200);
    }
    let forged = get_from("127.0.0.1", &strangers, "X-Forwarded-For: 4.4.4.4\r\n").await;
    assert_eq!(
        forged.status, 429,
        "a forged address has a bucket of its own"
    );
    assert_eq!(strangers.get("/free").await.status, 200, "another route");
    for received in origin.received() {
        for name in ["x-forwarded-for", "x-real-ip"] {
            assert_eq!(received.headers[name], "127.0.0.1", "{received:?}");
        }
        assert!(
            received.headers["forwarded"]
                .to_str()
                .unwrap()
                .starts_with("for=127.0.0.1;")
        );
    }
    let explained = strangers
        .admin("GET", "/explain?path=/api/", "")
        .await
        .json();
    let limit = &explained["rate_limit"];
    assert_eq!(
        (&limit["admits"], &limit["burst"]),
        (&false.into(), &3.into()),
        "{limit}"
    );
    assert!(limit["retry_after"].as_u64().unwrap() > 3000, "{limit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_each_client_has_its_own_rate_and_line() {
    let origin = Origin::start("a").await;
    let file = config(&format!(
        "listen = [\"127.0.0.1:0\"]\nclients.trusted_proxies = [\"127.0.0.0/8\"]\n\
         [[routes]]\npath = \"/api\"\nupstream = \"u\"\n{THREE}\n\
         [upstreams.u]\nservers = [{{ address = \"{}\" }}]\n",
        origin.address
    ));
    let mut running = Running::start(&file);
    let get = |chain: &'static str| {
        running.raw(&format!(
            "GET /api/{chain} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: 6.6.6.6, {chain}\r\nX-Real-IP: 6.6.6.6\r\n\r\n"
        ))
    };
    eventually("the server is up", || async {
        get("9.9.9.9").contains(" 200 ") || get("9.9.9.9").contains(" 429 ")
    })
    .await;
    origin.forget();
    for _ in 0..3 {
        assert!(get("1.1.1.1").starts_with("HTTP/1.1 200 "));
    }
    assert!(get("1.1.1.1").starts_with("HTTP/1.1 429 "));
    assert!(get("2001:db8::1").starts_with("HTTP/1.1 200 "));
    for received in origin.received() {
        let real = received.target.trim_start_matches("/api/").to_owned();
        assert_eq!(received.headers["x-real-ip"], *real, "{received:?}");
        let chain = received.headers["x-forwarded-for"].to_str().unwrap();
        assert_eq!(chain, format!("6.6.6.6, {real}, 127.0.0.1"));
    }
    let lines = running.lines();
    let of = |client: &str| lines.iter().filter(|line| line["client"] == client).count();
    assert_eq!(
        (of("1.1.1.1"), of("2001:db8::1"), of("127.0.0.1")),
        (4, 1, 0),
        "{lines:?}"
    );
    let refused = lines.iter().find(|line| line["status"] == 429).unwrap();
    assert!(
        refused["cause"]
            .as_str()
            .unwrap()
            .starts_with("Too many requests"),
        "{refused}"
    );
    assert!(
        refused["tries"].as_array().is_none_or(Vec::is_empty),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_has_sent_is_kept_by_a_reload() {
    let origin = Origin::start("a").await;
    let text = |burst: u32| {
        let plain = reloading::config(&reloading::server(&origin, 1), "");
        let limit = format!(
            "upstream = \"music\"\nrate_limit = {{ requests = 1, per = \"1h\", burst = {burst} }}\n"
        );
        plain.replace("upstream = \"music\"\n", &limit)
    };
    let filed = Filed::start(&text(2)).await;
    filed.proxy.until_up(1).await;
    for status in [200, 200, 429] {
        assert_eq!(filed.proxy.get("/api/").await.status, status);
    }
    assert_eq!(filed.reload(&text(3)).await.status, 200);
    for status in [200, 429] {
        assert_eq!(
            filed.proxy.get("/api/").await.status,
            status,
            "one more, and not three"
        );
    }
    let without = reloading::config(&reloading::server(&origin, 1), "");
    assert_eq!(filed.reload(&without).await.status, 200);
    assert_eq!(filed.proxy.get("/api/").await.status, 200);
}
