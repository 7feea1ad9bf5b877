//! Changes through the admin listener, who may make them, and how they are told.

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::reloading::{Filed, config, server};
use crate::support::{Origin, Proxy, eventually, read_some, read_until};

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_counts_from_the_next_pick() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    for _ in 0..10 {
        proxy.get("/api/").await;
    }
    let path = format!("/upstreams/music/servers/{}", a.address);
    let answer = proxy.admin("PATCH", &path, r#"{"weight": 0}"#).await;
    assert_eq!(answer.json()["servers"][0]["weight"], 0, "{answer:?}");
    assert_eq!(answer.json()["servers"][0]["requests"], 4);
    for _ in 0..5 {
        assert_eq!(proxy.get("/api/").await.instance(), "b");
    }
    // By the name that it gives itself.
    let answer = proxy
        .admin("PATCH", "/upstreams/music/servers/a", r#"{"weight": 6}"#)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut from_a = 0;
    for _ in 0..12 {
        from_a += usize::from(proxy.get("/api/").await.instance() == "a");
    }
    assert_eq!(from_a, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_server_finishes_and_gets_nothing_new() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    let path = format!("/upstreams/music/servers/{}", b.address);
    // The second of the two goes to a, the first to b.
    let slow = proxy.get("/api/?slow=700");
    let drain = async {
        eventually("it is in hand", || async {
            proxy.status().await["in_flight"] == 1
        })
        .await;
        proxy.admin("PATCH", &path, r#"{"state": "drain"}"#).await;
        for _ in 0..5 {
            assert_eq!(proxy.get("/api/").await.instance(), "a");
        }
    };
    let (answer, ()) = tokio::join!(slow, drain);
    assert_eq!((answer.status, answer.instance()), (200, "b"));
    assert_eq!(proxy.states().await, ["up", "drained by hand"]);
    proxy.admin("PATCH", &path, r#"{"state": "ready"}"#).await;
    // Its health was watched all the while.
    assert_eq!(proxy.states().await, ["up", "up"]);
    proxy.admin("PATCH", &path, r#"{"state": "down"}"#).await;
    assert_eq!(proxy.states().await, ["up", "down by hand"]);
    proxy.admin("PATCH", &path, r#"{"state": "ready"}"#).await;
    proxy.until_up(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_lasts_until_the_file_changes_the_same_key() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let text = |a_weight, b_weight| {
        config(
            &format!("{}, {}", server(&a, a_weight), server(&b, b_weight)),
            "",
        )
    };
    let filed = Filed::start(&text(4, 6)).await;
    filed.proxy.until_up(2).await;
    for origin in [&a, &b] {
        let path = format!("/upstreams/music/servers/{}", origin.address);
        let body = r#"{"weight": 50, "state": "drain"}"#;
        assert_eq!(filed.proxy.admin("PATCH", &path, body).await.status, 200);
    }
    assert_eq!(filed.reload(&text(4, 7)).await.status, 200);
    let status = filed.proxy.status().await;
    let servers = &status["upstreams"][0]["servers"];
    assert_eq!(
        (&servers[0]["weight"], &servers[1]["weight"]),
        (&50.into(), &7.into())
    );
    assert_eq!(
        (&servers[0]["mode"], &servers[1]["mode"]),
        (&"drain".into(), &"drain".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_in_json() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let known = format!("/upstreams/music/servers/{}", a.address);
    for (method, path, body, status, words) in [
        (
            "PATCH",
            known.as_str(),
            "{}",
            400,
            "`weight`, `state` or both",
        ),
        ("PATCH", &known, "", 400, "the body"),
        ("PATCH", &known, r#"{"weight": 1001}"#, 400, "0 to 1000"),
        ("PATCH", &known, r#"{"weight": -1}"#, 400, "the body"),
        (
            "PATCH",
            &known,
            r#"{"state": "gone"}"#,
            400,
            "`ready`, `drain`, `down`",
        ),
        ("PATCH", &known, r#"{"wieght": 1}"#, 400, "wieght"),
        (
            "PATCH",
            "/upstreams/music/servers/nobody",
            r#"{"weight": 1}"#,
            404,
            "server",
        ),
        (
            "PATCH",
            "/upstreams/nobody/servers/a",
            r#"{"weight": 1}"#,
            404,
            "upstream",
        ),
        ("DELETE", &known, "", 405, "method"),
        ("GET", "/nothing", "", 404, "nothing"),
        ("GET", "/events?since=yesterday", "", 400, "since"),
    ] {
        let answer = proxy.admin(method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path} {body} {answer:?}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(words), "{words} in {detail}");
        assert_eq!(answer.instance(), "proxy");
    }
    assert_eq!(proxy.states().await, ["up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_through_another_listener_than_loopback_need_the_token() {
    let a = Origin::start("a").await;
    let public =
        config(&server(&a, 1), "").replace("admin = \"127.0.0.1:0\"", "admin = \"0.0.0.0:0\"");
    let filed = Filed::start(&public).await;
    let proxy = &filed.proxy;
    let path = format!("/upstreams/music/servers/{}", a.address);
    let patch = |fields: String| {
        let path = path.clone();
        async move {
            proxy
                .admin_with("PATCH", &path, r#"{"weight": 2}"#, &fields)
                .await
        }
    };
    assert_eq!(proxy.admin("GET", "/status", "").await.status, 200);
    assert_eq!(patch(String::new()).await.status, 403);
    assert_eq!(proxy.admin("POST", "/reload", "").await.status, 403);
    // The token comes with a reload, which here only the file or a signal can bring about.
    let token = filed.file.with_file_name("token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    filed.rename_over(&format!("admin_token_file = \"token\"\n{public}"));
    proxy.hangup.notify_one();
    eventually("the token is known", || async {
        patch(String::new()).await.status == 401
    })
    .await;
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let refused = patch(bearer("0123456789abcdeX")).await;
    assert_eq!(
        (refused.status, refused.field("www-authenticate")),
        (401, Some("Bearer"))
    );
    assert_eq!(patch(bearer("0123456789abcdef")).await.status, 200);
    // It can be replaced without a word to the proxy.
    std::fs::write(&token, "fedcba9876543210").unwrap();
    assert_eq!(patch(bearer("0123456789abcdef")).await.status, 401);
    assert_eq!(patch(bearer("fedcba9876543210")).await.status, 200);
    let from_page = bearer("fedcba9876543210") + "Origin: http://127.0.0.1:9090\r\n";
    assert_eq!(patch(from_page).await.status, 403);
}

/// A listener and what it has heard and not returned.
struct Hearing {
    stream: TcpStream,
    text: String,
}

async fn listen(proxy: &Proxy, query: &str) -> Hearing {
    let mut stream = TcpStream::connect(proxy.admin).await.unwrap();
    let request = format!("GET /events{query} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let text = read_until(&mut stream, "\r\n\r\n").await;
    assert!(text.contains("text/event-stream"), "{text}");
    Hearing { stream, text }
}

/// Reads events until one of this kind has come, and returns them all.
async fn until(hearing: &mut Hearing, kind: &str) -> Vec<Value> {
    loop {
        // An event ends with an empty line; a part of one stays for the next look.
        let end = hearing.text.rfind("\n\n").map_or(0, |end| end + 2);
        let data = hearing.text[..end]
            .lines()
            .filter_map(|line| line.strip_prefix("data: "));
        let events: Vec<Value> = data
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        if events.iter().any(|event| event["event"] == kind) {
            hearing.text.drain(..end);
            return events;
        }
        hearing.text.push_str(&read_some(&mut hearing.stream).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_state_is_told_in_order_with_its_cause() {
    let mut a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    // Those who come later hear what has happened before.
    let mut early = listen(&proxy, "").await;
    let mut told = until(&mut early, "server-up").await;
    a.stop().await;
    proxy.get("/api/").await;
    told.extend(until(&mut early, "server-out").await);
    let a = a.restart().await;
    told.extend(until(&mut early, "server-up").await);
    let path = format!("/upstreams/music/servers/{}", a.address);
    proxy
        .admin("PATCH", &path, r#"{"weight": 9, "state": "drain"}"#)
        .await;
    told.extend(until(&mut early, "server-mode").await);
    let order: Vec<&str> = told
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    let expected = [
        "server-found",
        "server-up",
        "server-out",
        "server-up",
        "server-weight",
        "server-mode",
    ];
    assert_eq!(order, expected);
    let ids: Vec<u64> = told
        .iter()
        .map(|event| event["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    let causes: Vec<&str> = told
        .iter()
        .map(|event| event["cause"].as_str().unwrap())
        .collect();
    let out = causes[2];
    assert!(
        [
            "connection refused or timed out",
            "health check: connection refused",
        ]
        .contains(&out),
        "{out}"
    );
    let (found, up, by_hand) = (
        "named in the file",
        "health check passed",
        "changed by hand",
    );
    assert_eq!(causes, [found, up, out, up, by_hand, by_hand]);
    assert_eq!(told[2]["server"], a.address.to_string());
    assert_eq!(
        (&told[5]["mode"], &told[5]["by"]),
        (&"drain".into(), &"admin".into())
    );
    let mut late = listen(&proxy, "?since=4").await;
    assert_eq!(until(&mut late, "server-mode").await.len(), 2);
    let mut new = listen(&proxy, "?since=now").await;
    proxy.admin("PATCH", &path, r#"{"state": "ready"}"#).await;
    assert_eq!(until(&mut new, "server-mode").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_are_bounded_and_one_who_does_not_read_holds_up_nobody() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let mut listening = Vec::new();
    for _ in 0..32 {
        listening.push(listen(&proxy, "").await);
    }
    assert_eq!(proxy.admin("GET", "/events", "").await.status, 503);
    let path = format!("/upstreams/music/servers/{}", a.address);
    for weight in 0..200 {
        let body = format!("{{\"weight\": {}}}", weight % 2 + 1);
        assert_eq!(proxy.admin("PATCH", &path, &body).await.status, 200);
    }
    listening.pop();
    eventually("there is room again", || async {
        let mut stream = TcpStream::connect(proxy.admin).await.unwrap();
        let request = b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        read_until(&mut stream, "\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_method_changes_in_place_and_the_file_wins_where_it_has_changed() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let text = |more| config(&format!("{}, {}", server(&a, 4), server(&b, 6)), more);
    let filed = Filed::start(&text("")).await;
    filed.proxy.until_up(2).await;
    let method = async || filed.proxy.status().await["upstreams"][0]["method"].clone();
    for (body, status) in [
        (r#"{"method": "fastest"}"#, 400),
        (r#"{"method": "hash"}"#, 400),
        (r#"{"method": "hash", "hash": "path"}"#, 200),
    ] {
        assert_eq!(
            filed
                .proxy
                .admin("PATCH", "/upstreams/music", body)
                .await
                .status,
            status
        );
    }
    assert_eq!(method().await, "hash");
    let first = filed.proxy.get("/api/same").await.instance().to_owned();
    for _ in 0..5 {
        assert_eq!(filed.proxy.get("/api/same").await.instance(), first);
    }
    assert_eq!(filed.reload(&text("resolve = \"2s\"\n")).await.status, 200);
    assert_eq!(method().await, "hash");
    assert_eq!(
        filed.reload(&text("method = \"ip-hash\"\n")).await.status,
        200
    );
    assert_eq!(method().await, "ip-hash");
}
