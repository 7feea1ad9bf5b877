//! A server that never gets requests: why is told wherever somebody may look.

use serde_json::Value;

use crate::answer::exchange;
use crate::binary::{Running, config};
use crate::support::{Origin, Proxy, eventually};

const WHY: &str = "health check: 404 from GET /wrong";

/// A proxy whose checks ask the server for a path that is not there.
fn before(origin: &Origin) -> String {
    format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = "127.0.0.1:0"
        [log]
        access = "off"
        [[routes]]
        path = "/api"
        upstream = "music"
        [upstreams.music]
        servers = [{{ address = "{}" }}]
        health = {{ path = "/wrong", every = "100ms" }}
        "#,
        origin.address
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_health_path_is_told_by_status_explain_and_one_event() {
    let origin = Origin::start("a").await;
    origin.answer_with(404, &[]);
    let proxy = Proxy::start(&before(&origin)).await;
    eventually("the status tells it", || async {
        proxy.states().await == [WHY]
    })
    .await;
    let explained = proxy.admin("GET", "/explain?path=/api/", "").await.json();
    assert_eq!(explained["candidates"][0]["cause"], WHY);
    assert_eq!(proxy.get("/api/").await.status, 503);
    eventually("an event tells it", || async {
        let events = proxy.events().await;
        events.iter().any(|event| event["event"] == "server-out")
    })
    .await;
    origin.forget();
    eventually("it is asked again and again", || async {
        origin.received().len() > 4
    })
    .await;
    let events = proxy.events().await;
    let out = events.iter().filter(|event| event["event"] == "server-out");
    let causes: Vec<_> = out.map(|event| event["cause"].clone()).collect();
    assert_eq!(causes, [WHY], "once");
    origin.answer_with(204, &[]);
    proxy.until_up(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_it_once_and_in_plain_fields() {
    let origin = Origin::start("a").await;
    origin.answer_with(404, &[]);
    let file = config(&before(&origin));
    let mut running = Running::start(&file);
    let admin = running.admin.unwrap();
    eventually("it is told", || async {
        let request = "GET /events HTTP/1.0\r\nAccept: application/json\r\n\r\n";
        exchange(admin, request).await.body.contains("server-out")
    })
    .await;
    origin.forget();
    eventually("it is asked again and again", || async {
        origin.received().len() > 4
    })
    .await;
    let log = running.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |event: &str| {
        let of = lines.iter().filter(|line| line["message"] == event);
        of.cloned().collect::<Vec<Value>>()
    };
    let out = of("server-out");
    assert_eq!(out.len(), 1, "{log}");
    let address = origin.address.to_string();
    for (key, value) in [
        ("level", "WARN"),
        ("upstream", "music"),
        ("server", &address),
        ("endpoint", &address),
        ("cause", WHY),
    ] {
        assert_eq!(out[0][key], value, "{key} in {}", out[0]);
    }
    let stopping = of("stopping");
    assert_eq!(stopping.len(), 1, "{log}");
    assert!(stopping[0].get("server").is_none(), "{}", stopping[0]);
    assert!(!log.contains("\\\""), "no JSON in a text of JSON: {log}");
}
