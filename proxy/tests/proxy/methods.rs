//! The methods on real sockets: who gets a request, who gets the next one, and what a proxy says of
//! it when it is asked.

use serde_json::Value;

use crate::answer::{Answer, exchange};
use crate::support::{Origin, Proxy};

async fn ask(proxy: &Proxy, path: &str, headers: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    proxy.raw(&request).await
}

async fn explain(proxy: &Proxy, query: &str) -> Value {
    let request = format!("GET /explain?{query} HTTP/1.0\r\n\r\n");
    let answer = exchange(proxy.admin, &request).await;
    serde_json::from_str(&answer.body).unwrap()
}

/// Asks until the one with this name answers: a connection that is open to another one, which stops,
/// ends at once, but not before a request may have come through it.
async fn answer_of(name: &str, proxy: &Proxy, fields: &str) -> Answer {
    for _ in 0..100 {
        let answer = ask(proxy, "/api/", fields).await;
        if answer.instance() == name {
            return answer;
        }
    }
    panic!("{name} does not answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stays_with_its_server_and_moves_only_when_that_is_out() {
    let (mut a, b) = (Origin::start("a").await, Origin::start("b").await);
    let lines = "method = \"hash\"\nhash = \"header:X-User\"";
    let proxy = Proxy::with(&[&a, &b], "", lines).await;
    let mut users = Vec::new();
    for user in 0..30 {
        let field = format!("X-User: {user}\r\n");
        let first = ask(&proxy, "/api/", &field).await.instance().to_owned();
        let explained = explain(&proxy, &format!("path=/api/&header=X-User:{user}")).await;
        let candidates = explained["candidates"].as_array().unwrap();
        let picked = candidates.iter().find(|c| c["picked"] == true).unwrap();
        assert_eq!(picked["instance"], first.as_str(), "{explained}");
        assert_eq!(ask(&proxy, "/api/", &field).await.instance(), first);
        users.push((field, first));
    }
    let of_a = users.iter().filter(|(_, server)| server == "a").count();
    assert!((1..30).contains(&of_a), "{of_a} of 30");
    a.stop().await;
    let one_of_a = users.iter().find(|(_, server)| server == "a").unwrap();
    answer_of("b", &proxy, &one_of_a.0).await;
    for (field, _) in &users {
        assert_eq!(ask(&proxy, "/api/", field).await.instance(), "b");
    }
    let _a = a.restart().await;
    proxy.until_up(2).await;
    for (field, first) in &users {
        assert_eq!(ask(&proxy, "/api/", field).await.instance(), first);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sticky_client_comes_back_and_is_given_another_cookie_when_it_must_leave() {
    let (mut a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::with(&[&a, &b], "", "sticky = { cookie = \"lb\" }").await;
    let answer = loop {
        let answer = proxy.get("/api/").await;
        if answer.instance() == "a" {
            break answer;
        }
    };
    let set = answer.field("set-cookie").unwrap();
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
    assert!(!set.contains(&a.address.to_string()), "{set}");
    let field = format!("Cookie: x=1; {}\r\n", set.split(';').next().unwrap());
    for _ in 0..10 {
        let answer = ask(&proxy, "/api/", &field).await;
        assert_eq!((answer.instance(), answer.field("set-cookie")), ("a", None));
    }
    a.stop().await;
    let answer = answer_of("b", &proxy, &field).await;
    let other = answer.field("set-cookie").unwrap();
    assert_ne!(other, set);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_https_proxy_the_cookie_is_secure() {
    let a = Origin::start("a").await;
    let trusted = "trusted_proxies = [\"127.0.0.1\"]";
    let proxy = Proxy::with(&[&a], trusted, "sticky = { cookie = \"lb\" }").await;
    let answer = ask(&proxy, "/api/", "X-Forwarded-Proto: https\r\n").await;
    let set = answer.field("set-cookie").unwrap();
    assert!(set.ends_with("; SameSite=Lax; Secure"), "{set}");
}

#[tokio::test(flavor = "multi_thread")]
async fn least_connections_leaves_a_busy_server_alone() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::with(&[&a, &b], "", "method = \"least-connections\"").await;
    // b has the greater weight, and so the first turn.
    let slow = proxy.get("/api/?slow=3000");
    let others = async {
        crate::support::eventually("the slow request has arrived", || async {
            b.received().len() == 1
        })
        .await;
        let explained = explain(&proxy, "path=/api/").await;
        let why = explained["candidates"][1]["why"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(why.contains("fewer requests in hand"), "{explained}");
        for _ in 0..5 {
            assert_eq!(proxy.get("/api/").await.instance(), "a");
        }
    };
    let (slow, ()) = tokio::join!(slow, others);
    assert_eq!(slow.instance(), "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_takes_no_turn_and_says_what_is_wrong_with_a_question() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    let mut order = String::new();
    for _ in 0..10 {
        let explained = explain(&proxy, "path=/api/&method=POST&client=10.0.0.1").await;
        let candidates = explained["candidates"].as_array().unwrap();
        let picked = candidates.iter().find(|c| c["picked"] == true).unwrap();
        let answer = proxy.get("/api/").await;
        assert_eq!(picked["instance"], answer.instance());
        order.push_str(answer.instance());
    }
    assert_eq!(order.matches('a').count(), 4, "{order}");
    let none = explain(&proxy, "path=/else").await;
    assert_eq!(
        (&none["route"], &none["picked"]),
        (&Value::Null, &Value::Null)
    );
    let refused = |explained: &Value| explained["refused"]["status"].as_u64();
    for (query, status) in [
        ("path=/api/&method=TRACE", Some(405)),
        ("path=/api/%00", Some(400)),
        ("path=/api/&host=a/b", Some(400)),
        ("path=/api/&header=Transfer-Encoding:gzip", Some(501)),
        ("path=/api/&header=Upgrade:websocket", Some(403)),
        ("path=/api/&header=Upgrade:h2c", None),
    ] {
        let explained = explain(&proxy, query).await;
        assert_eq!(refused(&explained), status, "{query}: {explained}");
        assert_eq!(
            explained["picked"].is_null(),
            status.is_some_and(|s| s != 403),
            "{query}"
        );
    }
    let wrong = explain(&proxy, "path=else").await;
    assert!(
        wrong["detail"].as_str().unwrap().contains("slash"),
        "{wrong}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_used_when_nobody_else_can_be() {
    let (mut a, b) = (Origin::start("a").await, Origin::start("b").await);
    let config = format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = "127.0.0.1:0"
        [[routes]]
        path = "/api"
        upstream = "music"
        [upstreams.music]
        servers = [{{ address = "{}" }}, {{ address = "{}", backup = true }}]
        health = {{ path = "/healthz", every = "100ms", timeout = "80ms" }}
        "#,
        a.address, b.address
    );
    let proxy = Proxy::start(&config).await;
    proxy.until_up(2).await;
    for _ in 0..5 {
        assert_eq!(proxy.get("/api/").await.instance(), "a");
    }
    a.stop().await;
    answer_of("b", &proxy, "").await;
    let _a = a.restart().await;
    proxy.until_up(2).await;
    assert_eq!(proxy.get("/api/").await.instance(), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_says_who_would_have_to_wait() {
    let a = Origin::start("a").await;
    let one = "max_connections = 1\nqueue = { length = 1, wait = \"5s\" }";
    let proxy = Proxy::with(&[&a], "", one).await;
    let busy = proxy.get("/api/?slow=1500");
    let questions = async {
        crate::support::eventually("the slow request has arrived", || async {
            a.received().len() == 1
        })
        .await;
        let told = explain(&proxy, "path=/api/").await["nobody"].clone();
        let wanted = "none: it would wait in the queue, 5s at most (0 of 1 wait)";
        assert_eq!(told, wanted);
        let admin = proxy.admin.to_string();
        let output = tokio::task::spawn_blocking(move || {
            let mut command = std::process::Command::new(crate::binary::BINARY);
            command
                .args(["explain", "/api/", "--admin", &admin])
                .output()
                .unwrap()
        });
        let output = output.await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(wanted), "{text}");
    };
    let (busy, ()) = tokio::join!(busy, questions);
    assert_eq!(busy.status, 200);
}
