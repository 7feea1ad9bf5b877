//! What can be seen from outside: metrics, the last slow and failed requests, ids on error pages.

use std::collections::BTreeSet;

use crate::support::{Origin, Proxy, eventually};

/// The documentation of the metrics: `| name | kind | …` in each line of its table.
const DOCUMENTED: &str = include_str!("../../../docs/metrics.md");

/// The value of a line of the metrics page that begins so.
async fn figure(proxy: &Proxy, line: &str) -> Option<f64> {
    let page = proxy.admin("GET", "/metrics", "").await.body;
    let found = page.lines().find_map(|found| found.strip_prefix(line))?;
    Some(found.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented_and_every_documented_one_is_there() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let page = proxy.admin("GET", "/metrics", "").await;
    assert_eq!(
        page.field("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let shown: BTreeSet<(String, String)> = page
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let documented: BTreeSet<(String, String)> = DOCUMENTED
        .lines()
        .filter_map(|line| line.strip_prefix("| `proxy_")?.split_once("` | "))
        .map(|(name, rest)| {
            let kind = rest.split(" | ").next().unwrap();
            (format!("proxy_{name}"), kind.to_owned())
        })
        .collect();
    assert_eq!(shown, documented);
    assert!(shown.len() > 15, "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_follow_what_happens() {
    let (mut a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    for _ in 0..10 {
        proxy.get("/api/").await;
    }
    proxy.get("/nothing").await;
    proxy.raw("NONSENSE\r\n\r\n").await;
    let place = |origin: &Origin| {
        let address = origin.address;
        format!("upstream=\"music\",server=\"{address}\",endpoint=\"{address}\"")
    };
    for (line, expected) in [
        (
            "proxy_requests_total{route=\"/api\",class=\"2xx\"}".to_owned(),
            10.0,
        ),
        (
            "proxy_requests_total{route=\"\",class=\"4xx\"}".to_owned(),
            2.0,
        ),
        ("proxy_requests_in_flight{route=\"/api\"}".to_owned(), 0.0),
        (
            "proxy_request_duration_seconds_count{route=\"/api\"}".to_owned(),
            10.0,
        ),
        (
            "proxy_request_duration_seconds_bucket{route=\"/api\",le=\"+Inf\"}".to_owned(),
            10.0,
        ),
        (format!("proxy_server_tries_total{{{}}}", place(&a)), 4.0),
        (format!("proxy_server_weight{{{}}}", place(&b)), 6.0),
        (format!("proxy_server_up{{{}}}", place(&b)), 1.0),
        (format!("proxy_server_in_flight{{{}}}", place(&b)), 0.0),
    ] {
        // A request is counted when its last byte has gone, which its client may see before.
        eventually(&format!("{line} is {expected}"), || async {
            figure(&proxy, &line).await == Some(expected)
        })
        .await;
    }
    let pool = format!("proxy_server_pool{{{}}}", place(&b));
    assert!(
        figure(&proxy, &pool).await >= Some(1.0),
        "no connection is kept"
    );
    a.stop().await;
    for _ in 0..10 {
        proxy.get("/api/").await;
    }
    let checks = format!(
        "proxy_health_checks_total{{{},result=\"not-connected\"}}",
        place(&a)
    );
    eventually("its checks fail", || async {
        figure(&proxy, &checks).await >= Some(1.0)
    })
    .await;
    assert_eq!(
        figure(&proxy, &format!("proxy_server_up{{{}}}", place(&a))).await,
        Some(0.0)
    );
    proxy.admin("POST", "/reload", "").await;
    assert_eq!(
        figure(&proxy, "proxy_reloads_total{result=\"refused\"}").await,
        Some(1.0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_and_slow_requests_are_found_by_their_id_with_every_try() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    for origin in [&a, &b] {
        origin.answer_with(503, &[]);
    }
    let failed = proxy.get("/api/failed").await;
    let id = failed.field("x-request-id").unwrap().to_owned();
    let path = format!("/requests/{id}");
    eventually("it is kept", || async {
        proxy.admin("GET", &path, "").await.status == 200
    })
    .await;
    let kept = proxy.admin("GET", &path, "").await.json();
    assert_eq!(
        (&kept["why"], &kept["status"]),
        (&"failed".into(), &503.into()),
        "{kept}"
    );
    let tries = kept["tries"].as_array().unwrap();
    assert_eq!(tries.len(), 2, "{kept}");
    assert_eq!(tries[0]["outcome"], "unavailable");
    assert_eq!(tries[0]["status"], 503);
    assert!(
        tries[1]["began_ms"].as_f64() >= tries[0]["began_ms"].as_f64(),
        "{kept}"
    );
    let refused = proxy.get("/nothing").await;
    let id = refused.json()["request_id"].as_str().unwrap().to_owned();
    assert_eq!(
        refused.field("x-request-id"),
        Some(&*id),
        "the page shows the id"
    );
    let page = proxy
        .raw("GET /nothing HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nX-Request-Id: mine-1\r\nConnection: close\r\n\r\n")
        .await;
    assert!(page.body.contains("mine-1"), "{page:?}");
    eventually("both are kept", || async {
        let all = proxy.admin("GET", "/requests", "").await.json();
        let all = all["requests"].as_array().unwrap().clone();
        let is_there = |id: &str| all.iter().any(|one| one["request_id"] == id);
        is_there(&id) && is_there("mine-1")
    })
    .await;
    assert_eq!(
        proxy.admin("GET", "/requests/unknown", "").await.status,
        404
    );
}
